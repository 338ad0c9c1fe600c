"""What differs where a job goes on: how it is found, and how it is told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from midrun.state.bundles.comparing import differences
from midrun.state.bundles.file_hashes import SAMPLE, SAMPLES, Deadline, FileHashes
from midrun.state.surroundings import (
    Checked,
    Imported,
    ModelFile,
    Pack,
    Surroundings,
    imported_of,
    surroundings_of,
)
from midrun.state.workflow.edits import Edit
from midrun.state.workflow.renaming import in_history, in_prompt, in_workflow

VALUES = {
    "torch": "2.4",
    "device": "cuda H100",
    "threads": "8",
    "cpu": "AVX2",
    "midrun": "1",
    "python": "3.11",
}
MODEL = ModelFile("loras", "x.safetensors", 5_000_000_000, "a" * 64, "b" * 64)
THERE = Surroundings(VALUES, (Pack("Some-Pack", "1.0", ("SomeNode", "Other")),), (MODEL,))


def told(now: Surroundings, lost: tuple[str, ...] = ()) -> dict[str, tuple[str, bool]]:
    found = differences(THERE, now, lost)
    return {one.code: (one.message, one.arithmetic) for one in found}


def test_where_all_is_the_same_nothing_differs() -> None:
    assert told(THERE) == {}
    assert told(replace(THERE, packs=(), models=())) == {}  # not in the graph any more


@pytest.mark.parametrize("name", ["torch", "device"])
def test_another_version_or_device_may_change_the_arithmetic(name: str) -> None:
    found = told(replace(THERE, values=VALUES | {name: "other"}))
    assert list(found) == [name] and found[name][1]
    assert found[name][0].startswith(("PyTorch is other here", "The device is other here"))
    assert f"was {VALUES[name]} where the job was computed. For an exact result" in found[name][0]


def test_another_midrun_or_python_changes_nothing_and_threads_matter_on_a_cpu_alone() -> None:
    found = told(
        replace(THERE, values=VALUES | {"midrun": "2", "python": "3.12", "threads": "1", "cpu": "x"})
    )
    assert {code: arithmetic for code, (_, arithmetic) in found.items()} == {"midrun": False, "python": False}
    on_cpu = VALUES | {"device": "cpu"}
    found_there = differences(
        replace(THERE, values=on_cpu), replace(THERE, values=on_cpu | {"threads": "1"}), ()
    )
    assert [(one.code, one.then, one.now, one.arithmetic) for one in found_there] == [
        ("threads", "8", "1", True)
    ]


def test_a_model_is_the_same_by_its_hash_else_by_its_samples() -> None:
    for other in (replace(MODEL, sha256=None), replace(MODEL, samples="c" * 64)):
        assert told(replace(THERE, models=(other,))) == {}
    for other in (replace(MODEL, size=7), replace(MODEL, sha256="c" * 64)):
        message, arithmetic = told(replace(THERE, models=(other,)))["model"]
        assert "The model loras/x.safetensors is another file here" in message and arithmetic
    unread = replace(MODEL, sha256=None, samples="c" * 64)
    assert "model" in told(replace(THERE, models=(unread,)))
    gone = ModelFile("loras", "x.safetensors")
    message, arithmetic = told(replace(THERE, models=(gone,)))["model_missing"]
    assert "(5.00 GB, SHA-256 aaaaaaaaaaaaaaaa…) is not here. Put it into" in message and not arithmetic


def test_packs_and_files_that_are_missing_say_what_to_do() -> None:
    message, arithmetic = told(replace(THERE, packs=(Pack("Some-Pack", "2.0"),)))["node_pack"]
    assert "Some-Pack is 2.0 here and was 1.0" in message and arithmetic
    message, _ = told(replace(THERE, missing_nodes=("SomeNode", "Other")))["node_pack_missing"]
    assert "The node pack Some-Pack, which has SomeNode, Other, is not installed" in message
    assert "ComfyUI-Manager" in message
    message, _ = told(replace(THERE, missing_nodes=("Odd",)))["node_pack_missing"]
    assert "This ComfyUI has no node Odd" in message
    found = told(replace(THERE, missing_inputs=("cat.png",)), ("cat.png",))
    assert "did not carry it. Put it there, or choose another." in found["input_missing"][0]


def test_what_is_stored_of_an_import_is_read_back() -> None:
    found = differences(THERE, replace(THERE, values={}, models=(ModelFile("loras", "x.safetensors"),)), ())
    imported = Imported("2026-01-01T00:00:00.000Z", THERE, ("cat.png",), True, found, Checked(3, 0.5, 2.0))
    assert imported_of(imported.to_row()) == imported and surroundings_of(THERE.to_json()) == THERE
    assert not imported.wants_check and not replace(imported, checked=None).wants_check
    for odd in ({}, imported.to_row() | {"more": 1}):
        with pytest.raises(KeyError):
            imported_of(odd)


# -- hashes ------------------------------------------------------------------------------------------------


def test_a_hash_is_kept_as_long_as_the_file_stays_the_same(tmp_path: Path) -> None:
    model, cache = tmp_path / "model", tmp_path / "cache.json"
    model.write_bytes(b"weights")
    first = FileHashes(cache).of(model, Deadline())
    assert first.size == 7 and first.sha256 is not None and first.why is None
    known = FileHashes(cache)  # after a restart
    assert known.of(model, None) == first
    os.utime(model, ns=(1, 1))
    other = known.of(model, None)
    assert (other.sha256, other.samples) == (None, first.samples) and "within 60 s" in (other.why or "")
    model.write_bytes(b"others!")
    assert known.of(model, Deadline()).sha256 != first.sha256
    cache.write_text("no JSON")
    assert FileHashes(cache).of(model, Deadline()).size == 7


def test_a_large_file_is_told_apart_by_its_samples(tmp_path: Path) -> None:
    model, hashes = tmp_path / "model", FileHashes(tmp_path / "cache.json")
    size = 4 * SAMPLES * SAMPLE
    with model.open("wb") as file:
        file.truncate(size)
    found = hashes.of(model, Deadline(0.0))
    assert found.sha256 is None and "was not read to its end within 0 s" in (found.why or "")
    with model.open("r+b") as file:
        file.seek(size - 1)
        file.write(b"x")
    assert hashes.of(model, None).samples != found.samples


# -- names -------------------------------------------------------------------------------------------------


def test_a_renamed_file_is_renamed_in_the_graph_the_edits_and_the_workflow() -> None:
    names = {("5", "image"): ("a.png", "b.png")}
    prompt = {"5": {"inputs": {"image": "a.png", "other": "a.png"}}, "6": {"inputs": {"image": "a.png"}}}
    made = in_prompt(prompt, names)
    assert made["5"]["inputs"] == {"image": "b.png", "other": "a.png"}
    assert made["6"]["inputs"]["image"] == "a.png" and prompt["5"]["inputs"]["image"] == "a.png"
    history = {"5": {"image": (Edit("a.png", "c.png", 2), Edit("c.png", "a.png"))}, "6": {"x": (Edit(1, 2),)}}
    edited = in_history(history, names)
    assert [(one.before, one.after) for one in edited["5"]["image"]] == [
        ("b.png", "c.png"),
        ("c.png", "b.png"),
    ]
    assert edited["6"] == history["6"]
    nodes = [{"id": 5, "widgets_values": ["a.png"]}, {"id": 6, "widgets_values": ["a.png"]}, {"id": 5}, 7]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    shown = in_workflow(extra, names)["extra_pnginfo"]["workflow"]["nodes"]
    assert shown[0]["widgets_values"] == ["b.png"] and shown[1]["widgets_values"] == ["a.png"]
    for odd in ({}, {"extra_pnginfo": 1}, {"extra_pnginfo": {"workflow": {"nodes": {}}}}):
        assert in_workflow(odd, names) == odd
