"""What `python dev.py bench` measures of a device that works behind: whether it has to wait for Midrun."""

from __future__ import annotations

import statistics

from harness import Comfy
from measurements import Figures, milliseconds
from overhead_costs import Load, architecture_in_turns, ratios, sample_in_turns

GIVING_S = 0.006  # an evaluation
CALL_S = 2.0  # a shorter one is over before the disk has all of it
THIN = ("sd15", "sdxl")
THIN_LATENT = {"shape": "1,4,64,64", "stays": False}
THIN_STEPS = 40


def behind_cost(comfy: Comfy, quick: bool) -> Figures:
    """Watched sampling against stock on a device that works by a clock, and is given an evaluation in 6 ms.

    The medians of the ratios of the pairs. At 6 ms a step the device waits for stock, too.
    """
    figures, pairs = {}, 3 if quick else 15
    for seconds in (0.006, 0.01, 0.015, 0.03):
        told = sample_in_turns(comfy, Load(seconds, round(CALL_S / seconds), pairs), giving_s=GIVING_S)
        figures[f"{1000 * seconds:.0f}_ms_a_step"] = ratios(told) | {"pairs": pairs}
    return figures


def giving_cost(comfy: Comfy, quick: bool) -> Figures:
    """The same with a device that computes in no time what it is given: it always waits for its work.

    That is all that ComfyUI does for an evaluation of the real networks, which are thin, so that it is little
    more. A card can come near to it, and nothing is hidden behind its work then. step_ms: of stock
    """
    figures, pairs = {}, 3 if quick else 15
    for number, architecture in enumerate(THIN):
        made = {"architecture": architecture, "size": "thin", "dtype": "fp32", "seed": number} | THIN_LATENT
        load = {"seconds": 0.0, "steps": THIN_STEPS, "pairs": pairs, "giving_s": GIVING_S}
        told = architecture_in_turns(comfy, made, **load)
        step_s = statistics.median(told["stock"]) / THIN_STEPS
        figures[architecture] = ratios(told) | {"step_ms": milliseconds(step_s), "pairs": pairs}
    return figures


MEASUREMENTS = {"behind_cost": behind_cost, "giving_cost": giving_cost}
