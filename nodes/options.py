"""The inputs that both Midrun nodes have, and what they mean to the hooks."""

from __future__ import annotations

from comfy_api.latest import io

from ..state.view import QueuePolicy
from .hooks import Options


def midrun_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "pause_at_step",
            default=0,
            min=0,
            max=10000,
            optional=True,
            tooltip="Pause by itself once this many steps are done. 0 is off.",
        ),
        io.Combo.Input(
            "queue_policy",
            options=[policy.value for policy in QueuePolicy],
            default=QueuePolicy.AUTO.value,
            optional=True,
            tooltip=(
                "What a paused job does with the queue. auto: wait in place, but let others run as soon as "
                "somebody waits. hold: always wait in place. park: always let others run."
            ),
        ),
    ]


def options(pause_at_step: int = 0, queue_policy: str = QueuePolicy.AUTO.value) -> Options:
    return Options(pause_at_step, QueuePolicy(queue_policy))
