"""Bundles: what is in them, that they are read back, and that nobody can do harm with one."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bundles import files_in, sealed
from hostile_bundles import a_million_files, hostile
from midrun.state.bundles.layout import NAMES, BadBundle, Limits
from midrun.state.bundles.reading import unpacked
from midrun.state.bundles.scrubbing import without_paths
from midrun.state.bundles.writing import Part, bag, text_part
from midrun.state.errors import MidrunError, TooLarge, Unavailable
from midrun.state.job.request import Request
from midrun.state.states import QueuePolicy, State
from two_homes import EXTRA, JOB, THERE, Home, a_bundle

CALL = "data/recording/3.0"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def bundle() -> bytes:
    return a_bundle()


# -- what is in it -----------------------------------------------------------------------------------------


def test_a_bundle_is_a_bag_with_all_of_the_job_and_no_secret(bundle: bytes) -> None:
    files = files_in(bundle)
    assert files == sealed(files) | {"bag-info.txt": files["bag-info.txt"]} | {
        "tagmanifest-sha256.txt": files["tagmanifest-sha256.txt"]
    }
    assert all(NAMES.fullmatch(name) for name in files)
    told = json.loads(files["data/job.json"])
    job = told["job"]
    assert (job["job_id"], job["state"], job["step"], job["evaluations"]) == (JOB, "paused", 3, 3)
    assert job["modified_params"]["3"]["cfg"][0]["to"] == 7.0 and len(told["telemetry"]) == 3
    assert [event["kind"] for event in told["events"]][0] == "queued" and job["breakpoints"]
    assert told["surroundings"] == json.loads(json.dumps(THERE.to_json())) and told["signed_in"] is True
    assert files["data/inputs/0001.png"] == b"a cat" and "data/previews/3/step-000003.webp" in files
    for secret in (b"sesame", b"the-client", b"/home/anna", b"some_pack"):
        assert secret not in bundle
    assert "…/x.latent" in files["data/job.json"].decode().replace("\\u2026", "…")


def test_texts_lose_absolute_paths_and_nothing_else() -> None:
    told = {
        "a": ["No such file: '/home/anna/x y/cat.png'", r"C:\Users\anna\cat.png is gone", "3/4 and/or a/b"],
        "b": "see https://example.org/a/b/c, or /a",
    }
    scrubbed = without_paths(told)
    assert "anna" not in json.dumps(scrubbed)
    assert scrubbed["a"][2] == "3/4 and/or a/b" and scrubbed["b"] == told["b"]


# -- what comes out of it ----------------------------------------------------------------------------------


def test_a_job_comes_out_as_it_went_in(home: Home, bundle: bytes) -> None:
    view = home.imported(bundle)
    assert (view.job_id, view.prompt_ids, view.state) == (JOB, (JOB,), State.PAUSED)
    assert (view.step, view.evaluations, view.held, view.gpu_released) == (3, 3, False, True)
    assert view.edits["3"]["cfg"][0].after == 7.0 and view.warnings == {}
    stored = home.store.find(JOB).result()
    assert stored is not None and stored.view.imported == view.imported
    kinds = [event["kind"] for event in home.store.events(JOB).result()]
    assert kinds[0] == "queued" and "imported" in kinds and len(home.store.telemetry(JOB).result()) == 3
    recording = home.recordings.open(JOB, "3", 0)
    assert len(recording) == 3 and torch.equal(recording.read(2).main, torch.full((1, 4, 2, 2), 2.0))
    assert home.files.read(JOB, home.files.listed(JOB)[0]) is not None
    assert not any((home.place / "imports").iterdir())


def test_what_patches_remembered_is_not_taken_over_and_a_resume_asks_again(home: Home, bundle: bytes) -> None:
    view = home.imported(bundle)
    recording = home.recordings.open(JOB, "3", 0)
    assert recording.memories() == [0]
    remembered = recording.remembered(0)
    assert remembered.told["before"] == {} and not remembered.tensors and remembered.told["opaque"]
    assert (view.exactness.kind, view.exactness.evaluations) == ("recomputes", 3)
    assert view.exactness.because == "EasyCache"


def test_a_second_import_gets_an_id_of_its_own(home: Home, bundle: bytes) -> None:
    first, second = home.imported(bundle), home.imported(bundle)
    assert first.job_id == JOB and second.job_id != JOB
    assert len(home.recordings.open(second.job_id, "3", 0)) == 3
    assert home.store.job_ids().result() == {first.job_id, second.job_id}


def test_an_input_file_overwrites_none_and_the_graph_follows(home: Home, bundle: bytes) -> None:
    (home.around.inputs / "cat.png").write_bytes(b"another cat")
    home.imported(bundle)
    assert (home.around.inputs / "cat.png").read_bytes() == b"another cat"
    assert (home.around.inputs / "other-cat.png").read_bytes() == b"a cat"
    stored = home.store.find(JOB).result()
    assert stored is not None
    assert stored.request.prompt["5"]["inputs"]["image"] == "other-cat.png"
    workflow = stored.request.extra_data["extra_pnginfo"]["workflow"]
    assert workflow["nodes"][0]["widgets_values"] == ["other-cat.png", "image"]
    assert EXTRA["extra_pnginfo"]["workflow"]["nodes"][0]["widgets_values"][0] == "cat.png"


def test_a_job_that_never_sampled_travels_too(home: Home, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")
    job = there.registry.add(
        JOB, Request({"3": {"class_type": "MidrunKSampler", "inputs": {}}}, {}), QueuePolicy.AUTO
    )
    assert job is not None
    made = there.exported()
    there.close()
    assert not [name for name in files_in(made) if name.startswith("data/recording")]
    view = home.imported(made)
    assert (view.state, view.step, view.evaluations, view.node_id) == (State.PAUSED, 0, 0, None)


def test_an_imported_job_can_be_exported_again(home: Home, bundle: bytes, tmp_path: Path) -> None:
    home.imported(bundle)
    third = Home(tmp_path / "third")
    view = third.imported(home.exported())
    assert (view.job_id, view.evaluations, view.exactness.kind) == (JOB, 3, "recomputes")
    third.close()


# -- what is refused ---------------------------------------------------------------------------------------


def test_no_hostile_bundle_is_taken_and_nothing_of_it_is_kept(home: Home, bundle: bytes) -> None:
    before = home.kept()
    names = []
    for name, made in hostile(bundle):
        with pytest.raises(MidrunError) as refusal:
            home.imported(made)
        told = str(refusal.value)
        assert isinstance(refusal.value, BadBundle), (name, told)
        assert told.startswith("Nothing was imported: ") and told.endswith("."), (name, told)
        assert len(told) < 400 and home.kept() == before, (name, home.kept())
        names.append(name)
    assert len(names) == len(set(names)) > 200
    assert home.imported(bundle).job_id == JOB  # the good one is


def test_a_list_of_a_million_files_is_not_even_read(home: Home) -> None:
    made = a_million_files()
    tracemalloc.start()
    with pytest.raises(BadBundle, match="1000000 files; the limit is 100000"):
        home.imported(made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024**2


def test_a_bundle_over_the_limit_is_refused_before_all_of_it_came(tmp_path: Path, bundle: bytes) -> None:
    small = Home(tmp_path / "small", Limits(bytes=1000))
    incoming = small.importing.begin()
    incoming.write(bundle[:1000])
    with pytest.raises(TooLarge, match="raise the limit in ComfyUI's settings"):
        incoming.write(bundle[1000:])
    incoming.close()
    assert small.kept() == []
    small.close()


def test_a_disk_that_is_full_keeps_nothing(
    home: Home, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> Any:
        raise OSError("no space left")

    steps = (
        (home.files, "take_in"),
        (home.store, "add_whole"),
        (home.store, "find"),
        (home.around, "put_there"),
    )
    for place, name in steps:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fails)
            with pytest.raises(Unavailable, match="Nothing was imported: .*no space left"):
                home.imported(bundle)
        assert home.kept() == [] and JOB not in home.registry.taken
    assert home.imported(bundle).job_id == JOB


# -- how much memory it takes ------------------------------------------------------------------------------


def test_writing_and_reading_take_the_same_memory_whatever_the_size(tmp_path: Path) -> None:
    size = 256 * 1024**2

    def pieces() -> Iterator[bytes]:
        for _ in range(size // 2**20):
            yield bytes(2**20)

    tracemalloc.start()
    file, place = tmp_path / "bundle", tmp_path / "place"
    parts = [Part(f"{CALL}/000000.safetensors", size, pieces), text_part("data/job.json", b"{}")]
    with file.open("wb") as opened:
        for piece in bag(parts, {}):
            opened.write(piece)
    assert unpacked(file, place, Limits(), reserve=0) == {}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (place / CALL / "000000.safetensors").stat().st_size == size
    assert peak < 16 * 1024**2, peak
