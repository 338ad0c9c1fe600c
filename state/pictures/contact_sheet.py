"""Pictures in rows and columns, with labels, as one. Plain Pillow; too slow for an event loop."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

SMALLEST, LARGEST = 192, 512  # pixels of the longer side of a picture in it
GAP, MARGIN, TEXT = 8, 12, 16
PAPER, GREY, INK = (24, 24, 24), (72, 72, 72), (225, 225, 225)
QUALITY = 90
Size = tuple[int, int]


@dataclass(frozen=True)
class Tile:
    """content: of a picture; None where there is none, and `told` stands there"""

    content: bytes | None
    told: str = ""


def contact_sheet(tiles: Sequence[Sequence[Tile]], columns: Sequence[str], rows: Sequence[str]) -> bytes:
    """WebP. tiles: row by row, as many in each as there are `columns`; an empty label takes no room."""
    pictures = [[_picture(tile) for tile in line] for line in tiles]
    sizes = [picture.size for line in pictures for picture in line if picture is not None]
    size = max((w for w, _ in sizes), default=SMALLEST), max((h for _, h in sizes), default=SMALLEST)
    font = ImageFont.load_default(TEXT)
    top = MARGIN + (TEXT + GAP if any(columns) else 0)
    left = MARGIN + max((_width(font, label) + GAP for label in rows if label), default=0)
    width = max(size[0], *(_width(font, label) for label in columns))
    right, bottom = left + len(columns) * (width + GAP), top + len(rows) * (size[1] + GAP)
    sheet = Image.new("RGB", (right - GAP + MARGIN, bottom - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for x, label in enumerate(columns):
        draw.text((left + x * (width + GAP) + width // 2, MARGIN), label, INK, font, anchor="ma")
    for y, (label, line) in enumerate(zip(rows, pictures, strict=True)):
        place = top + y * (size[1] + GAP)
        draw.text((MARGIN, place + size[1] // 2), label, INK, font, anchor="lm")
        for x, picture in enumerate(line):
            picture = picture or _grey(size, tiles[y][x].told, font)
            corner = left + x * (width + GAP) + (width - picture.width) // 2
            sheet.paste(picture, (corner, place + (size[1] - picture.height) // 2))
    content = io.BytesIO()
    sheet.save(content, "WEBP", quality=QUALITY, method=2)
    return content.getvalue()


def _picture(tile: Tile) -> Image.Image | None:
    """In a size to be seen: single latent pixels stay squares."""
    if tile.content is None:
        return None
    with Image.open(io.BytesIO(tile.content)) as opened:
        image = opened.convert("RGB")
    longer = max(image.size)
    if longer > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    elif longer < SMALLEST:
        times = -(-SMALLEST // longer)
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    return image


def _grey(size: Size, told: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> Image.Image:
    image = Image.new("RGB", size, GREY)
    ImageDraw.Draw(image).text((size[0] // 2, size[1] // 2), told, INK, font, anchor="mm")
    return image


def _width(font: ImageFont.ImageFont | ImageFont.FreeTypeFont, text: str) -> int:
    return int(font.getlength(text)) + 1
