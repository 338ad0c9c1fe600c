"""Images put together and written as WebP. Plain Pillow; any thread."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from ...state.services.preview_files import Content

FRAME_MS = 125  # how long an animation shows a frame
LOSSLESS_UP_TO = 256  # pixels of the longer side: small pictures of single latent pixels stay exact
QUALITY = 85
FULL_QUALITY = 95
CARD = (320, 200)
GREY, INK = (48, 48, 48), (200, 200, 200)


@dataclass(frozen=True)
class Picture:
    """What is to be looked at: frames of one size, and which of them is the still."""

    frames: list[Image.Image]
    middle: int = 0
    reason: str | None = None  # what it shows instead of the latent, a sentence

    @property
    def still(self) -> Image.Image:
        return self.frames[self.middle]


def grid(images: Sequence[Image.Image]) -> Image.Image:
    """All of a batch, row by row, in a square or nearly so."""
    if len(images) == 1:
        return images[0]
    columns = math.ceil(math.sqrt(len(images)))
    width, height = images[0].size
    whole = Image.new("RGB", (columns * width, -(-len(images) // columns) * height))
    for number, image in enumerate(images):
        whole.paste(image, (number % columns * width, number // columns * height))
    return whole


def bounded(image: Image.Image, max_size: int) -> Image.Image:
    """No side longer than max_size pixels; never made larger."""
    scale = max_size / max(image.size)
    if scale >= 1.0:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def enlarged(image: Image.Image, max_size: int) -> Image.Image:
    """The longer side as near max_size pixels as whole multiples come."""
    scale = max(1, max_size // max(image.size))
    size = (image.width * scale, image.height * scale)
    return image if scale == 1 else image.resize(size, Image.Resampling.BICUBIC)


def webp(picture: Picture, quality: int = QUALITY) -> Content:
    """Small ones without loss."""
    lossless = quality == QUALITY and max(picture.still.size) <= LOSSLESS_UP_TO
    how: dict[str, object] = {"lossless": True, "quality": 0} if lossless else {"quality": quality}
    still = _encoded(picture.still, how)
    if len(picture.frames) == 1:
        return Content(still)
    how = how | {"save_all": True, "append_images": picture.frames[1:], "duration": FRAME_MS, "loop": 0}
    return Content(_encoded(picture.frames[0], how), still)


def card(told: str) -> Picture:
    """A neutral picture that says why there is no other."""
    image = Image.new("RGB", CARD, GREY)
    ImageDraw.Draw(image).multiline_text((16, 16), _wrapped(told), fill=INK, spacing=6)
    return Picture([image], reason=told)


def pattern(size: tuple[int, int], told: str) -> Picture:
    """A checkerboard of `size` pixels for a latent that is no picture."""
    tile = Image.new("RGB", (2, 2), GREY)
    tile.putpixel((0, 0), (200, 0, 200))
    tile.putpixel((1, 1), (200, 0, 200))
    image = Image.new("RGB", size)
    for left in range(0, size[0], 8):
        for top in range(0, size[1], 8):
            image.paste(tile.resize((8, 8), Image.Resampling.NEAREST), (left, top))
    return Picture([image], reason=told)


def _encoded(image: Image.Image, how: dict[str, object]) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", method=0, **how)
    return content.getvalue()


def _wrapped(told: str) -> str:
    lines, line = [], ""
    for word in told.split():
        if line and len(line) + len(word) > 40:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line])
