"""Midrun Attach: MODEL to MODEL, makes every sampler node behind it debuggable."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from .engine import hooks
from .options import midrun_inputs, options


class MidrunAttach(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunAttach",
            display_name="Midrun Attach",
            category="sampling/midrun",
            description="Every sampler node after this can be paused, edited, stepped, resumed and aborted.",
            inputs=[
                io.Model.Input("model", tooltip="The model on its way to one or more sampler nodes."),
                *midrun_inputs(),
            ],
            outputs=[io.Model.Output(tooltip="The same model, watched by Midrun.")],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        return hooks.present_take()

    @classmethod
    def execute(cls, model, **midrun) -> io.NodeOutput:
        return io.NodeOutput(hooks.attach(model, options(**midrun)))
