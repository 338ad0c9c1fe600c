"""ComfyUI's global interrupt flag, as `state` wants it. Any thread."""

from __future__ import annotations

import comfy.model_management as mm


class ProcessingFlag:
    """Every op of comfy.ops looks at this flag, clears it and raises InterruptProcessingException."""

    def set(self) -> None:
        mm.interrupt_current_processing(True)

    def clear(self) -> None:
        mm.interrupt_current_processing(False)

    def is_set(self) -> bool:
        return mm.processing_interrupted()
