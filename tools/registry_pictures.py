"""The icon and the banner that the registry shows, drawn into docs/: `python tools/registry_pictures.py`."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

DOCS = Path(__file__).resolve().parents[1] / "docs"
ICON, BANNER = 400, (1680, 720)  # the registry takes a square of at most 400 pixels, and 21:9
FINE = 3  # drawn so many times larger, then made smaller, for smooth edges
GROUND, INK, QUIET, PAUSED = "#17181c", "#f4f4f5", "#a1a1aa", "#eab308"
YELLOW, RED, BLUE = (250, 204, 21), (220, 38, 38), (37, 99, 235)
Colour = tuple[int, int, int]
CELLS = 16  # of a picture's side
STEPS = (
    *((noise, "circle") for noise in (1.0, 0.8, 0.6, 0.4)),
    (0.32, "square"),
    (0.16, "square"),
    (0.0, "square"),
)
EDITED_AFTER = 4
TOLD = "Pause, edit, rewind and resume sampling, bit-identically."


def _mixed(noise: float, clean: Colour, chance: random.Random) -> Colour:
    """`clean` under that share of noise, from 0 to 1."""
    red, green, blue = (round(part + noise * (chance.randrange(256) - part)) for part in clean)
    return red, green, blue


def _picture(noise: float, shape: str, chance: random.Random) -> Image.Image:
    """A red circle or a blue square on a yellow ground, one pixel a cell."""
    picture = Image.new("RGB", (CELLS, CELLS))
    for y in range(CELLS):
        for x in range(CELLS):
            across, down = abs(x - CELLS / 2 + 0.5), abs(y - CELLS / 2 + 0.5)
            inside = max(across, down) < 4.6 if shape == "square" else across**2 + down**2 < 5.4**2
            clean = (BLUE if shape == "square" else RED) if inside else YELLOW
            picture.putpixel((x, y), _mixed(noise, clean, chance))
    return picture


def icon() -> Image.Image:
    """The sign for a pause: the left bar is noise, the right one what becomes of it."""
    side = ICON * FINE
    drawn = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(drawn)
    draw.rounded_rectangle((0, 0, side - 1, side - 1), side * 0.2, GROUND)
    columns, rows, chance = 3, 9, random.Random(6)
    cell = round(side * 0.62 / rows)
    wide, tall, apart = cell * columns, cell * rows, round(cell * 0.75)
    left, right, top = side // 2 - apart - wide, side // 2 + apart, (side - cell * rows) // 2
    for row in range(rows):
        for column in range(columns):
            at = left + column * cell, top + row * cell
            colour = _mixed(0.85, _between(YELLOW, RED, row / (rows - 1)), chance)
            draw.rectangle((*at, at[0] + cell - 1, at[1] + cell - 1), colour)
    for y in range(tall):
        draw.line((right, top + y, right + wide - 1, top + y), _between(YELLOW, RED, y / tall))
    return drawn.resize((ICON, ICON), Image.Resampling.LANCZOS)


def _between(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def banner() -> Image.Image:
    """A job from noise to its picture: paused after a step, and edited."""
    width, height = BANNER[0] * FINE, BANNER[1] * FINE
    drawn = Image.new("RGB", (width, height), GROUND)
    draw, chance = ImageDraw.Draw(drawn), random.Random(20)
    side, gap, pause, top = 176 * FINE, 28 * FINE, 92 * FINE, 398 * FINE
    margin = (width - len(STEPS) * side - (len(STEPS) - 2) * gap - pause) // 2
    left = margin
    for number, (noise, shape) in enumerate(STEPS, 1):
        tile = _picture(noise, shape, chance).resize((side, side), Image.Resampling.NEAREST)
        drawn.paste(tile, (left, top))
        left += side + (pause if number == EDITED_AFTER else gap)
        if number == EDITED_AFTER:
            _pause_sign(draw, left - pause // 2, top + side // 2)
    draw.text((margin - 10 * FINE, 108 * FINE), "Midrun", INK, ImageFont.load_default(132 * FINE))
    draw.text((margin - 2 * FINE, 276 * FINE), TOLD, QUIET, ImageFont.load_default(46 * FINE))
    return drawn.resize(BANNER, Image.Resampling.LANCZOS)


def _pause_sign(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    wide, tall = 14 * FINE, 84 * FINE
    for left in (x - wide * 3 // 2, x + wide // 2):
        draw.rectangle((left, y - tall // 2, left + wide, y + tall // 2), PAUSED)


if __name__ == "__main__":
    icon().save(DOCS / "icon.png", optimize=True)
    banner().quantize(192).save(DOCS / "banner.png", optimize=True)
