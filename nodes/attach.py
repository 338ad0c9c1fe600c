"""Midrun Attach: passes through a model of any kind, and makes every sampler node behind it debuggable."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from .any_type import ANY
from .engine.before_node import present_take
from .foreign.watching import attach, watch_loops
from .options import midrun_inputs, options
from .search_words import found_by


class MidrunAttach(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunAttach",
            display_name="Midrun Attach",
            category="sampling/midrun",
            description="Every sampler node after this can be paused, edited, stepped, resumed and aborted.",
            inputs=[
                ANY.Input("model", tooltip="A model, or pipeline, of any kind on its way to sampler nodes."),
                *midrun_inputs(),
            ],
            outputs=[ANY.Output(display_name="model", tooltip="The same model, watched by Midrun.")],
            hidden=[io.Hidden.unique_id],
            **found_by("pause", "resume", "step", "debug", "inspect", "preview", "checkpoint", "watch"),
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        watch_loops(options)
        return present_take()

    @classmethod
    def execute(cls, model, **midrun) -> io.NodeOutput:
        watch_loops(options)  # again, as nobody asks for a fingerprint where ComfyUI caches nothing
        return io.NodeOutput(attach(model, cls.hidden.unique_id, options(**midrun)))
