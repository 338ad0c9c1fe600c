"""What a server tells of jobs after a crash, against what was told before it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from midrun.nodes.engine.tape import capture_rng
from midrun.state.breakpoints.actions import Action
from midrun.state.breakpoints.breakpoints import Breakpoint, BreakpointKind
from midrun.state.job.in_flight import Outcome
from midrun.state.job.job import Job
from midrun.state.job.request import Request
from midrun.state.job.view import JobView
from midrun.state.recording.disk import DiskRecordings
from midrun.state.recording.items import Approach, Evaluation, Inputs, Step
from midrun.state.server_directory import ServerDirectory
from midrun.state.services.preview_files import PreviewFiles
from midrun.state.services.recovery import corrected, recover
from midrun.state.services.registry import Registry
from midrun.state.states import QueuePolicy, State
from midrun.state.store.store import Store
from test_job import Flag, enter, seen

JOB = "0b6b2f7c-5a0e-4c51-b7d6-2f8b3a1c9e00"
GRAPH = Request({"3": {"class_type": "MidrunKSampler"}, "4": {"class_type": "MidrunKSampler"}}, {})
STEPS = 4  # of each call
RNG = capture_rng(torch.device("cpu"))
OF_THE_SERVER = {"state", "held", "pause_reason", "paused_at_step", "timing", "gpu_released", "updated_at"}


@dataclass
class Life:
    """A server's. `listens`: whether rows are still written; `writes`: whether recordings are."""

    place: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    listens: bool = True
    writes: bool = True

    def __post_init__(self) -> None:
        self.store = Store(self.place / "midrun.db")
        self.recordings = DiskRecordings(self.place, lambda job_id, told: None, reserve=0)
        self.files = PreviewFiles(self.place, self.store)
        breakpoints = (Breakpoint("often", BreakpointKind.EVERY, 2, action=Action.LOG),)
        self.registry = Registry(self.store, self.recordings, Flag(), lambda: breakpoints)

    def crash(self) -> None:
        self.recordings.writer.close()
        self.store.close()

    def queue(self) -> Job:
        job = self.registry.add(JOB, GRAPH, QueuePolicy.AUTO)
        assert job is not None
        job.runs.enter_queue()
        return job

    def dies_at(self, row: int, disk: int) -> Callable[[int], None]:
        """No row is written from the one evaluation on, and no file from the other on."""
        save, measured = self.store.save, self.store.save_measured

        def at(evaluation: int) -> None:
            self.writes = evaluation < disk
            if evaluation >= row:
                self.store.save = self.store.save_measured = lambda *ignored: None
            else:
                self.store.save, self.store.save_measured = save, measured

        return at

    def call(self, job: Job, node_id: str, at: Callable[[int], None], before: int) -> None:
        """A sampling call of which two evaluations make a step."""
        ordinal = enter(job, JOB, node_id, STEPS)
        assert ordinal is not None
        recording = self.recordings.open(JOB, node_id, ordinal)
        sigmas = torch.linspace(8.0, 0.0, STEPS + 1)
        latent = torch.ones(1, 4, 2, 2)
        given = Inputs(
            latent,
            torch.zeros_like(latent),
            sigmas,
            None,
            RNG,
            begun=float(before + 1),
            node_id=node_id,
            display_id=node_id,
        )
        at(before)
        if self.writes:
            recording.inputs = given
        for number in range(2 * STEPS):
            at(before + number)
            sigma = float(sigmas[number // 2]) - 0.1 * (number % 2)
            job.call.begin_evaluation()
            job.call.end_evaluation(Outcome.ANSWERED)
            job.call.recorded(number + 1, sigma, True)
            marked = None
            if number % 2:
                step = number // 2 + 1
                marked = job.call.stepped(seen(step, sigma, norm=1.0 + step, change=0.5), True, 0)
            if self.writes:
                recording.approached(Approach(number, sigma, latent))
                recording.append(Evaluation(latent * number))
                if marked is not None:
                    recording.mark(Step(step, number + 1, sigma, None, marked.measured, marked.hits))
            self.told.append(job.view().to_json())
        job.call.leave()
        recording.save()


def after(place: Path, crashed: bool = True) -> tuple[JobView, list[int]]:
    """What the next server tells, and the steps of which it has figures."""
    life = Life(place)
    recover(life.store, life.recordings, life.files, crashed)
    found = life.store.find(JOB).result()
    steps = [one.step for one in life.store.telemetry(JOB).result()]
    life.crash()
    assert found is not None
    return found.view, steps


def of_the_job(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in OF_THE_SERVER}


@settings(max_examples=40)
@given(st.integers(0, 4 * STEPS), st.integers(0, 4 * STEPS))
def test_after_a_crash_a_job_is_told_as_it_was_when_its_newest_evaluation_was_written(
    row: int, disk: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        life = Life(Path(directory))
        job = life.queue()
        at = life.dies_at(row, disk)
        life.call(job, "3", at, 0)
        life.call(job, "4", at, 2 * STEPS)
        life.crash()
        view, steps = after(Path(directory))
        assert view.state is State.PAUSED
        if disk == 0:  # nothing is on record, and what is told of that is told with a warning
            return
        assert of_the_job(view.to_json()) == of_the_job(life.told[disk - 1])
        assert view.paused_at_step == view.step and view.call == 0
        assert len(steps) == disk // 2 and steps[-1:] in ([], [view.step or STEPS])


def lived(place: Path, evaluations: int = 6) -> Life:
    """A life in which one call of node 3 got so far."""
    life = Life(place)
    life.call(life.queue(), "3", life.dies_at(100, evaluations), 0)
    life.recordings.flush()
    return life


def test_a_row_that_is_ahead_of_its_recording_is_set_back(tmp_path: Path) -> None:
    lived(tmp_path, 5).crash()
    view, _ = after(tmp_path)
    assert (view.step, view.evaluations, view.total_steps) == (2, 5, STEPS)


def test_a_paused_job_is_looked_after_unless_the_server_ended_in_order(tmp_path: Path) -> None:
    life = lived(tmp_path)
    job = life.registry.get(JOB)
    assert job is not None
    job.pause()
    job.worker.stopped(True, {}, park=True)
    life.crash()
    assert after(tmp_path, crashed=False)[0].step == STEPS
    assert after(tmp_path, crashed=True)[0].step == 3


def test_a_recording_that_nothing_is_in_yet_is_no_damaged_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(tmp_path)
    view = life.queue().view()
    life.recordings.open(JOB, "3", 0)
    assert corrected(view, life.recordings.calls(JOB)) == view
    assert not caplog.records
    life.crash()


def test_a_rewind_that_only_the_recording_knows_of_is_taken_back(tmp_path: Path) -> None:
    life = lived(tmp_path)
    life.recordings.calls(JOB)["3", 0].rewind(1)
    life.recordings.flush()
    life.crash()
    assert after(tmp_path)[0].step == 3
    life = Life(tmp_path)
    assert not life.recordings.open(JOB, "3", 0).rewound
    life.crash()


def rewound(place: Path) -> Life:
    """A life in which the job was rewound to step 1."""
    life = lived(place)
    job = life.registry.get(JOB)
    assert job is not None
    job.pause()
    job.worker.stopped(True, {}, park=True)
    job.reserve("rewind")
    life.recordings.calls(JOB)["3", 0].rewind(1)
    job.rewind(replace(job.view().moment, step=1, evaluations=2, sigma=7.9), lambda edit: True)
    return life


def test_what_a_rewind_left_behind_stays_until_something_is_computed(tmp_path: Path) -> None:
    rewound(tmp_path).crash()
    view, _ = after(tmp_path)
    assert (view.step, view.evaluations) == (1, 2) and view.take is not None
    life = Life(tmp_path)
    recording = life.recordings.open(JOB, "3", 0)
    recording.approached(Approach(2, 5.0, torch.ones(1)))
    recording.append(Evaluation(torch.zeros(1)))
    recording.save()
    life.recordings.flush()
    life.crash()
    view, _ = after(tmp_path)
    assert (view.step, view.evaluations, view.take) == (1, 3, None)


def test_a_later_call_that_a_rewind_left_behind_stays_away_once_something_was_computed(
    tmp_path: Path,
) -> None:
    life = Life(tmp_path)
    job = life.queue()
    at = life.dies_at(100, 100)
    life.call(job, "3", at, 0)
    life.call(job, "4", at, 2 * STEPS)
    job.pause()
    job.worker.stopped(True, {}, park=True)
    job.reserve("rewind")
    life.recordings.calls(JOB)["4", 0].rewind(0)
    life.recordings.calls(JOB)["3", 0].rewind(1)
    there = replace(job.view().moment, node_id="3", display_node_id="3", step=1, evaluations=2, sigma=7.9)
    job.rewind(there, lambda edit: True)
    job.runs.refuse()
    assert not job.resume()
    job.runs.queue("again")
    assert enter(job, "again", "3", STEPS, recorded=2) == 0
    job.call.begin_evaluation()
    recording = life.recordings.open(JOB, "3", 0)
    recording.approached(Approach(2, 5.0, torch.ones(1)))
    recording.append(Evaluation(torch.zeros(1)))
    job.call.recorded(3, 5.0, True)
    assert job.view().take is None
    for one in life.recordings.calls(JOB).values():
        one.restore()  # as a rewind that is taken back later does
    assert not len(life.recordings.open(JOB, "4", 0))
    job.call.leave()
    assert enter(job, "again", "4", STEPS) == 0  # and the server dies before it has an answer
    recording.save()
    life.recordings.flush()
    life.store.written().result()
    life.crash()
    after(tmp_path)
    again = Life(tmp_path)
    calls = again.recordings.calls(JOB)
    assert len(calls["3", 0]) == 3 and not len(calls.get(("4", 0), ()))
    again.crash()


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("breakpoints_json", '[{"kind": "memory_above", "value": 3}]'),
        ("pause_reason", "phase_of_the_moon"),
        ("state", "hibernating"),
        ("queue_policy", "lottery"),
        ("modified_params_json", '{"3": {"cfg": [{"unheard": 1}]}}'),
        ("error_json", "{"),
        ("take_json", "[]"),
        ("warnings_json", "7"),
    ],
)
def test_a_row_that_this_version_cannot_read_costs_no_other_and_stays_as_it_is(
    tmp_path: Path, column: str, told: str
) -> None:
    life = lived(tmp_path)
    life.crash()
    store = Store(tmp_path / "midrun.db")
    update = f"UPDATE job_debug_state SET {column} = ?"
    store.database.write(JOB, lambda db: db.execute(update, [told]))
    other = JobView("other", ("other",), State.COMPLETED, "t", "t")
    store.add(other, GRAPH)
    listed = store.page(frozenset(), 10, None).result()
    assert [row.view.job_id for row in listed] == ["other", JOB]
    view = listed[1].view
    assert column.removesuffix("_json") in view.warnings["unreadable_row"]
    store.save(replace(view, step=view.step + 1), None)
    select = f"SELECT {column}, step FROM job_debug_state WHERE job_id = ?"
    written = store.database.read(lambda db: db.execute(select, [JOB]).fetchone()).result()
    store.close()
    assert written == (told, view.step + 1)
    assert after(tmp_path)[0].job_id == JOB


def test_only_an_orderly_end_leaves_nothing_to_look_after(tmp_path: Path) -> None:
    first = ServerDirectory(tmp_path)
    assert not first.crashed
    first._lock.close()  # as the system does it when the process dies
    second = ServerDirectory(tmp_path)
    assert second.crashed
    second.close()
    third = ServerDirectory(tmp_path)
    assert not third.crashed
    third.close()
