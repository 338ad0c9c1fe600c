"""What saved pictures tell of how they were made, beside ComfyUI's own workflow. Pure functions."""

from __future__ import annotations

from typing import Any


def embedded(extra_data: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The extra_data of a prompt, with that under the key `midrun` as well."""
    known = _dict(extra_data.get("extra_pnginfo"))
    return {**extra_data, "extra_pnginfo": {**known, "midrun": {**_dict(known.get("midrun")), **told}}}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
