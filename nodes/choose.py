"""Midrun Choose: passes on what somebody chose of a batch. Meanwhile its job is paused, and others run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.v0_0_2 import io
from comfy_execution.graph import ExecutionBlocker

from ..state.choice import Otherwise, numbers_of
from .any_type import ANY
from .comfyui.batches import count, some
from .comfyui.painted_masks import mask_of, trouble
from .engine.before_node import at_choice, present_take
from .previews.choice_pictures import Terms
from .search_words import found_by

BATCHES = [io.Image, io.Latent, io.Mask]


class MidrunChoose(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunChoose",
            display_name="Midrun Choose",
            category="sampling/midrun",
            description=(
                "The job pauses here until you have chosen what goes on, in the Midrun panel. Other prompts "
                "run meanwhile, and a restart of ComfyUI does no harm."
            ),
            inputs=[
                io.MultiType.Input("batch", types=BATCHES, tooltip="Images, latents or masks."),
                *_terms(),
                io.String.Input(
                    "chosen",
                    default="",
                    optional=True,
                    tooltip='What is chosen: numbers as "1, 3", or all, none or first. Empty: you are asked.',
                ),
                io.String.Input(
                    "painted",
                    default="",
                    optional=True,
                    tooltip="A mask in ComfyUI's input folder. The panel fills it in.",
                ),
            ],
            outputs=[
                ANY.Output(display_name="chosen", tooltip="What was chosen.", is_output_list=True),
                io.Mask.Output(display_name="mask", tooltip="The mask that was painted; else it is empty."),
            ],
            is_input_list=True,  # a list is one choice
            hidden=[io.Hidden.unique_id],
            **found_by("choose", "pick", "select", "filter", "pause", "preview", "image chooser"),
        )

    @classmethod
    def fingerprint_inputs(cls, chosen=("",), **inputs) -> str:
        text = chosen[0] if isinstance(chosen, (list, tuple)) else chosen
        return present_take() if text.strip() else uuid.uuid4().hex  # what was not chosen is not kept

    @classmethod
    def validate_inputs(cls, painted="") -> bool | str:
        name = painted[0] if isinstance(painted, list) else painted
        return trouble(name) or True

    @classmethod
    def execute(
        cls,
        batch,
        most=(1,),
        otherwise=("all",),
        wait_minutes=(0.0,),
        paint=(False,),
        chosen=("",),
        painted=("",),
    ) -> io.NodeOutput:
        counts = [count(value) for value in batch]
        text = chosen[0].strip()
        if not text:
            terms = Terms(most[0], Otherwise(otherwise[0]), wait_minutes[0], paint[0])
            at_choice(lambda now: now.runtime.choices.offer(now.job, now.node.display_id, batch, terms))
            text = terms.otherwise.value  # nobody will choose
        numbers = numbers_of(text, sum(counts))
        taken = list(_taken(batch, counts, [number - 1 for number in numbers]))
        size = _size(taken[0] if taken else batch[0])
        mask = mask_of(painted[0], *size) if painted[0] else torch.zeros(1, *size)
        return io.NodeOutput(taken or [ExecutionBlocker(None)], mask)


def _terms() -> list[io.Input]:
    return [
        io.Int.Input(
            "most",
            default=1,
            min=0,
            max=4096,
            optional=True,
            tooltip="How many can be chosen at most. 0 is any number.",
        ),
        io.Combo.Input(
            "otherwise",
            options=[word.value for word in Otherwise],
            default=Otherwise.ALL.value,
            optional=True,
            tooltip="What goes on if nobody chooses in time.",
        ),
        io.Float.Input(
            "wait_minutes",
            default=0.0,
            min=0.0,
            max=525600.0,
            step=1.0,
            optional=True,
            tooltip="How many minutes to wait for a choice. 0: it waits until somebody chooses.",
        ),
        io.Boolean.Input(
            "paint",
            default=False,
            optional=True,
            tooltip="Offer to paint a mask on the picture, too.",
        ),
    ]


def _taken(values: Sequence[Any], counts: Sequence[int], indexes: Sequence[int]) -> Any:
    """Of each value of the list, those that are chosen of it, numbered through the whole list."""
    first = 0
    for value, number in zip(values, counts, strict=True):
        own = [index - first for index in indexes if first <= index < first + number]
        if own:
            yield value if own == list(range(number)) else some(value, own)
        first += number


def _size(value: Any) -> tuple[int, int]:
    """Height and width, in pixels as far as that is known."""
    if isinstance(value, dict):
        height, width = value["samples"].size()[-2:]
        return int(height) * 8, int(width) * 8
    return (value.shape[1], value.shape[2]) if value.ndim > 2 else (value.shape[0], value.shape[1])
