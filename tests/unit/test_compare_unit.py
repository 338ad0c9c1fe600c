"""The grid of forks: its cells, and the sheet of their pictures."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from midrun.state.errors import BadRequest
from midrun.state.job.fork_grid import Axis, Cell, axes_of, cell_of, cells, variant
from midrun.state.pictures.contact_sheet import GREY, PAPER, SMALLEST, Tile, contact_sheet


def test_a_grid_has_a_cell_for_each_combination_and_comes_back_from_its_row() -> None:
    axes = axes_of({"3": {"cfg": [4, 7.5]}, "4": {"text": ["a\nb", "c" * 60]}})
    made = cells("g", axes, 2, 16)
    assert len(made) == 8 and len({(cell.column, cell.row) for cell in made}) == 8
    assert variant(made[2]) == {"3": {"cfg": 4}, "4": {"text": "c" * 60}}
    assert all(cell_of(cell.to_row()) == cell for cell in made)
    assert [axis.label(0) for axis in axes] == ["cfg 4", "text a b"]
    assert (axes[0].label(1), len(axes[1].label(1))) == ("cfg 7.5", 40)
    assert cells("g", (), 2, 16)[1] == Cell("g", (), (), 1)
    assert Axis("3", "cfg", (3.0,)).label(0) == "cfg 3"
    with pytest.raises(BadRequest):
        axes_of({"3": {"a": [1], "b": [1]}, "4": {"c": [1]}})


def picture(width: int, height: int, colour: tuple[int, int, int]) -> Tile:
    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "WEBP", lossless=True)
    return Tile(content.getvalue())


def near(one: Any, other: Any) -> bool:
    return all(abs(a - b) < 16 for a, b in zip(one, other, strict=True))


def test_a_sheet_shows_what_there_is_and_says_what_there_is_not() -> None:
    red, blue = (200, 0, 0), (0, 0, 200)
    tiles = [[picture(16, 16, red), Tile(None, "queued")], [picture(2000, 1000, blue), picture(16, 16, red)]]
    with Image.open(io.BytesIO(contact_sheet(tiles, ["cfg 3", "cfg 7"], ["seed 1", ""]))) as sheet:
        assert sheet.format == "WEBP" and sheet.width > 2 * 512 and sheet.height > 2 * 256
        rgb = sheet.convert("RGB")
    assert near(rgb.getpixel((2, 2)), PAPER)
    shown = [colour for _, colour in rgb.getcolors(1 << 24)]
    assert all(any(near(one, wanted) for one in shown) for wanted in (red, blue, GREY))
    with Image.open(io.BytesIO(contact_sheet([[Tile(None, "failed")]], [""], [""]))) as sheet:
        assert sheet.size == (SMALLEST + 24, SMALLEST + 24)
