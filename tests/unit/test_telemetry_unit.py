"""What is measured of each step: stored in order, dropped where a rewind computes anew, shared with forks."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from midrun.state.breakpoints.breakpoints import Observation
from midrun.state.job.in_flight import Outcome
from midrun.state.job.view import Moment
from midrun.state.ledger import Answered
from midrun.state.store.store import Store
from midrun.state.telemetry import COLUMNS, Telemetry, to_csv
from test_job import World, enter, seen
from test_store import REQUEST, view


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "midrun.db")
    yield store
    store.close()


def rows(node_id: str, *steps: int, sigma: float = 1.0) -> list[Telemetry]:
    return [Telemetry(node_id, step, sigma) for step in steps]


def kept(store: Store, job_id: str = "j") -> list[tuple[str, int]]:
    return [(row.node_id, row.step) for row in store.telemetry(job_id).result()]


def test_a_step_that_is_measured_again_takes_the_place_of_all_that_came_after_it(store: Store) -> None:
    store.add(view("j"), REQUEST)
    store.add(view("other"), REQUEST)
    store.save_measured("other", rows("a", 1, 2), [])
    store.save_measured("j", [*rows("a", 1, 2, 3), *rows("b", 1, 2)], [])
    store.save_measured("j", rows("b", 2, sigma=0.5), [])
    assert kept(store) == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)]
    assert store.telemetry("j").result()[-1].sigma == 0.5
    store.save_measured("j", rows("a", 2), [])
    assert kept(store) == [("a", 1), ("a", 2)] and kept(store, "other") == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("node_id", "step", "shared"),
    [
        ("b", 1, [("a", 1), ("a", 2), ("b", 1)]),
        ("b", 0, [("a", 1), ("a", 2)]),
        ("a", 2, [("a", 1), ("a", 2)]),
        ("a", 0, []),
        ("gone", 3, []),
    ],
)
def test_a_fork_shares_what_was_measured_up_to_its_step(
    store: Store, node_id: str, step: int, shared: list[tuple[str, int]]
) -> None:
    for job_id in ("j", "fork"):
        store.add(view(job_id), REQUEST)
    store.save_measured("j", [*rows("a", 1, 2), *rows("b", 1, 2)], [])
    store.share_measured("j", "fork", Moment(node_id, step, 0, None, None))
    assert kept(store, "fork") == shared
    store.save_measured("fork", rows("b", 2), [])
    store.delete("j")
    assert kept(store) == [] and kept(store, "fork") == [*shared, ("b", 2)]


def test_what_is_measured_of_a_deleted_job_is_not_stored(store: Store) -> None:
    store.save_measured("j", rows("a", 1), [])
    assert kept(store) == []


def test_what_is_no_number_is_told_as_unknown(store: Store) -> None:
    store.add(view("j"), REQUEST)
    store.save_measured("j", [Telemetry("=a,b", 1, 2.0, math.inf, math.nan, 0.5, None)], [])
    (row,) = store.telemetry("j").result()
    assert (row.change, row.norm, row.seconds) == (None, None, 0.5)
    (told,) = csv.DictReader(io.StringIO(to_csv([row])))
    assert told == dict(zip(COLUMNS, ("=a,b", "1", "2.0", "", "", "0.5", "", "", ""), strict=True))


def test_a_step_took_what_its_evaluations_took_and_pauses_are_not_counted() -> None:
    world = World()
    job = world.job()
    job.runs.start("j")
    enter(job, "j", "3", 2, job.view().queue_policy)
    for seconds, outcome in ((2.0, Outcome.ANSWERED), (3.0, Outcome.ANSWERED)):
        job.call.begin_evaluation()
        world.now += seconds
        _, took = job.call.end_evaluation(outcome)
        world.now += 100.0
        job.call.recorded(1, 0.7, True, took)
    job.call.stepped(seen(1), False, 0)  # replayed
    job.call.stepped(Observation(2, 0.7, 1.0, 0.25, None, 5.0, 1 << 30), True, 0)
    assert job.view().telemetry == Telemetry("3", 2, 0.7, 0.25, 5.0, 5.0, 1 << 30, "3")
    handed: list[Any] = []
    job.save_measured(lambda *measured: handed.extend(measured))
    job.save_measured(lambda *measured: handed.extend(measured))
    steps, entries = handed
    assert [row.step for row in steps] == [2]
    assert entries == [Answered("3", 0, 1, 2.0), Answered("3", 0, 1, 3.0)]
