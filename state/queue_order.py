"""Which place a resumed run has in ComfyUI's queue, and which number gives it that place. Pure functions.

The queue runs what has the lowest number first, and two items must not have the same one.
"""

from __future__ import annotations

import math

STEP = 2.0**-20  # between two resumed runs: a million fit before the next whole number, which ComfyUI gives


def place(order: list[int | None], since: int | None) -> int:
    """Where a run goes among the resumed ones that wait: behind them.

    since: how old its job is, for one that was found when the server started: those keep to their age
    order: the same of the runs that wait
    """
    if since is None:
        return len(order)
    return next((i for i, other in enumerate(order) if other is not None and other > since), len(order))


def numbers(count: int, above: float, below: float) -> list[float] | None:
    """So many, ascending, between the two; None where they do not fit."""
    step = min(max(STEP, math.ulp(above)), (below - above) / (count + 1))
    found = [above + step * i for i in range(1, count + 1)]
    bounds = [above, *found, below]
    return found if all(low < high for low, high in zip(bounds, bounds[1:], strict=False)) else None
