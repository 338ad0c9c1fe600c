"""Midrun Once: what an iteration of a loop has saved is not saved again when its job is resumed.

Midrun puts it around what saves in the body of a loop when it queues a job anew, where ComfyUI has loops.
"""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from comfy_execution.graph import ExecutionBlocker

from .breakpoint import ANY
from .comfyui.comfy_nodes import node_class
from .engine.before_node import iteration_is_over


def loops_exist() -> bool:
    return node_class("StartLoop") is not None


class MidrunOnce(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunOnce",
            display_name="Midrun Once",
            category="sampling/midrun",
            description="Passes on what an iteration of a loop has not made yet. Midrun puts it in itself.",
            inputs=[
                ANY.Input("value", lazy=True, tooltip="Computed only in an iteration that is not finished."),
                io.Boolean.Input("blocks", tooltip="When it is over, stop the next node or give it nothing."),
            ],
            outputs=[ANY.Output(display_name="value", is_output_list=True)],
            is_input_list=True,
            is_dev_only=True,  # every ComfyUI that has loops knows this
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        return "over" if iteration_is_over() else ""

    @classmethod
    def check_lazy_status(cls, blocks, value=None) -> list[str]:
        return [] if iteration_is_over() else ["value"]

    @classmethod
    def execute(cls, blocks, value=None) -> io.NodeOutput:
        if iteration_is_over():
            return io.NodeOutput([ExecutionBlocker(None) if blocks[0] else None])
        return io.NodeOutput(value)
