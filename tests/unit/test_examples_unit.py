"""The example workflows as files: their pictures, notes and links."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import contact_sheet
import examples
from test_examples import RESULTS


def test_there_are_the_three_of_the_readme() -> None:
    assert examples.names() == sorted(RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_an_example_has_a_picture_and_says_what_to_swap(name: str) -> None:
    with Image.open(examples.FOLDER / f"{name}.jpg") as picture:  # ComfyUI's frontend looks for a .jpg
        assert picture.size == (416, 208)
    note = next(node for node in examples.saved(name)["nodes"] if node["type"] in examples.NOTES)
    assert "replace *Midrun Demo Model* with *Load Checkpoint*" in note["widgets_values"][0]


@pytest.mark.parametrize("name", RESULTS)
def test_the_links_of_an_example_agree_with_its_slots(name: str) -> None:
    workflow = examples.saved(name)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, slot, target, entry, kind in workflow["links"]:
        assert nodes[target]["inputs"][entry]["link"] == number
        assert number in nodes[source]["outputs"][slot]["links"]
        assert nodes[source]["outputs"][slot]["type"] == kind == nodes[target]["inputs"][entry]["type"]


def test_a_contact_sheet_marks_the_edit(tmp_path: Path) -> None:
    plain = Image.new("RGB", (128, 128), "white")
    contact_sheet.write(tmp_path / "sheet.png", dict.fromkeys(range(1, 8), plain), 3, ("before", "after"))
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 16)}
        assert {contact_sheet.EDIT, contact_sheet.INK} <= colours and sheet.width == 700
