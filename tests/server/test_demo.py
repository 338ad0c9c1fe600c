"""The demo is played on the tests' own server."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

import demo
from demo_model.check import Seen
from harness import Comfy


def test_the_demo_turns_a_circle_into_a_square_and_writes_its_sheet(comfy: Comfy, tmp_path: Path) -> None:
    output = demo.play(comfy, tmp_path / "sheet.png")
    with Image.open(output) as image:
        assert demo.seen(image) == Seen("yellow", "square", "blue")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 700
