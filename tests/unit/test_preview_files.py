"""Pictures on disk and their list, with a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from midrun.state.job.request import Request
from midrun.state.job.view import JobView
from midrun.state.pictures.previews import Preview, PreviewKind
from midrun.state.recording.disk import DiskRecordings
from midrun.state.services.preview_files import LISTED, Content, PreviewFiles
from midrun.state.services.retention import Limits, Retention
from midrun.state.states import State
from midrun.state.store.store import Store

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "midrun.db")
    store.add(JobView("job", ("job",), State.RUNNING, AT, AT, node_id="3", step=2), Request({}, {}))
    yield store
    store.close()


def preview(step: int, ordinal: int = 0, kind: PreviewKind = PreviewKind.STEP, frames: int = 1) -> Preview:
    return Preview("3", ordinal, kind, step, 1.0, 8, 8, frames, "latent2rgb", f"digest{step}", AT)


def steps(files: PreviewFiles) -> list[int]:
    return [one.step for one in files.listed("job")]


def test_what_is_saved_is_there_after_a_restart(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    files.add("job", preview(1), Content(b"one"))
    files.add("job", preview(2, frames=5), Content(b"two", b"still"))
    files.save("job")
    again = PreviewFiles(tmp_path, store, 0)
    found = again.find("job", "3", PreviewKind.STEP, None)
    assert found == preview(2, frames=5) and steps(again) == [1, 2]
    assert (again.read("job", found), again.read("job", found, still=True)) == (b"two", b"still")
    stored = store.find("job").result()
    assert stored is not None and stored.view.preview_url == found.url("job")


def test_the_newest_is_that_of_the_last_step_whenever_it_was_made(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    for step in (1, 5, 3):
        files.add("job", preview(step), Content(b"x"))
    newest = files.find("job", "3", PreviewKind.STEP, None)
    assert newest is not None and newest.step == 5
    assert files.find("job", "4", PreviewKind.STEP, None) is None


def test_another_call_of_the_node_takes_the_place_of_the_one_before(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    files.add("job", preview(1), Content(b"x"))
    files.begin("job", "3", 0)
    assert steps(files) == [1]
    files.begin("job", "3", 1)
    assert steps(files) == [] and not list(tmp_path.rglob("*.webp"))


def test_steps_that_are_made_anew_lose_their_pictures(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    for step in (1, 2, 3):
        files.add("job", preview(step), Content(b"x"))
    files.forget_from("job", "3", 2)
    assert steps(files) == [1] and len(list(tmp_path.rglob("*.webp"))) == 1


def test_of_very_many_every_other_goes_and_the_first_and_last_stay(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    for step in range(1, 3 * LISTED):
        files.add("job", preview(step), Content(b"x"))
    kept = steps(files)
    assert len(kept) <= LISTED and kept[0] == 1 and kept[-1] == 3 * LISTED - 1
    assert len(list(tmp_path.rglob("*.webp"))) == len(kept)


def test_a_full_disk_leaves_the_newest_in_memory(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 2**62)
    with pytest.raises(OSError, match="too little space is free"):
        files.add("job", preview(1), Content(b"one"))
    assert files.read("job", preview(1)) == b"one"
    with pytest.raises(OSError, match="too little space is free"):
        files.add("job", preview(2), Content(b"two"))
    assert files.read("job", preview(1)) is None and files.read("job", preview(2)) == b"two"


def test_a_deleted_job_leaves_nothing(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    files.add("job", preview(1), Content(b"x"))
    files.drop("job")
    assert not list((tmp_path / "previews").iterdir())


@pytest.mark.parametrize(("size", "left"), [(10 * 10_000, ["newer"]), (10**9, ["older", "newer"])])
def test_too_many_pictures_go_the_oldest_first(
    store: Store, tmp_path: Path, size: int, left: list[str]
) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    for job_id, at in (("older", "2026-01-01T00:00:00.000Z"), ("newer", "2026-01-02T00:00:00.000Z")):
        store.add(JobView(job_id, (job_id,), State.COMPLETED, at, at, node_id="3"), Request({}, {}))
        files.add(job_id, preview(1), Content(b"x" * 8000))
        files.save(job_id)
    recordings = DiskRecordings(tmp_path, lambda *told: None)
    limits = Limits(size, 10**12)
    Retention(recordings, store, lambda: limits, lambda job_id: False, files).sweep()
    recordings.writer.close()
    assert [job_id for job_id in ("older", "newer") if files.listed(job_id)] == left


def test_looking_at_a_job_does_not_make_it_newer(store: Store, tmp_path: Path) -> None:
    store.add(JobView("over", ("over",), State.COMPLETED, AT, AT, node_id="3", step=1), Request({}, {}))
    files = PreviewFiles(tmp_path, store, 0)
    files.add("over", preview(1), Content(b"x"))
    files.save("over")
    found = store.find("over").result()
    assert found is not None and found.view.updated_at == AT and found.view.preview_url


def test_a_row_that_cannot_be_read_is_left_out(store: Store, tmp_path: Path) -> None:
    files = PreviewFiles(tmp_path, store, 0)
    files.add("job", preview(1), Content(b"x"))
    files.save("job")
    store.written().result()
    store.database.read(  # as a later version, or a person, may have written it
        lambda db: db.execute(
            "UPDATE job_debug_state SET intermediate_previews_json = "
            "json_insert(intermediate_previews_json, '$[#]', json('{\"step\": 2}'))"
        )
    ).result()
    assert steps(PreviewFiles(tmp_path, store, 0)) == [1]


def test_a_paused_job_loses_none_of_its_paused_time(store: Store, tmp_path: Path) -> None:
    job = JobView("old", ("old",), State.PAUSED, AT, "2026-01-01T00:00:00.000Z", node_id="3")
    store.add(job, Request({}, {}))
    before = store.find("old").result()
    files = PreviewFiles(tmp_path, store, 0)
    files.add("old", preview(1), Content(b"x"))
    files.save("old")
    after = store.find("old").result()
    assert before is not None and after is not None
    assert after.view.timing.paused_s >= before.view.timing.paused_s > 0
