"""KSampler (Midrun): ComfyUI's KSampler, debuggable."""

from __future__ import annotations

import comfy.samplers
from comfy_api.v0_0_2 import io

from .comfyui.comfy_nodes import comfy_nodes
from .engine import hooks
from .engine.before_node import present_take
from .options import midrun_inputs, options
from .search_words import found_by


def _sampling_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            control_after_generate=True,
            tooltip="The random seed used for creating the noise.",
        ),
        io.Int.Input("steps", default=20, min=1, max=10000, tooltip="How many steps denoise the latent."),
        io.Float.Input(
            "cfg",
            default=8.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="Classifier-free guidance: higher follows the prompt more closely.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=comfy.samplers.KSampler.SAMPLERS,
            tooltip="The sampling algorithm.",
        ),
        io.Combo.Input(
            "scheduler",
            options=comfy.samplers.KSampler.SCHEDULERS,
            tooltip="How noise is removed over the steps.",
        ),
    ]


class MidrunKSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MidrunKSampler",
            display_name="KSampler (Midrun)",
            category="sampling/midrun",
            description="A KSampler that can be paused, edited, stepped, resumed and aborted.",
            inputs=[
                io.Model.Input("model", tooltip="The model used for denoising the input latent."),
                *_sampling_inputs(),
                io.Conditioning.Input("positive", tooltip="What to include in the image."),
                io.Conditioning.Input("negative", tooltip="What to exclude from the image."),
                io.Latent.Input("latent_image", tooltip="The latent image to denoise."),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much is denoised: lower keeps the structure of the input latent.",
                ),
                *midrun_inputs(),
            ],
            outputs=[io.Latent.Output(tooltip="The denoised latent.")],
            **found_by("pause", "resume", "step", "debug", "inspect", "preview", "checkpoint", "rewind"),
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> str:
        return present_take()

    @classmethod
    def execute(
        cls,
        model,
        seed,
        steps,
        cfg,
        sampler_name,
        scheduler,
        positive,
        negative,
        latent_image,
        denoise=1.0,
        **midrun,
    ) -> io.NodeOutput:
        watched = hooks.attach(model, options(**midrun))
        result = comfy_nodes.common_ksampler(
            watched,
            seed,
            steps,
            cfg,
            sampler_name,
            scheduler,
            positive,
            negative,
            latent_image,
            denoise=denoise,
        )
        return io.NodeOutput(*result)
