"""Calls that are deep: what their frames cost."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from midrun.nodes.engine.frame_room import with_room

resource = pytest.importorskip("resource")
DEPTHS, TIMES = 150, 200  # of frames of some 150 bytes: from one end of a chunk to the next
LARGE = 100  # words, more than one of those frames: at some depth there is room for them and not for this


def faults(depth: int) -> int:
    """Pages that the thread was given while something was called so often at that depth."""

    def leaf() -> None:
        pass

    leaf.__code__ = leaf.__code__.replace(co_stacksize=LARGE)

    def down(left: int) -> int:
        if left:
            return down(left - 1)
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        for _ in range(TIMES):
            leaf()
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    return down(depth)


def worst(call: Callable[[Callable[[], int]], int]) -> int:
    return max(call(lambda depth=depth: faults(depth)) for depth in range(DEPTHS))


def test_with_room_no_depth_costs_pages() -> None:
    if worst(lambda call: call()) < TIMES / 2:
        pytest.skip(f"needs a Python that gives chunks of frames back; {sys.version.split()[0]} keeps one")
    assert worst(with_room) < TIMES / 2


def test_it_answers_and_raises_as_ever() -> None:
    assert with_room(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        with_room(lambda: 1 // 0)
