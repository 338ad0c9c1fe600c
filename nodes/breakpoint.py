"""Midrun Breakpoint: passes through what it is given, once the job that pauses here is resumed."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from .engine import hooks


class AnyType(str):
    """Fits every type, also for ComfyUI's older validation, which only compares."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


ANY = io.Custom(AnyType("*"))


class MidrunBreakpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunBreakpoint",
            display_name="Midrun Breakpoint",
            category="sampling/midrun",
            description="The job pauses here, before the node behind this runs. What comes in goes out.",
            inputs=[
                ANY.Input("value", tooltip="Anything, on its way to the node before which to pause."),
                ANY.Input("after", optional=True, tooltip="Anything that has to be there before, too."),
                io.String.Input(
                    "before",
                    default="",
                    optional=True,
                    tooltip="The node whose breakpoint this is; empty is this one. Midrun fills it in.",
                ),
                io.Boolean.Input("stops", default=True, optional=True, tooltip="Off: the job goes on here."),
            ],
            outputs=[ANY.Output(display_name="value", tooltip="The same.", is_output_list=True)],
            is_input_list=True,  # a list stays one, whatever comes after it
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        return hooks.present_take()

    @classmethod
    def execute(cls, value, after=None, before=("",), stops=(True,)) -> io.NodeOutput:
        if stops[0]:
            hooks.before_node(before[0] or None)
        return io.NodeOutput(value)
