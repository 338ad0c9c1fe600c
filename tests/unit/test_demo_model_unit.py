"""The demo model's files, and the checker that says what is to be seen in its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from demo_model.check import look
from demo_model.draw import COLOURS, SHAPES, draw, hollow, random_scene

ROOT = Path(__file__).resolve().parents[2]


def test_the_checker_finds_what_was_drawn() -> None:
    rng = np.random.default_rng(5)
    wrong = []
    for number in range(300):
        scene = random_scene(rng)
        scene = hollow(scene) if number % 3 == 0 else scene
        seen = look(draw(scene, rng))
        if (seen.shape, seen.colour, seen.ground, seen.hollow) != (
            scene.shape,
            scene.colour,
            scene.ground,
            scene.hollow,
        ):
            wrong.append((scene, seen))
    assert len(wrong) <= 6, wrong[:3]


def test_the_checker_sees_nothing_in_a_bare_ground() -> None:
    bare = np.full((128, 128, 3), np.array(COLOURS["blue"]) / 255, np.float32)
    assert look(bare).shape is None and look(bare).ground == "blue"


def test_the_files_are_small_and_known() -> None:
    files = sorted((ROOT / "demo_model").rglob("*.safetensors"))
    assert len(files) == 3 and sum(file.stat().st_size for file in files) < 8e6
    assert set(SHAPES) == {"circle", "square", "triangle", "diamond", "star"}
