"""Screenshots as files of the README and of the help pages."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def save(file: Path, png: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(png)).convert("RGB").save(file, "WEBP", quality=80, method=6)


def animate(file: Path, pngs: list[bytes], times: list[int]) -> None:
    """times: milliseconds of each; at three quarters of the size"""
    shown = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    size = (shown[0].width * 3 // 4, shown[0].height * 3 // 4)
    frames = [one.resize(size, Image.Resampling.LANCZOS) for one in shown]
    more = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(file, "WEBP", quality=60, method=6, minimize_size=True, **more)
