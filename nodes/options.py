"""The inputs that both Midrun nodes have, and what they mean to the hooks."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..state.pictures.previews import Method, PreviewOptions
from ..state.states import QueuePolicy
from .engine.runtime import Options
from .folded import folded


def midrun_inputs() -> list[io.Input]:
    """Folded away until somebody wants them: all have a sensible default, and the settings have most."""
    inputs = [
        io.Int.Input(
            "pause_at_step",
            default=0,
            min=0,
            max=10000,
            optional=True,
            tooltip="Pause after this many steps. 0 is off.",
        ),
        io.Combo.Input(
            "queue_policy",
            options=[policy.value for policy in QueuePolicy],
            default=QueuePolicy.AUTO.value,
            optional=True,
            tooltip=(
                "What a paused job does with the queue. auto: it waits in place until another prompt is "
                "queued, then lets it run. hold: it always waits in place. park: it always lets others run."
            ),
        ),
        *_preview_inputs(),
    ]
    return [folded(one) for one in inputs]


def _preview_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "preview_method",
            options=[method.value for method in Method],
            default=Method.AUTO.value,
            optional=True,
            tooltip=(
                "How a step becomes a picture. taesd: a tiny decoder from models/vae_approx. latent2rgb: the "
                "latent's own colours. auto: taesd if its decoder is there, else latent2rgb. none: nothing."
            ),
        ),
        io.Int.Input(
            "preview_every",
            default=0,
            min=0,
            max=10000,
            optional=True,
            tooltip="Steps between two previews. 0 is automatic: as often as it costs little.",
        ),
        io.Int.Input(
            "preview_max_size",
            default=512,
            min=64,
            max=4096,
            step=64,
            optional=True,
            tooltip="Longest side of a preview, in pixels.",
        ),
    ]


def options(
    pause_at_step: int = 0,
    queue_policy: str = QueuePolicy.AUTO.value,
    preview_method: str = Method.AUTO.value,
    preview_every: int = 0,
    preview_max_size: int = 512,
) -> Options:
    previews = PreviewOptions(Method(preview_method), preview_every, preview_max_size)
    return Options(pause_at_step, QueuePolicy(queue_policy), previews)
