"""Midrun Kept: gives what a node answered in an earlier run of the job. Midrun puts it into resumed runs."""

from __future__ import annotations

import inspect
import json

from comfy_api.v0_0_2 import io

from .breakpoint import ANY

# Newer versions list such nodes for developers only.
HIDDEN = {"is_dev_only": True} if "is_dev_only" in inspect.signature(io.Schema).parameters else {}


class MidrunKept(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunKept",
            display_name="Midrun Kept",
            category="sampling/midrun",
            description=(
                "Repeats what a node answered earlier in the same job. Midrun puts it into resumed runs, so "
                "that a wildcard is not drawn again."
            ),
            inputs=[
                io.String.Input("values", default="[]", tooltip="What the node answered: a list as JSON."),
                io.String.Input("node", default="", optional=True, tooltip="The node that answered it."),
                io.Int.Input("slot", default=0, min=0, optional=True, tooltip="Which output, from 0."),
            ],
            outputs=[ANY.Output(display_name="value", tooltip="The same value again.", is_output_list=True)],
            **HIDDEN,
        )

    @classmethod
    def execute(cls, values, node="", slot=0) -> io.NodeOutput:
        return io.NodeOutput(json.loads(values))
