"""Which number gives a resumed run its place in ComfyUI's queue: behind those that were resumed before it.

The queue runs what has the lowest number first. Where two have the same, it compares what cannot be compared.
Standard library only; the caller holds the queue's mutex.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

STEP = 2.0**-20  # between two resumed runs: a million fit before the next whole number, which ComfyUI gives


class Item(NamedTuple):
    """A prompt in the queue."""

    number: float
    prompt_id: str


class ResumedRuns:
    """The resumed runs that wait. Ahead of them is only what was queued to the front, with 0 or less."""

    def __init__(self) -> None:
        self._since: dict[str, int | None] = {}

    def numbers(
        self,
        prompt_id: str,
        since: int | None,
        waiting: list[Item],
        done: list[float],
        fresh: Callable[[], float],
    ) -> dict[str, float]:
        """By prompt_id, the number of the new run and of those that have to move for it.

        since: the age of its job, where that was found when the server started: such jobs keep to their age
        done: numbers of what runs or ran; it has to be above, as older frontends hide the results of others
        fresh: gives the next number that ComfyUI would give
        """
        ours = sorted(item for item in waiting if item.prompt_id in self._since)
        others = sorted(item for item in waiting if item.prompt_id not in self._since and item.number > 0)
        order = [item.prompt_id for item in ours]
        index = self._place(order, since)
        self._since = {name: self._since[name] for name in order} | {prompt_id: since}
        is_last = index == len(order)
        if is_last and not others:
            return {prompt_id: fresh()}
        below = others[0].number if others else math.inf
        above = max((number for number in done if 0 <= number < below), default=0.0)
        newest = max(above, *(item.number for item in ours)) if ours else above
        if is_last and (found := between(1, newest, below)):
            return {prompt_id: found[0]}
        order.insert(index, prompt_id)
        found = between(len(order), above, below)
        if not found:  # nothing fits before what ComfyUI numbered: that moves back
            order += [item.prompt_id for item in others]
            found = [fresh() for _ in order]
        return dict(zip(order, found, strict=True))

    def _place(self, order: list[str], since: int | None) -> int:
        """Where among those that wait: behind them, or by age."""
        if since is None:
            return len(order)
        ages = (self._since[name] for name in order)
        return next((i for i, other in enumerate(ages) if other is not None and other > since), len(order))


def between(count: int, above: float, below: float) -> list[float]:
    """So many numbers, ascending, between the two; none where they do not fit."""
    step = min(max(STEP, math.ulp(above)), (below - above) / (count + 1))
    found = [above + step * i for i in range(1, count + 1)]
    bounds = [above, *found, below]
    fits = all(low < high for low, high in zip(bounds, bounds[1:], strict=False))
    return found if fits else []
