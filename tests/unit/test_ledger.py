"""The ledger: whatever becomes of jobs, its sums are the seconds of all evaluations that there ever were."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midrun.state.job.fork_grid import Axis, Cell
from midrun.state.job.in_flight import Outcome
from midrun.state.job.request import Request
from midrun.state.job.view import Change, JobView, Moment
from midrun.state.ledger import (
    INTERRUPTED,
    NOT_A_NUMBER,
    Answered,
    Figures,
    Replayed,
    Row,
    Wasted,
    to_csv,
    to_json,
    total,
)
from midrun.state.states import AbortMode, State
from midrun.state.store.ledger_rows import TABLES
from midrun.state.store.store import Store
from test_job import World, enter
from test_store import view

STEPS = 10  # of each sampling call, an evaluation each
GRAPH = {
    "loader": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
    "3": {"class_type": "MidrunKSampler", "inputs": {"model": ["loader", 0]}},
}
REQUEST = Request(GRAPH, {"extra_pnginfo": {"workflow": {"name": "portrait"}}})
CELL = Cell("grid", (Axis("3", "seed", (1, 2)),), (0, 0), 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("ledger") / "midrun.db")
    store.database.read(lambda db: db.execute("PRAGMA synchronous = OFF")).result()  # nothing has to last
    yield store
    store.close()


@pytest.fixture(autouse=True)
def empty(store: Store) -> None:
    clear(store)


def clear(store: Store) -> None:
    tables = (*TABLES, "job_debug_state", "job_runs", "job_events", "job_telemetry")
    store.database.read(lambda db: [db.execute(f"DELETE FROM {table}") for table in tables]).result()


# -- a model of it: every evaluation by itself --------------------------------------------------------------


@dataclass
class Evaluation:
    seconds: float
    kept: bool = False
    holders: set[str] = field(default_factory=set)


@dataclass
class Known:
    """calls: what the job holds of each, in their order; hidden: by a rewind, after (calls, evaluations)"""

    view: JobView
    calls: list[list[Evaluation]] = field(default_factory=list)
    hidden: tuple[int, int] | None = None
    saved: float = 0.0

    def visible(self) -> list[list[Evaluation]]:
        if self.hidden is None:
            return self.calls
        calls, evaluations = self.hidden
        return [*self.calls[: calls - 1], self.calls[calls - 1][:evaluations]]


class Books:
    """Does to a store, and to the model, what a server would."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs: list[Known] = []
        self.gone: list[Known] = []
        self.evaluations: list[Evaluation] = []
        self.replayed = self.wasted = 0.0
        self.names = 0

    def add(self, draft: bool) -> Known:
        self.names += 1
        known = Known(view(f"j{self.names}", State.RUNNING, node_id="3", total_steps=STEPS))
        if draft:
            known.view = replace(known.view, cell=CELL)
        self.store.add(known.view, REQUEST)
        self.jobs.append(known)
        return known

    def at(self, job: Known) -> None:
        """Where it is by what it holds."""
        calls = job.visible()
        done = len(calls[-1]) if calls else 0
        job.view = replace(job.view, call=max(0, len(calls) - 1), step=done, evaluations=done)

    def evaluate(self, job: Known, seconds: list[float], new: bool) -> None:
        self.go_to(job, State.RUNNING, "start")
        if job.hidden is not None:
            seen = {id(one) for call in job.visible() for one in call}
            for one in [one for call in job.calls for one in call if id(one) not in seen]:
                one.holders.discard(job.view.job_id)
            job.calls, job.hidden = [call for call in job.visible() if call], None
        if new or not job.calls:
            job.calls.append([])
        entries = []
        for took in seconds:
            made = Evaluation(took, False, {job.view.job_id})
            self.evaluations.append(made)
            job.calls[-1].append(made)
            entries.append(Answered("3", len(job.calls) - 1, len(job.calls[-1]), took))
        self.store.save_measured(job.view.job_id, [], entries)
        self.at(job)

    def replay(self, job: Known) -> None:
        entries = [
            Replayed("3", call, number + 1)
            for call, some in enumerate(job.visible())
            for number in range(len(some))
        ]
        self.store.save_measured(job.view.job_id, [], entries)
        self.replayed += sum(one.seconds for call in job.visible() for one in call)

    def waste(self, job: Known, seconds: float) -> None:
        self.store.save_measured(job.view.job_id, [], [Wasted("3", seconds, INTERRUPTED)])
        self.wasted += seconds

    def go_to(self, job: Known, state: State, kind: str, **fields: Any) -> None:
        before = job.view.state
        if before is state and kind not in ("rewind", "restore"):
            return
        job.view = replace(job.view, state=state, **fields)
        self.store.save(job.view, Change(kind, before, state, job.view.step, "now"))
        if before is not state:
            job.saved = 0.0

    def end(self, job: Known, how: str) -> None:
        if how == "complete":
            self.go_to(job, State.RUNNING, "start")
            self.keep(job)
            return self.go_to(job, State.COMPLETED, how)
        if job.view.state in (State.COMPLETED, State.ABORTED):
            return None
        mode = AbortMode.FINISH if how == "finish" else AbortMode.STOP
        if mode is AbortMode.FINISH:
            self.keep(job)
        self.go_to(job, State.ABORTED, "abort", abort_mode=mode, abort_reason="wrong hands")
        job.saved = self.left(job)
        return None

    def keep(self, job: Known) -> None:
        for call in job.visible():
            for one in call:
                one.kept = True

    def left(self, job: Known) -> float:
        every = [one.seconds for call in job.calls for one in call]
        left = max(0, STEPS - job.view.evaluations)
        return left * sum(every) / len(every) if every else 0.0

    def rewind(self, job: Known, call: int, evaluations: int) -> None:
        calls = job.visible()
        if not calls:
            return
        number = call % len(calls) + 1
        job.hidden = number, evaluations % (len(calls[number - 1]) + 1)
        job.view = replace(job.view, abort_mode=None, abort_reason=None)
        self.at(job)
        self.go_to(job, State.PAUSED, "rewind")

    def restore(self, job: Known) -> None:
        if job.hidden is not None:
            job.hidden = None
            job.view = replace(job.view, abort_mode=None, abort_reason=None)
            self.at(job)
            self.go_to(job, State.PAUSED, "restore")

    def fork(self, job: Known, call: int, evaluations: int) -> None:
        calls = job.visible()
        if not calls:
            return
        number = call % len(calls)
        upto = evaluations % (len(calls[number]) + 1)
        fork = self.add(False)
        self.store.share_measured(
            job.view.job_id, fork.view.job_id, Moment("3", upto, upto, STEPS, None, number)
        )
        fork.calls = [call for call in [*map(list, calls[:number]), calls[number][:upto]] if call]
        for one in [one for some in fork.calls for one in some]:
            one.holders.add(fork.view.job_id)
        self.at(fork)

    def delete(self, job: Known) -> None:
        if job.view.state not in (State.COMPLETED, State.ABORTED):
            job.saved = self.left(job)
            for one in self.evaluations:
                one.holders.discard(job.view.job_id)
        self.store.save(job.view, None)
        self.store.delete(job.view.job_id)
        self.jobs.remove(job)
        self.gone.append(job)

    def expected(self) -> Figures:
        is_open = {
            job.view.job_id for job in self.jobs if job.view.state not in (State.COMPLETED, State.ABORTED)
        }
        kept = sum(one.seconds for one in self.evaluations if one.kept)
        undecided = sum(one.seconds for one in self.evaluations if not one.kept and one.holders & is_open)
        computed = sum(one.seconds for one in self.evaluations) + self.wasted
        every = [*self.jobs, *self.gone]
        by_drafts = sum(job.saved for job in every if job.view.is_draft)
        by_aborts = sum(job.saved for job in every if not job.view.is_draft)
        thrown = computed - kept - undecided
        return Figures(computed, kept, undecided, thrown, self.replayed, by_drafts, by_aborts)


SECONDS = st.lists(st.integers(1, 8).map(lambda number: number / 4), min_size=1, max_size=4)
# Those that cut stretches come more often.
VERBS = (*("evaluate", "rewind", "fork", "complete") * 3, *("stop", "new call", "restore", "replay") * 2)
VERBS = (*VERBS, "finish", "waste", "delete", "add", "draft")
OPS = st.tuples(st.sampled_from(VERBS), st.integers(0, 1), st.integers(0, 1), st.integers(0, 5), SECONDS)
Op = tuple[str, int, int, int, list[float]]


def do(books: Books, op: Op) -> None:
    verb, number, call, evaluations, seconds = op
    if verb in ("add", "draft") or not books.jobs:
        books.add(verb == "draft")
        return
    job = books.jobs[number % len(books.jobs)]
    if verb in ("evaluate", "new call"):
        books.evaluate(job, seconds, verb == "new call")
    elif verb in ("rewind", "fork"):
        getattr(books, verb)(job, call, evaluations)
    elif verb in ("complete", "stop", "finish"):
        books.end(job, verb)
    elif verb == "waste":
        books.waste(job, seconds[0])
    else:
        getattr(books, verb)(job)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(OPS, min_size=8, max_size=20))
def test_the_sums_are_those_of_all_evaluations_whatever_became_of_them(store: Store, ops: list[Op]) -> None:
    clear(store)
    books = Books(store)
    books.evaluate(books.add(True), [1.0, 2.0, 0.5], False)
    for op in ops:
        do(books, op)
    rows, expected = store.ledger().result(), books.expected()
    assert total(rows).to_json() == pytest.approx(expected.to_json(), abs=0.01)
    figures = total(rows)
    assert figures.computed_s == pytest.approx(figures.kept_s + figures.undecided_s + figures.thrown_s)
    spared = expected.replayed_s + expected.saved_by_drafts_s + expected.saved_by_aborts_s
    assert store.spared_s().result() == pytest.approx(spared, abs=0.01)


# -- what it tells ------------------------------------------------------------------------------------------


def story(store: Store) -> list[Row]:
    """Four evaluations of a draft that is aborted, and a job that is completed."""
    books = Books(store)
    draft = books.add(True)
    books.evaluate(draft, [1.0, 1.0, 2.0, 2.0], False)
    books.end(draft, "stop")
    books.evaluate(done := books.add(False), [0.5] * STEPS, False)
    books.end(done, "complete")
    return store.ledger().result()


def test_it_tells_by_workflow_model_reason_and_week(store: Store) -> None:
    told = to_json(story(store))
    assert told["total"] == {
        "computed_s": 11.0,
        "kept_s": 5.0,
        "undecided_s": 0.0,
        "thrown_s": 6.0,
        "replayed_s": 0.0,
        "saved_by_drafts_s": 9.0,  # six evaluations at 1.5
        "saved_by_aborts_s": 0.0,
    }
    (by_workflow,), (by_model,), (by_week,) = told["by_workflow"], told["by_model"], told["by_week"]
    assert by_workflow == {"workflow": "portrait", **told["total"]}
    assert by_model["model"] == "tiny.safetensors" and by_week["week"].startswith("20")
    (by_reason,) = told["by_reason"]
    assert (by_reason["reason"], by_reason["thrown_s"], by_reason["saved_by_drafts_s"]) == (
        "wrong hands",
        6.0,
        9.0,
    )


def test_it_does_not_shrink_when_jobs_are_deleted_nor_take_a_later_job_of_that_id_for_theirs(
    store: Store,
) -> None:
    before = total(story(store))
    for job_id in ("j1", "j2"):
        store.delete(job_id)
    assert total(store.ledger().result()) == before
    story(store)
    assert total(store.ledger().result()) == before + before


def test_a_stretch_is_thrown_away_for_the_reason_that_it_was_dropped_for(store: Store) -> None:
    books = Books(store)
    job = books.add(False)
    books.evaluate(job, [1.0, 1.0, 1.0], False)
    books.rewind(job, 0, 1)
    books.evaluate(job, [4.0], False)
    store.save_measured(job.view.job_id, [], [Wasted("3", 0.25, NOT_A_NUMBER)])
    books.end(job, "complete")
    told = {row.reason: row.figures.thrown_s for row in store.ledger().result() if row.reason}
    assert told == {"rewound": 2.0, NOT_A_NUMBER: 0.25}


def test_the_csv_is_a_table_and_no_formula(store: Store) -> None:
    rows = [replace(row, workflow="=1+1") for row in story(store)]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert {row["workflow"] for row in read} == {"'=1+1"}
    assert sum(float(row["computed_s"]) for row in read) == 11.0


def test_a_job_enters_what_its_sampling_call_did() -> None:
    world = World()
    job = world.job()
    enter(job, "j", "3", 2)
    job.call.begin_evaluation()
    world.now += 2.0
    _, took = job.call.end_evaluation(Outcome.ANSWERED)
    job.call.recorded(1, 0.7, True, took)
    job.call.begin_evaluation()
    world.now += 1.0
    job.call.end_evaluation(Outcome.RAISED)
    job.call.recorded(1, 0.7, False)
    job.call.not_a_number(3.0)
    handed: list[Any] = []
    job.save_measured(lambda _, entries: handed.extend(entries))
    assert handed == [
        Answered("3", 0, 1, 2.0),
        Wasted("3", 1.0, INTERRUPTED),
        Replayed("3", 0, 1),
        Wasted("3", 3.0, NOT_A_NUMBER),
    ]
