"""The type of an input or output that fits every wire."""

from __future__ import annotations

from comfy_api.v0_0_2 import io


class AnyType(str):
    """Fits every type, also for ComfyUI's older validation, which only compares."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


ANY = io.Custom(AnyType("*"))
