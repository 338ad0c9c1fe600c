"""Recordings on a disk that is damaged, full or slow, and what is deleted when."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from midrun.nodes.engine.tape import Tape
from midrun.state.job.request import Request
from midrun.state.job.view import Change, JobView
from midrun.state.recording import writer as writing
from midrun.state.recording.disk import DiskRecordings
from midrun.state.recording.disk_shelf import DiskShelf
from midrun.state.recording.items import Damaged, Evaluation, Step
from midrun.state.recording.writer import Writer
from midrun.state.server_directory import ServerDirectory, directory_name
from midrun.state.services.retention import Limits, Retention, limits_from, usage
from midrun.state.states import QueuePolicy, State
from midrun.state.store.store import Store

JOB = "0b6b2f7c-5a0e-4c51-b7d6-2f8b3a1c9e00"


class Troubles(list[Any]):
    def __call__(self, job_id: str, told: str | None) -> None:
        self.append((job_id, told))


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def recordings(tmp_path: Path, troubles: Troubles) -> Iterator[DiskRecordings]:
    recordings = DiskRecordings(tmp_path, troubles, reserve=0)
    yield recordings
    recordings.writer.close()


def recorded(recordings: DiskRecordings, evaluations: int = 5, job_id: str = JOB) -> Path:
    """The directory of a recording that was written and closed."""
    recording = recordings.open(job_id, "3", 0)
    for value in range(evaluations):
        recording.append(Evaluation(torch.full((4,), float(value))))
        recording.mark(Step(value + 1, value + 1, 1.0))
    recordings.close(job_id)
    recordings.writer.flush()
    return recording.shelf.directory


def test_every_file_appears_at_once_and_leaves_the_memory(recordings: DiskRecordings) -> None:
    directory = recorded(recordings)
    names = sorted(path.name for path in directory.iterdir())
    assert names == [f"{n:06}.safetensors" for n in range(5)] + [
        f"step-{n:06}.safetensors" for n in range(1, 6)
    ]
    assert directory == recordings.directory / "recordings" / JOB / "3.0"
    assert recordings.open(JOB, "3", 0).shelf._unwritten == {}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other_format(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"midrun-1", b"midrun-9"))


@pytest.mark.parametrize("damage", [cut, flip, empty, other_format, Path.unlink])
def test_a_replay_ends_before_what_cannot_be_read_and_says_what_was_lost(
    recordings: DiskRecordings, damage: Any
) -> None:
    directory = recorded(recordings)
    tape_lost: list[Any] = []
    opened = recordings.open(JOB, "3", 0)
    damage(directory / "000002.safetensors")
    tape = Tape(opened, lambda *told: tape_lost.append(told))
    for value in range(2):
        evaluation = tape.next()
        assert evaluation is not None and evaluation.answer[0] == value
        tape.position += 1
    assert tape.next() is None and tape.next() is None
    assert [told[:2] for told in tape_lost] == [(3, 3)] and "000002" in tape_lost[0][2]
    recordings.writer.flush()
    left = [path.name for path in directory.glob("0*")]
    assert sorted(left) == ["000000.safetensors", "000001.safetensors"]
    assert opened.steps() == [1, 2]


def test_what_lies_behind_a_gap_never_becomes_part_of_a_recording(recordings: DiskRecordings) -> None:
    (recorded(recordings) / "000001.safetensors").unlink()
    tape = Tape(recordings.open(JOB, "3", 0), lambda *told: None)
    tape.position = 1
    assert tape.next() is None
    tape.recording.append(Evaluation(torch.full((4,), 7.0)))
    recordings.close(JOB)
    recordings.writer.flush()
    reopened = recordings.open(JOB, "3", 0)
    assert (len(reopened), reopened.read(1).answer[0].item()) == (2, 7.0)


def test_damaged_inputs_are_told(recordings: DiskRecordings) -> None:
    directory = recorded(recordings)
    (directory / "inputs.safetensors").write_bytes(b"x")
    with pytest.raises(Damaged):
        _ = recordings.open(JOB, "3", 0).inputs


def test_a_full_disk_keeps_evaluations_in_memory_until_there_is_room(
    recordings: DiskRecordings, troubles: Troubles
) -> None:
    recording = recordings.open(JOB, "3", 0)
    recording.append(Evaluation(torch.zeros(1)))
    recording.save()
    recordings.writer.flush()
    recording.shelf._reserve = 1 << 60
    for value in (1.0, 2.0):
        recording.append(Evaluation(torch.full((1,), value)))
    recording.save()
    recordings.writer.flush()
    assert [recording.read(index).answer.item() for index in range(3)] == [0, 1, 2]
    assert len(list(recording.shelf.directory.glob("0*"))) == 1
    assert {job_id for job_id, _ in troubles} == {JOB} and "are free" in troubles[0][1]
    recording.shelf._reserve = 0
    recording.append(Evaluation(torch.full((1,), 3.0)))
    recording.save()
    recordings.writer.flush()
    assert len(list(recording.shelf.directory.glob("0*"))) == 4 and troubles[-1] == (JOB, None)


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_raised(
    recordings: DiskRecordings, troubles: Troubles
) -> None:
    recordings.of_job(JOB).parent.mkdir(parents=True)
    recordings.of_job(JOB).write_text("a file where the directory belongs")
    recording = recordings.open(JOB, "3", 0)
    recording.append(Evaluation(torch.ones(1)))
    recording.save()
    recordings.writer.flush()
    assert troubles and recording.read(0).answer.item() == 1


def test_whoever_gives_the_writer_too_much_waits_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LONGEST_WAIT_S", 0.2)
    writer, gate = Writer(), threading.Event()
    writer.put(gate.wait, writing.UNWRITTEN)
    began = time.monotonic()
    writer.put(lambda: None, 1)
    assert time.monotonic() - began >= 0.2
    waiting = threading.Thread(target=lambda: writer.put(lambda: None, 1))
    monkeypatch.setattr(writing, "LONGEST_WAIT_S", 60)
    waiting.start()
    gate.set()
    waiting.join(10)
    assert not waiting.is_alive()
    writer.close()


def test_the_writer_survives_what_it_is_given() -> None:
    writer = Writer()
    with pytest.raises(ZeroDivisionError):
        writer.submit(lambda: 1 / 0).result()
    assert writer.submit(lambda: 5).result() == 5
    writer.close()


def test_dropping_a_job_removes_its_files_and_stops_what_is_yet_to_be_written(
    recordings: DiskRecordings,
) -> None:
    directory, other = recorded(recordings), recorded(recordings, job_id="1" * 8)
    recordings.kept(JOB).mkdir(parents=True)
    recordings.drop(JOB)
    recordings.writer.flush()
    assert not directory.parent.exists() and not recordings.kept(JOB).exists() and other.exists()


@pytest.mark.parametrize("name", ["../../x", "a\x00b", "y" * 300, "con", "A" * 8, "\ud800", "", ".", "a/b"])
def test_ids_never_become_paths(name: str) -> None:
    made = directory_name(name)
    assert made.startswith("=") and made[1:].isalnum() and len(made) < 60
    assert directory_name(name + "x") != made


@pytest.mark.parametrize("name", ["3", "12345", JOB])
def test_ordinary_ids_name_their_directories(name: str) -> None:
    assert directory_name(name) == name


def test_a_second_server_on_one_directory_gets_its_own_place(tmp_path: Path) -> None:
    first, second = ServerDirectory(tmp_path), ServerDirectory(tmp_path)
    assert (first.path, second.path) == (tmp_path, tmp_path / "server-2")
    third = ServerDirectory(tmp_path)
    assert third.path == tmp_path / "server-3"
    first.close()
    assert ServerDirectory(tmp_path).path == tmp_path
    second.close()
    third.close()


def ended(store: Store, job_id: str, state: State) -> None:
    view = JobView(job_id, (job_id,), State.QUEUED, "2026-01-01T00:00:00.000Z", "t")
    store.add(view, Request({}, {}))
    done = JobView(job_id, (job_id,), state, view.created_at, "t", queue_policy=QueuePolicy.AUTO)
    store.save(done, Change("x", State.QUEUED, state, 0, "t"))
    time.sleep(0.01)


@pytest.fixture
def jobs(tmp_path: Path, recordings: DiskRecordings) -> Iterator[Store]:
    """One job a state, each with a recording; the failed one ended first."""
    store = Store(tmp_path / "midrun.db")
    for job_id, state in (
        ("failed-1", State.FAILED),
        ("aborted-1", State.ABORTED),
        ("completed-1", State.COMPLETED),
        ("completed-2", State.COMPLETED),
        ("paused-1", State.PAUSED),
    ):
        ended(store, job_id, state)
        recorded(recordings, job_id=job_id)
    yield store
    store.close()


@pytest.mark.parametrize(("left", "gone"), [(5, 0), (4, 1), (3, 2), (2, 3), (1, 4), (0, 4)])
def test_too_much_goes_completed_first_then_aborted_then_failed_and_paused_never(
    recordings: DiskRecordings, jobs: Store, left: int, gone: int
) -> None:
    one = sum(file.stat().st_size for file in recordings.of_job("paused-1").rglob("*.safetensors"))
    limits = Limits(size=left * one + one // 2)
    went = Retention(recordings, jobs, lambda: limits, lambda job_id: False).sweep()
    assert went == ["completed-1", "completed-2", "aborted-1", "failed-1"][:gone]
    assert [job for job in went if recordings.of_job(job).exists()] == []
    assert recordings.of_job("paused-1").exists()


def test_a_recording_stays_while_something_else_of_its_job_is_to_be_kept(
    recordings: DiskRecordings, jobs: Store
) -> None:
    asked: list[str] = []

    def keep(job_id: str) -> bool:
        asked.append(job_id)
        return job_id != "aborted-1"

    limits = Limits(age_s=0.0)
    Retention(recordings, jobs, lambda: limits, lambda job_id: False, keep=keep).sweep()
    assert sorted(asked) == ["aborted-1", "completed-1", "completed-2", "failed-1"]
    assert recordings.of_job("aborted-1").exists() and not recordings.of_job("failed-1").exists()


def test_an_evaluation_is_written_while_another_is_being_flushed(
    recordings: DiskRecordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, gate = threading.Event(), threading.Event()

    def flush(paths: Iterable[Path]) -> None:
        began.set()
        gate.wait(10)

    monkeypatch.setattr("midrun.state.recording.tensor_file.flush", flush)
    recording = recordings.open(JOB, "3", 0)
    try:
        for value in range(2):
            recording.append(Evaluation(torch.full((4,), float(value))))
            recording.save()
            assert began.wait(10)
        recordings.writer.submit(lambda: None).result(10)
        assert DiskRecordings(recordings.directory, Troubles()).open(JOB, "3", 0).read(1).answer[0] == 1
        assert set(recording.shelf._unwritten) == {"000000", "000001"}, (
            "they leave the memory when they are flushed"
        )
    finally:
        gate.set()
    recordings.writer.flush()
    assert recording.shelf._unwritten == {}


def test_what_is_deleted_meanwhile_does_not_keep_the_use_from_being_told(tmp_path: Path) -> None:
    gone = threading.Event()

    def come_and_go() -> None:
        while not gone.is_set():
            for number in range(20):
                (tmp_path / "recordings" / "job" / f"{number}.0").mkdir(parents=True, exist_ok=True)
            shutil.rmtree(tmp_path / "recordings" / "job")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert usage(tmp_path)["bytes"] == 0
    finally:
        gone.set()
        thread.join()


def test_files_that_could_not_be_flushed_are_written_again_though_nothing_follows(
    recordings: DiskRecordings, troubles: Troubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[list[str]] = []

    def flush(paths: Iterable[Path]) -> None:
        flushes.append([path.stem for path in paths])
        if len(flushes) == 1:
            raise OSError("the disk does not answer")

    monkeypatch.setattr("midrun.state.recording.tensor_file.flush", flush)
    recording = recordings.open(JOB, "3", 0)
    recording.append(Evaluation(torch.zeros(4)))
    recording.save()
    recordings.writer.flush()
    assert torch.equal(recording.read(0).answer, torch.zeros(4))
    recordings.writer.flush()  # what was put by the one before
    assert flushes[:2] == [["000000"], ["000000"]] and recording.shelf._unwritten == {}
    assert troubles == [(JOB, "the disk does not answer"), (JOB, None)]


def test_trouble_that_begins_while_the_last_is_told_to_be_over_is_not_over(tmp_path: Path) -> None:
    told: list[str | None] = []
    failing = threading.Thread(target=lambda: shelf.write())
    writer = Writer()

    def tell(trouble: str | None) -> None:
        if trouble is None and not failing.ident:
            place.mkdir()
            shelf.put("000001", Step(1, 1, 0.5))
            failing.start()
            failing.join(0.3)  # it waits until this was told
        told.append(trouble)

    place = tmp_path / "recording" / "000000.safetensors.tmp"  # a directory where a file is to be
    place.mkdir(parents=True)
    shelf = DiskShelf(place.parent, writer, tell, reserve=0)
    shelf.put("000000", Step(1, 1, 0.5))
    shelf.write()
    place.rmdir()
    shelf.write()
    place = place.with_name("000001.safetensors.tmp")
    shelf.flush()
    failing.join()
    assert [trouble is None for trouble in told] == [False, True, False]
    writer.close()


def test_a_disk_that_never_flushes_is_not_asked_for_ever(
    recordings: DiskRecordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[list[str]] = []

    def flush(paths: Iterable[Path]) -> None:
        flushes.append([path.stem for path in paths])
        if flushes[-1]:
            raise OSError("the disk does not answer")

    monkeypatch.setattr("midrun.state.recording.tensor_file.flush", flush)
    recording = recordings.open(JOB, "3", 0)
    recording.append(Evaluation(torch.zeros(4)))
    recording.save()
    for _ in range(4):
        recordings.writer.flush()
    assert flushes == [["000000"], ["000000"]]
    assert torch.equal(recording.read(0).answer, torch.zeros(4))


def test_directories_that_no_job_has_go_first_and_not_before_a_day(
    recordings: DiskRecordings, jobs: Store
) -> None:
    orphans = [recorded(recordings, job_id=name).parent for name in ("orphan-new", "orphan-old")]
    os.utime(orphans[1], (0, 0))
    one = sum(file.stat().st_size for file in orphans[0].rglob("*.safetensors"))
    limits = Limits(size=6 * one, age_s=1e12)
    assert Retention(recordings, jobs, lambda: limits, lambda job_id: False).sweep() == ["orphan-old"]


def test_nothing_is_taken_for_nobody_s_while_the_database_is_locked(
    recordings: DiskRecordings, jobs: Store
) -> None:
    os.utime(recorded(recordings, job_id="somebody").parent, (0, 0))
    jobs.database.trouble_at_start = "another program locks it"
    went = Retention(recordings, jobs, lambda: Limits(age_s=0.0), lambda job_id: False).sweep()
    assert not [name for name in went if "somebody" in name]


def test_files_that_jobs_share_are_counted_once(recordings: DiskRecordings) -> None:
    place = recorded(recordings).parent
    alone = usage(place.parent)["bytes"]
    for number in range(3):
        shutil.copytree(place, place.parent / f"fork-{number}", copy_function=os.link)
    assert usage(place.parent)["bytes"] == pytest.approx(alone, abs=4)


def test_the_recording_of_a_new_job_never_begins_with_another_s(recordings: DiskRecordings) -> None:
    directory = recorded(recordings)
    recordings.set_aside(JOB)
    assert len(recordings.open(JOB, "3", 0)) == 0
    assert not directory.exists() and len(list(directory.parent.parent.glob("=*/3.0/0*"))) == 5


def test_what_ended_is_told_some_at_a_time_the_oldest_first(
    jobs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midrun.state.store.store.ENDED_AT_ONCE", 3)
    first = jobs.ended().result()
    rest = jobs.ended(first[-1][:2]).result()
    assert [(job_id, state) for _, _, job_id, state in first + rest] == [
        ("failed-1", "failed"),
        ("aborted-1", "aborted"),
        ("completed-1", "completed"),
        ("completed-2", "completed"),
    ]
    assert len(first) == 3 and jobs.ended(rest[-1][:2]).result() == []


def test_what_is_too_old_goes_unless_it_was_taken_up_again(recordings: DiskRecordings, jobs: Store) -> None:
    kept = recordings.kept("aborted-1")
    kept.mkdir(parents=True)
    busy = lambda job_id: job_id == "failed-1"  # noqa: E731
    went = Retention(recordings, jobs, lambda: Limits(age_s=0.0), busy).sweep()
    assert sorted(went) == ["aborted-1", "completed-1", "completed-2"]
    assert recordings.of_job("failed-1").exists() and kept.exists()


@pytest.mark.parametrize(
    ("settings", "size", "days"),
    [
        ({}, 20e9, 30),
        ({"Midrun.RecordingsSize": 5, "Midrun.RecordingsAge": 0.5}, 5e9, 0.5),
        ({"Midrun.RecordingsSize": "a lot", "Midrun.RecordingsAge": -1}, 20e9, 30),
        ({"Midrun.RecordingsSize": True, "Midrun.RecordingsAge": float("nan")}, 20e9, 30),
        ([], 20e9, 30),
    ],
)
def test_limits_come_from_comfyui_s_settings(settings: Any, size: float, days: float) -> None:
    assert limits_from(settings) == Limits(int(size), days * 86400)
