"""Midrun Breakpoint: passes through what it is given, once the job that pauses here is resumed."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from .any_type import ANY
from .engine.before_node import before_node, present_take
from .folded import folded
from .search_words import found_by


class MidrunBreakpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunBreakpoint",
            display_name="Midrun Breakpoint",
            category="sampling/midrun",
            description="The job pauses here, before the next node runs. The value passes through unchanged.",
            inputs=[
                ANY.Input("value", tooltip="Any value on its way to the node before which the job pauses."),
                ANY.Input("after", optional=True, tooltip="Another value that must be ready first."),
                *map(folded, _filled_in()),
            ],
            outputs=[ANY.Output(display_name="value", tooltip="The same value.", is_output_list=True)],
            is_input_list=True,  # a list stays one, whatever comes after it
            hidden=[io.Hidden.unique_id],
            **found_by("breakpoint", "pause", "resume", "debug", "inspect", "stop", "wait"),
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        return present_take()

    @classmethod
    def execute(cls, value, after=None, before=("",), stops=(True,)) -> io.NodeOutput:
        if stops[0]:
            before_node(before[0] or None, value)
        return io.NodeOutput(value)


def _filled_in() -> list[io.Input]:
    return [
        io.String.Input(
            "before",
            default="",
            optional=True,
            tooltip="The node that this breakpoint belongs to. Leave it empty; Midrun fills it in.",
        ),
        io.Boolean.Input("stops", default=True, optional=True, tooltip="Off: the job goes on."),
    ]
