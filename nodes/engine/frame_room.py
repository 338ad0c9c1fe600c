"""Room for the frames of what is called deep and often. Standard library only; any thread.

From Python 3.11 on the frames of a thread lie in chunks of 16 KiB. A function that is called just where a
chunk ends is given another one, and gives it back when it returns: 10 us each time, and a network calls
functions a thousand times in an evaluation. Whether it calls one there is a matter of how deep it is, and so
of the frames that Midrun adds above: they made 100 ms of a step of 83. python/cpython#142183 has it; 3.13 and
3.14 were mended in the spring of 2026.

A frame that is larger than a chunk is given a chunk of its own, of a power of two that holds it and 8 KB
more. What is left of that is for all that is called within.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WORDS = 2**13  # 64 KiB; so the chunk has 128, and leaves room for some 200 frames


def with_room(call: Callable[[], T]) -> T:
    """What it answers."""
    return call()


with_room.__code__ = with_room.__code__.replace(co_stacksize=WORDS)
