"""What `python dev.py bench` measures of great volumes, on servers of their own: a video, many jobs."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graphs
from harness import Comfy, as_package
from measurements import RARELY_S, Figures, milliseconds, require

MB = 1e6

# -- video ---------------------------------------------------------------------------------------------

VIDEO_STEP_S = 0.5
VIDEO_JOBS = 2


class Memory:
    """The most memory (resident set, bytes) that a process has while this context is open. Linux only."""

    EVERY_S = 0.02

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.most = self.before = self._now()

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self.EVERY_S):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


def video(base: Path, quick: bool) -> Figures:
    """Two jobs of 81 frames of 480p, 500 ms a step: memory beyond stock sampling, waits for the disk."""
    if not sys.platform.startswith("linux"):
        return {"skipped": {"": "memory is read from /proc, which only Linux has"}}
    steps = 10 if quick else 30
    stock, watched = (_video_jobs(base / name, steps, name == "watched") for name in ("stock", "watched"))
    grown = {name: told["most"] - told["before"] for name, told in (("stock", stock), ("watched", watched))}
    disk = watched["disk"]
    return {
        "memory": {
            "beyond_stock_mb": round((grown["watched"] - grown["stock"]) / MB, 1),
            **{f"{name}_grew_by_mb": round(size / MB, 1) for name, size in grown.items()},
        },
        "disk": {
            "share_of_time_percent": round(100 * disk["seconds"] / sum(watched["took"]), 4),
            "waited_ms": milliseconds(disk["seconds"]),
            "longest_wait_ms": milliseconds(disk["longest"]),
            "calls": disk["calls"],
        },
        "time": {
            "watched_to_stock": round(sum(watched["took"]) / sum(stock["took"]), 4),
            "evaluations": steps * VIDEO_JOBS,
        },
    }


def _video_jobs(base: Path, steps: int, watched: bool) -> dict[str, Any]:
    """In a fresh process, as what one run leaves to the allocator would hide what the next one takes."""
    comfy = Comfy(base)
    try:
        comfy.start()
        comfy.wait_ended(comfy.queue(graphs.base(watched=watched, key="warm-up")))
        comfy.post("/midrun_test/disk_clock")
        took = []
        with Memory(comfy.pid) as memory:
            for seed in range(VIDEO_JOBS):
                slow = {"seconds": VIDEO_STEP_S, "hollow": True}
                graph = graphs.base(steps=steps, seed=seed, watched=watched, key=f"video-{seed}", probe=slow)
                began = time.monotonic()
                ended = comfy.wait_ended(comfy.queue(graphs.video(graph)), 600, every_s=RARELY_S)
                took.append(time.monotonic() - began)
                require("save" in ended["outputs"], f"The video job failed: {ended['status']}")
            time.sleep(2 * RARELY_S)  # what is left to be written
        disk = comfy.post("/midrun_test/disk_clock")
        return {"before": memory.before, "most": memory.most, "took": took, "disk": disk}
    finally:
        comfy.stop()


# -- many jobs -----------------------------------------------------------------------------------------

JOBS, PAUSED_EVERY = 100_000, 1000
BATCH = 5000
QUERIES = {
    "newest": "jobs",
    "newest_500": "jobs?limit=500",
    "paused": "jobs?state=paused",
    "failed_aborted": "jobs?state=failed,aborted",
    "deep": f"jobs?before={JOBS // 10}",
    "failed_aborted_deep": f"jobs?state=failed,aborted&before={JOBS // 10}",
    "failures": "failures",
}
EVENTS = (("queued", "queued", "queued"), ("start", "queued", "running"))


def many_jobs(base: Path, quick: bool) -> Figures:
    """100,000 jobs in the database: opening it, and what lists them on a real server."""
    path = base / "user" / "__midrun" / "midrun.db"
    state = _state()
    state["Store"](path).close()  # makes the tables
    fill(path, JOBS)
    opening = [_open(path, state) for _ in range(3)]
    figures: Figures = {
        "opening": {
            "store_and_registry_ms": milliseconds(statistics.median(opening)),
            "max_ms": milliseconds(max(opening)),
            "file_mb": round(path.stat().st_size / MB),
        }
    }
    comfy = Comfy(base)
    try:
        comfy.start()
        first = time.monotonic()
        comfy.get("/midrun/jobs")
        figures["first_request"] = {"ms": milliseconds(time.monotonic() - first)}
        for name, query in QUERIES.items():
            figures[name] = _asked(comfy, query, 5 if quick else 30)
    finally:
        comfy.stop()
    return figures


def _asked(comfy: Comfy, query: str, times: int) -> Figures:
    took = []
    for _ in range(times):
        began = time.monotonic()
        answer = comfy.get(f"/midrun/{query}")
        took.append(time.monotonic() - began)
    listed = len(answer.get("jobs", answer.get("failures")))
    return {
        "median_ms": milliseconds(statistics.median(took)),
        "max_ms": milliseconds(max(took)),
        "listed": listed,
    }


def _state() -> dict[str, Any]:
    """The pack's own classes; not at import time, as the package has to be there first."""
    as_package()
    from midrun.state.recording.memory import MemoryRecordings  # noqa: PLC0415
    from midrun.state.services.registry import Registry  # noqa: PLC0415
    from midrun.state.store.store import Store  # noqa: PLC0415

    return {"Store": Store, "Registry": Registry, "recordings": MemoryRecordings()}


def _open(path: Path, state: dict[str, Any]) -> float:
    """Seconds, with nothing of the file in the system's cache where the system can be told so."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.monotonic()
    store = state["Store"](path)
    state["Registry"](store, state["recordings"], None)
    took = time.monotonic() - began
    store.close()
    return took


def fill(path: Path, jobs: int) -> None:
    """Rows as years of use leave them: prompts of 5 KB, most jobs ended, one in a thousand paused."""
    choose = random.Random(1)
    prompt = json.dumps(graphs.base() | {f"note-{n}": graphs.node("Note", text="x" * 100) for n in range(28)})
    rows = _rows(jobs, prompt, choose)
    with sqlite3.connect(path) as db:
        for row in rows:
            names = ", ".join(row)
            marks = ", ".join(f":{name}" for name in row)
            db.execute(f"INSERT INTO job_debug_state ({names}) VALUES ({marks})", row)
        db.execute("INSERT INTO job_runs (job_id, prompt_id) SELECT job_id, job_id FROM job_debug_state")
        for event in EVENTS:
            db.execute(
                "INSERT INTO job_events (job_id, kind, state_from, state_to, step, at) "
                "SELECT job_id, ?, ?, ?, 0, created_at FROM job_debug_state",
                event,
            )
    db.close()


def _rows(jobs: int, prompt: str, choose: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(jobs):
        state = choose.choices(("completed", "aborted", "failed"), (6, 2, 2))[0]
        if number % PAUSED_EVERY == 0:
            state = "paused"
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(1_750_000_000 + 60 * number))
        row = {"job_id": f"{choose.getrandbits(128):032x}", "state": state, "node_id": "sampler"}
        row |= {"step": choose.randrange(30), "total_steps": 30, "evaluations": choose.randrange(30)}
        row |= {"prompt_json": prompt, "extra_data_json": json.dumps({"client_id": "bench"})}
        row |= {"created_at": at, "updated_at": at, "abort_reason": None, "error_json": None}
        row |= {"node_class": None, "model_file": None, "pause_reason": None}
        if state == "paused":
            row["pause_reason"] = "user"
        elif state != "completed":
            row |= {"node_class": "KSampler", "model_file": f"model-{choose.randrange(20)}.safetensors"}
        if state == "aborted":
            row["abort_reason"] = choose.choice(("ugly", "wrong prompt", "cancelled in ComfyUI"))
        elif state == "failed":
            kind = choose.choice(("OutOfMemoryError", "RuntimeError"))
            row["error_json"] = json.dumps({"type": kind, "message": "no memory", "node_id": "sampler"})
        yield row


MEASUREMENTS = {work.__name__: work for work in (video, many_jobs)}
