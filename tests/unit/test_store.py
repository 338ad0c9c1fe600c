"""Jobs in a real SQLite file, and what another server finds there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from midrun.state.job.fork_grid import Cell
from midrun.state.job.request import Request
from midrun.state.job.view import Change, JobError, JobView, Timing
from midrun.state.states import AbortMode, PauseReason, QueuePolicy, State
from midrun.state.store.orphans import left_behind, orphans
from midrun.state.store.store import Store

REQUEST = Request(
    {"3": {"class_type": "MidrunKSampler"}}, {"client_id": "c"}, ("9",), {"api_key": "sesame-secret"}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "__midrun" / "midrun.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def view(job_id: str, state: State = State.QUEUED, **fields: Any) -> JobView:
    return JobView(job_id, (job_id,), state, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", **fields)


def rows(path: Path, sql: str) -> list[Any]:
    with sqlite3.connect(path) as db:
        return db.execute(sql).fetchall()


def test_a_job_comes_back_as_it_was(store: Store) -> None:
    job = view(
        "j",
        State.FAILED,
        node_id="3:1",
        step=4,
        total_steps=20,
        evaluations=7,
        sigma=1.5,
        paused_at_step=4,
        abort_reason="why",
        abort_mode=AbortMode.FINISH,
        error=JobError("RuntimeError", "no memory", "3:1"),
        gpu_released=True,
        pause_reason=PauseReason.STEP,
        queue_policy=QueuePolicy.PARK,
        timing=Timing(1.5, 2.5, 0.25, 4.0, True),
    )
    store.add(job, REQUEST)
    stored = store.find("j").result()
    assert stored is not None
    assert stored.view == replace(job, origin=REQUEST.origin)
    assert stored.request == Request(REQUEST.prompt, REQUEST.extra_data, REQUEST.outputs)


@pytest.mark.parametrize(
    "job_id", ["../../x", "a\x00b", "y" * 300, "' OR 1=1 --", '"; DROP TABLE job_runs; --']
)
def test_ids_are_data(store: Store, job_id: str) -> None:
    store.add(view(job_id), REQUEST)
    store.add(view("other"), REQUEST)
    stored = store.find(job_id).result()
    assert stored is not None and stored.view.job_id == job_id
    store.delete(job_id)
    assert store.find(job_id).result() is None
    assert store.find("other").result() is not None


def test_any_prompt_id_finds_the_job_and_events_stay_in_order(store: Store) -> None:
    store.add(view("j"), REQUEST)
    job = view("j", State.RUNNING)
    for number, kind in enumerate(("start", "pause", "stopped")):
        store.save(job, Change(kind, State.RUNNING, State.RUNNING, number, "t", {"n": number}))
    store.save(JobView("j", ("j", "r2"), State.QUEUED, "t", "t"), None)
    stored = store.find("r2").result()
    assert stored is not None and stored.view.prompt_ids == ("j", "r2")
    assert [event["kind"] for event in store.events("j").result()] == ["start", "pause", "stopped"]


def test_pages_are_newest_first_and_filtered(store: Store) -> None:
    for number in range(7):
        store.add(view(f"j{number}", State.PAUSED if number % 2 else State.COMPLETED), REQUEST)
    first = store.page(frozenset(), 3, None).result()
    assert [row.view.job_id for row in first] == ["j6", "j5", "j4"]
    assert [row.view.job_id for row in store.page(frozenset(), 9, first[-1].cursor).result()] == [
        "j3",
        "j2",
        "j1",
        "j0",
    ]
    paused = store.page(frozenset({State.PAUSED}), 9, None).result()
    assert [row.view.job_id for row in paused] == ["j5", "j3", "j1"]


def test_what_a_dead_server_left_unfinished_is_paused(path: Path) -> None:
    store = Store(path)
    for state in State:
        store.add(view(state.value, state, step=3, held=state is State.PAUSED), REQUEST)
    store.close()
    store = Store(path)
    for state in State:
        stored = store.find(state.value).result()
        assert stored is not None
        unfinished = state in (State.QUEUED, State.RUNNING, State.PAUSING)
        assert stored.view.state is (State.PAUSED if unfinished else state)
        assert not stored.view.held
        assert stored.view.pause_reason is (PauseReason.SERVER_RESTART if unfinished else None)
        kinds = [event["kind"] for event in store.events(state.value).result()]
        assert kinds == (["server_restart"] if unfinished else [])
    store.close()


def test_the_schema_is_the_contract(store: Store, path: Path) -> None:
    store.add(view("j"), REQUEST)
    assert store.find("j").result()
    columns = {row[1]: row for row in rows(path, "PRAGMA table_info(job_debug_state)")}
    named = ("paused_at_step", "modified_params_json", "intermediate_previews_json", "abort_reason")
    assert set(named) < set(columns) and columns["job_id"][3] == 1
    names = {row[0] for row in rows(path, "SELECT name FROM sqlite_master")}
    assert {"uq_job_debug_state_job_id", "set_updated_at", "job_runs", "job_events"} <= names
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("recursive", ["on", "off"])
def test_any_update_moves_updated_at(store: Store, path: Path, recursive: str) -> None:
    store.add(view("j"), REQUEST)
    assert store.find("j").result()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA recursive_triggers={recursive}")
        db.execute("UPDATE job_debug_state SET abort_reason = 'x'")
    assert rows(path, "SELECT updated_at > created_at FROM job_debug_state") == [(1,)]


def test_what_sqlite_refuses_is_logged_and_the_thread_goes_on(store: Store, caplog: Any) -> None:
    store.add(view("\ud800"), REQUEST)
    store.add(view("twice"), REQUEST)
    store.add(view("twice"), REQUEST)
    store.add(view("after"), REQUEST)
    assert store.find("after").result() is not None
    assert sum("could not store" in record.message for record in caplog.records) == 2


def test_a_run_waits_once_until_what_it_goes_by_is_written(store: Store, path: Path) -> None:
    goes_on = threading.Event()
    store.database.read(lambda db: goes_on.wait(30))  # a slow disk
    store.add(view("job-a"), Request({}, {}))
    waiting = threading.Thread(target=store.database.await_written, args=("run-a",))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    goes_on.set()
    waiting.join(30)
    assert rows(path, "SELECT job_id FROM job_debug_state") == [("job-a",)]
    goes_on.clear()
    held = store.database.read(lambda db: goes_on.wait(30))
    store.database.await_written("run-a")
    assert not held.done()
    goes_on.set()


def test_a_deleted_job_is_not_resurrected_by_a_late_report(store: Store) -> None:
    store.add(view("j"), REQUEST)
    store.delete("j")
    store.save(view("j"), Change("late", State.RUNNING, State.RUNNING, 1, "t"))
    assert store.find("j").result() is None and store.events("j").result() == []


def test_no_secret_reaches_the_disk(store: Store, path: Path) -> None:
    store.add(view("j"), REQUEST)
    store.save_request("j", REQUEST)
    assert store.find("j").result()
    assert all(b"sesame" not in file.read_bytes() for file in path.parent.iterdir())


def test_a_directory_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Store(tmp_path / "file" / "midrun.db")


def test_a_corrupt_database_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this was a database once" * 100)
    store = Store(path)
    store.add(view("j"), REQUEST)
    assert store.find("j").result() is not None
    store.close()
    (kept,) = path.parent.glob("midrun.corrupt-*.db")
    assert kept.read_bytes() == b"this was a database once" * 100


def test_a_database_whose_pages_are_damaged_is_set_aside(path: Path) -> None:
    store = Store(path)
    for number in range(50):
        store.add(view(f"j{number}"), REQUEST)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:-4096] = b"\xaa" * (len(content) - 8192)
    path.write_bytes(content)
    store = Store(path)
    store.add(view("j"), REQUEST)
    assert store.find("j").result() is not None
    store.close()
    assert len(list(path.parent.glob("midrun.corrupt-*.db"))) == 1


def test_a_database_that_another_program_locks_is_stood_in_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(path).close()
    monkeypatch.setattr("midrun.state.store.database.BUSY_S", 0.05)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        store = Store(path)
        assert "locks" in (store.database.trouble_at_start or "")
        store.add(view("j"), REQUEST)
        assert store.find("j").result() is not None
        store.close()
        other.execute("ROLLBACK")
    assert rows(path, "SELECT * FROM job_debug_state") == []


def test_what_could_not_be_written_is_told_and_written_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midrun.state.store.database.BUSY_S", 0.05)
    store = Store(path)
    told: list[Any] = []
    store.database.trouble = lambda job_id, why: told.append((job_id, why))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        store.add(view("j"), REQUEST)
        store.save(view("j", State.RUNNING), None)
        assert store.find("j").result() is None
        other.execute("ROLLBACK")
    assert [job_id for job_id, _ in told] == ["j", "j"] and "locked" in told[0][1]
    store.save(view("j", State.PAUSED), Change("x", State.RUNNING, State.PAUSED, 0, "t"))
    stored = store.find("j").result()
    assert stored is not None and stored.view.state is State.PAUSED and told[-1] == ("j", None)
    store.close()


@pytest.mark.parametrize("statement", range(17))
def test_a_server_killed_while_it_migrates_leaves_a_database_that_opens(path: Path, statement: int) -> None:
    code = f"""
import importlib.util, os, sys
from pathlib import Path
spec = importlib.machinery.ModuleSpec("midrun", None, is_package=True)
spec.submodule_search_locations = [{str(Path(__file__).parents[2])!r}]
sys.modules["midrun"] = importlib.util.module_from_spec(spec)
from midrun.state.store import migrations
done = 0
def run(db, *statements):
    global done
    for statement in statements:
        if done == {statement}:
            os._exit(9)
        db.execute(statement)
        done += 1
migrations._run = run
from midrun.state.store.orphans import left_behind, orphans
from midrun.state.store.store import Store
Store(Path({str(path)!r})).close()
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    store = Store(path)
    store.add(view("j"), REQUEST)
    assert store.find("j").result() is not None
    store.close()
    assert not list(path.parent.glob("*corrupt*"))


def test_failures_are_listed_newest_first_and_counted(store: Store) -> None:
    error = JobError("OutOfMemoryError", "no memory", "3")
    for number, (state, fields) in enumerate(
        [
            (State.ABORTED, {"abort_reason": "bad hands", "abort_mode": AbortMode.STOP, "step": 7}),
            (State.ABORTED, {"abort_reason": "bad hands", "step": 3}),
            (State.FAILED, {"error": error, "step": 7}),
            (State.COMPLETED, {"step": 20}),
        ]
    ):
        store.add(view(f"j{number}"), REQUEST)
        store.save(view(f"j{number}", state, **fields), None)
        store.record_failure_cause(f"j{number}", "KSampler", "sd.safetensors" if number else None)
    told = store.failures(2).result()
    assert [failure["job_id"] for failure in told["failures"]] == ["j2", "j1"]
    assert told["failures"][0]["error"]["type"] == "OutOfMemoryError"
    assert told["counts"] == {
        "reason": {"bad hands": 2, "OutOfMemoryError": 1},
        "node": {"KSampler": 3},
        "model": {"sd.safetensors": 2},
        "step": {7: 2, 3: 1},
    }


def test_nothing_is_forgotten_that_was_to_be_written_while_the_database_was_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midrun.state.store.database.BUSY_S", 0.05)
    monkeypatch.setattr("midrun.state.store.database.RETRY_S", 0.1)
    store = Store(path)
    told: list[Any] = []
    store.database.trouble = lambda job_id, why: told.append(why)
    store.add(view("old"), REQUEST)
    with sqlite3.connect(path, isolation_level=None) as other:
        store.written().result()
        other.execute("BEGIN IMMEDIATE")
        store.add(view("j"), REQUEST)
        store.save(view("old", State.COMPLETED), Change("complete", State.RUNNING, State.COMPLETED, 9, "t"))
        store.written().result()
        other.execute("ROLLBACK")
    store.record_failure_cause("j", "KSampler", None)  # no write that could insert the row
    end = time.monotonic() + 10
    while told.count(None) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    stored = [store.find(name).result() for name in ("j", "old")]
    assert [found.view.state for found in stored if found] == [State.QUEUED, State.COMPLETED]
    assert [event["kind"] for event in store.events("old").result()] == ["complete"]
    store.close()


def test_a_restart_takes_back_the_warnings_of_the_server_before(path: Path) -> None:
    store = Store(path)
    store.add(view("j"), REQUEST)
    store.save(view("j", State.PAUSED, warnings={"not_on_disk": "x", "recording_gone": "y"}), None)
    store.close()
    store = Store(path)
    stored = store.find("j").result()
    assert stored is not None and stored.view.warnings == {"recording_gone": "y"}
    store.close()


@pytest.mark.parametrize("table", ["job_runs", "job_events", "uq_job_runs_prompt_id"])
def test_corruption_that_shows_later_is_mended_by_the_next_start(path: Path, table: str) -> None:
    store = Store(path)
    for number in range(200):
        store.add(view(f"j{number}"), REQUEST)
        store.save(view(f"j{number}"), Change("x", State.QUEUED, State.QUEUED, 0, "t"))
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    for name in ("first", "second", "third"):  # mended at once, or once a write has met it
        store = Store(path)
        store.add(view(name), REQUEST)
        store.save(view(name), Change("x", State.QUEUED, State.QUEUED, 0, "t"))
        store.close()
    store = Store(path)
    assert store.find("third").result() is not None
    assert store.events("third").result()[0]["kind"] == "x"
    store.close()
    assert len(list(path.parent.glob("midrun.corrupt-*.db"))) == 1


def test_a_damaged_row_keeps_no_grid_and_no_orphan_from_being_found(store: Store, path: Path) -> None:
    cell = Cell("g", (), ())
    left = {"pause_reason": PauseReason.SERVER_RESTART, "node_id": "3"}
    for job_id in ("sound", "damaged"):
        store.add(view(job_id, State.PAUSED, cell=cell, **left), REQUEST)
        told = Change("pause", State.RUNNING, State.PAUSING, 0, "2026-01-01T00:00:00.000Z", {})
        store.save(view(job_id, State.PAUSED, cell=cell, **left), told)
    store.written().result()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE job_debug_state SET grid_json = '{' WHERE job_id = 'damaged'")
        other.execute("UPDATE job_events SET detail_json = '{' WHERE job_id = 'damaged'")
    assert [one.view.job_id for one in store.related("grid", "g").result()] == ["sound"]
    assert set(store.database.read(orphans).result()) == {"sound", "damaged"}
    assert store.database.read(left_behind).result() == 2
