"""One picture of all steps of a job, with the step marked from which an edit applies."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from harness import Comfy

SIDE, COLUMNS, GAP, LINE = 128, 5, 10, 16  # pixels, except the columns
PAPER, INK, EDIT = (24, 24, 28), (225, 225, 225), (255, 150, 40)


def preview(comfy: Comfy, job_id: str, step: int) -> Image.Image:
    """The picture of a step; Midrun makes those that it left out while the job ran."""
    status, _, content = comfy.fetch(f"/midrun/jobs/{job_id}/preview?step={step}")
    assert status == 200, (step, status, content)
    return Image.open(io.BytesIO(content)).convert("RGB")


def write(file: Path, pictures: dict[int, Image.Image], edited_from: int, told: tuple[str, str]) -> None:
    """`told`: a line for the steps up to `edited_from`, and one for those after it."""
    rows = -(-len(pictures) // COLUMNS)
    head, cell = GAP + 2 * LINE + GAP, SIDE + LINE + GAP
    sheet = Image.new("RGB", (GAP + COLUMNS * (SIDE + GAP), head + rows * cell), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), told[0], INK)
    draw.text((GAP, GAP + LINE), told[1], EDIT)
    for at, (step, picture) in enumerate(sorted(pictures.items())):
        corner = (GAP + at % COLUMNS * (SIDE + GAP), head + at // COLUMNS * cell)
        _cell(sheet, corner, picture, step, edited_from)
    sheet.save(file)


def _cell(
    sheet: Image.Image, corner: tuple[int, int], picture: Image.Image, step: int, edited_from: int
) -> None:
    x, y = corner
    colour: Any = EDIT if step > edited_from else INK
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((x - 2, y - 2, x + SIDE + 1, y + SIDE + 1), outline=colour, width=2)
    sheet.paste(picture.resize((SIDE, SIDE)), (x, y))
    edit = ", the edit" if step == edited_from + 1 else ""
    draw.text((x, y + SIDE + 2), f"step {step}{edit}", colour)
