"""A heat map laid over a picture, with its legend, as WebP. Plain Pillow; any thread."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from ..lens import Heat

SMALLEST, LARGEST = 256, 1024  # pixels of the longer side
LEGEND = 22  # pixels
QUALITY = 90
GREY = (40, 40, 40)
COLOURS = ((30, 15, 70), (125, 30, 110), (205, 65, 70), (250, 145, 30), (252, 250, 160))  # cold to hot
FADED = 0.7  # how much of its colour the picture below loses
OPAQUE = 0.85  # the hottest place


def overlaid(heat: Heat, picture: bytes | None) -> bytes:
    """picture: any that Pillow reads, of what the latent shows; None: the heat stands alone"""
    below = _below(heat, picture)
    warmth = Image.frombytes("L", (heat.width, heat.height), heat.values)
    warmth = warmth.resize(below.size, Image.Resampling.BICUBIC)
    below = Image.blend(below, below.convert("L").convert("RGB"), FADED)
    shown = Image.composite(
        _coloured(warmth), below, warmth.point([round(value * OPAQUE) for value in range(256)])
    )
    whole = Image.new("RGB", (shown.width, shown.height + LEGEND), GREY)
    whole.paste(shown)
    _legend(whole, shown.height, heat)
    content = io.BytesIO()
    whole.save(content, "WEBP", quality=QUALITY)
    return content.getvalue()


def _below(heat: Heat, picture: bytes | None) -> Image.Image:
    """What the heat is laid over, in a size in which it is seen."""
    try:
        with Image.open(io.BytesIO(picture or b"")) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError):
        image = Image.new("RGB", (heat.width, heat.height), GREY)
    longer = max(image.size)
    scale = min(max(longer, SMALLEST), LARGEST) / longer
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _coloured(warmth: Image.Image) -> Image.Image:
    tables = [[_between(value / 255, channel) for value in range(256)] for channel in range(3)]
    return Image.merge("RGB", [warmth.point(table) for table in tables])


def _between(share: float, channel: int) -> int:
    place = share * (len(COLOURS) - 1)
    index = min(int(place), len(COLOURS) - 2)
    low, high = COLOURS[index][channel], COLOURS[index + 1][channel]
    return round(low + (high - low) * (place - index))


def _legend(whole: Image.Image, top: int, heat: Heat) -> None:
    """A bar from nothing to the maximum, with its number."""
    drawn, font = ImageDraw.Draw(whole), ImageFont.load_default()
    told = f"{heat.maximum:.3g}"
    right = whole.width - 8 - drawn.textlength(told, font=font)
    begins, ends = 20, max(21, int(right) - 6)
    ramp = Image.linear_gradient("L").rotate(90).resize((ends - begins, LEGEND - 12))
    whole.paste(_coloured(ramp), (begins, top + 6))
    drawn.text((8, top + 5), "0", font=font)
    drawn.text((right, top + 5), told, font=font)
