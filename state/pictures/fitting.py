"""Pictures in the largest size in which all together are small enough. Plain Pillow; takes a while."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

EDGES = (768, 512, 384, 256, 192, 128, 96, 64)  # pixels of the longer side, the best first
QUALITY = 80
SAMPLE = 12


def fitted(pictures: Sequence[bytes | None], most: int) -> list[bytes | None]:
    """Of `most` bytes at most; at the smallest size some are left out, evenly. So is what is no picture."""
    if _size(pictures) <= most:
        return list(pictures)
    known = [picture for picture in pictures if picture is not None]
    sample = known[:: max(1, len(known) // SAMPLE)]
    for edge in EDGES:
        if _size([_smaller(one, edge) for one in sample]) * len(known) > most * len(sample) * 1.1:
            continue
        made = [None if one is None else _smaller(one, edge) for one in pictures]
        if _size(made) <= most:
            return made
    made = [None if one is None else _smaller(one, EDGES[-1]) for one in pictures]
    every = 2
    while every <= len(made) and _size(made[::every]) > most:
        every += 1
    return [one if every <= len(made) and index % every == 0 else None for index, one in enumerate(made)]


def at_most(picture: bytes, edge: int) -> bytes:
    """Its first frame in that size; as it is, where it is no picture, or small enough and not a video."""
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            if max(opened.size) <= edge and not getattr(opened, "is_animated", False):
                return picture
    except (OSError, ValueError):
        return picture
    return _smaller(picture, edge) or picture


def _size(pictures: Sequence[bytes | None]) -> int:
    return sum(len(one) for one in pictures if one is not None)


def _smaller(picture: bytes, edge: int) -> bytes | None:
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError):
        return None
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=QUALITY, method=2)
    return content.getvalue()
