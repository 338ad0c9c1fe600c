"""What `python dev.py bench` measures of a device that works behind: whether it has to wait for Midrun."""

from __future__ import annotations

from harness import Comfy
from measurements import Figures, Load, ratios, sample_in_turns

GIVING_S = 0.006  # an evaluation
STEPS = 40


def behind_cost(comfy: Comfy, quick: bool) -> Figures:
    """Watched sampling against stock on a device that works by a clock, and is given an evaluation in 6 ms.

    The medians of the ratios of the pairs. At 6 ms a step the device waits for stock, too.
    """
    figures, pairs = {}, 5 if quick else 15
    for seconds in (0.006, 0.01, 0.015, 0.03):
        told = sample_in_turns(comfy, Load(seconds, STEPS, pairs), giving_s=GIVING_S)
        figures[f"{1000 * seconds:.0f}_ms_a_step"] = ratios(told) | {"pairs": pairs}
    return figures


MEASUREMENTS = {"behind_cost": behind_cost}
