"""Midrun Demo Model: a tiny text-to-image model that comes with the pack, as MODEL, CLIP and VAE."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from .comfyui import demo_loading
from .search_words import found_by


class MidrunDemoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunDemoModel",
            display_name="Midrun Demo Model",
            category="sampling/midrun",
            description="Draws coloured shapes, 128x128: a tiny model to try Midrun without a checkpoint.",
            inputs=[],
            outputs=[
                io.Model.Output(tooltip="A small UNet, built like SD1.5's."),
                io.Clip.Output(tooltip="A small text encoder behind CLIP's tokenizer."),
                io.Vae.Output(tooltip="A small autoencoder, built like TAESD."),
            ],
            **found_by("demo", "tiny model", "debug", "checkpoint", "example"),
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*demo_loading.load())
