"""A fleet's worker with a real ComfyUI: killed, taken over from, drained; without Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import load_file

import graphs
from copies import Copy
from fleet import setup_of
from harness import ROOT, Comfy, comfyui_path
from midrun.midrun_fleet import comfyui
from midrun.midrun_fleet.jobs import End, FleetError, Job, Result, Setup
from midrun.midrun_fleet.ledger import Ledger
from midrun.midrun_fleet.worker import Worker
from test_control import expected

Make = Callable[[str], Worker]
ID = "0d9a2d7a-54f0-4d7e-9c38-0b6b6f5a6c{:02}"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(**setup_of(tmp_path_factory.mktemp("fleet")))


@pytest.fixture(autouse=True, scope="module")
def copies() -> Iterator[None]:
    """ComfyUIs begin as those of other tests do. With launch.py `run` begins one, and Ray's workers do."""

    def begin(command: list[str], log: IO[bytes], environ: dict[str, str]) -> Copy:
        arguments = command[command.index("--disable-auto-launch") :]
        told = {name: value for name, value in environ.items() if name.startswith("MIDRUN_")}
        return Comfy.originals[0].copy([str(comfyui_path()), *arguments], told, Path(log.name))

    with pytest.MonkeyPatch.context() as patch:
        if Comfy.originals:
            patch.setattr(comfyui, "begin", begin)
        yield


@pytest.fixture
def workers(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    made: list[Worker] = []

    def make(name: str) -> Worker:
        made.append(Worker(setup, name))
        made[-1].ready()
        return made[-1]

    yield make
    for one in made:
        one._comfyui.stop()


@pytest.fixture(scope="module")
def steady(setup: Setup) -> Iterator[Worker]:
    """One for the tests after which it is as before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("PYTHONPATH", raising=False)
        worker = Worker(setup, "steady")
        worker.ready()
        yield worker
        worker._comfyui.stop()


def job_of(number: int, **options: Any) -> Job:
    return Job(ID.format(number), f"job {number}", graphs.base(key=f"job-{number}", **options))


def begun(worker: Worker, job: Job) -> Future[Result]:
    """Its run, on a thread as Ray has it."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(run_on(worker, job))
        except BaseException as error:  # noqa: BLE001  whoever waits raises it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def run_on(worker: Worker, job: Job) -> Result:
    """As the driver does: the job is open before."""
    if worker._ledger.result(job.id) is None:
        worker._ledger.add(job)
    return worker.run(job.id)


def wait_at_gate(worker: Worker, job: Job, gate: int) -> None:
    until(lambda: probe(worker, job)["at_gate"] == gate, f"{job.name} to reach gate {gate}")


def probe(worker: Worker, job: Job) -> Any:
    return worker._call("GET", f"/midrun_test/probe?key={job.name.replace(' ', '-')}")[1]


def open_gate(worker: Worker, job: Job, gate: int) -> None:
    worker._call("POST", f"/midrun_test/open?key={job.name.replace(' ', '-')}&gate={gate}", {})


def until(what: Callable[[], Any], told: str) -> None:
    end = time.monotonic() + 90
    while not what():
        assert time.monotonic() < end, f"waited for {told}"
        time.sleep(0.02)


def kept(setup: Setup, job: Job, result: Result) -> torch.Tensor:
    (name,) = result.files
    place = Path(setup.store.removeprefix("file://")) / "fleet" / "results" / job.id / name
    return load_file(place)["latent_tensor"]


def has_another(worker: Worker, killed: int) -> bool:
    """Than the ComfyUI that was killed; it may be asked just while that one dies."""
    try:
        return worker._serves and worker.ready()["comfyui"] not in (None, killed)
    except FleetError:
        return False


def test_a_job_goes_on_where_comfyui_is_killed_and_is_not_done_twice(
    setup: Setup, workers: Make, comfy: Comfy
) -> None:
    worker, job = workers("one"), job_of(1, gates="4", steps=8)
    first = begun(worker, job)
    wait_at_gate(worker, job, 4)
    killed = worker.ready()["comfyui"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: has_another(worker, killed), "another ComfyUI")
    open_gate(worker, job, 4)
    result = first.result(90)
    assert (result.end, result.evaluations, result.runs) == (End.COMPLETED, 8, 2)
    assert probe(worker, job)["done"] == 5
    assert torch.equal(kept(setup, job, result), expected(comfy, steps=8))
    assert run_on(worker, job) == result and probe(worker, job)["done"] == 5
    assert not list((worker._comfyui.outputs / "latents").iterdir()), "it is in the store"


def test_another_worker_goes_on_when_one_is_lost_or_drained(
    setup: Setup, workers: Make, comfy: Comfy
) -> None:
    one, other, job = workers("lost"), workers("other"), job_of(2, gates="4", steps=8, seed=6)
    lost = begun(one, job)
    wait_at_gate(one, job, 4)
    assert run_on(other, job).end is End.ELSEWHERE, "the first has it and lives"
    manifest = Path(setup.store.removeprefix("file://")) / "jobs" / job.id / "claims" / "000001.json"
    until(
        lambda: manifest.exists() and "/000002.safetensors" in manifest.read_text(), "it to be in the store"
    )
    one._starting.acquire()  # it does not come back
    os.kill(one._comfyui.pid or 0, signal.SIGKILL)
    second = begun(other, job)
    wait_at_gate(other, job, 4)
    third = workers("third")
    other.drain()
    assert second.result(60).end is End.LET_GO and not lost.done()
    assert run_on(other, job).end is End.LET_GO, "it takes no more jobs"
    result = run_on(third, job)
    assert (result.end, result.evaluations) == (End.COMPLETED, 8)
    assert probe(third, job)["done"] == 2
    assert torch.equal(kept(setup, job, result), expected(comfy, steps=8, seed=6))
    one._starting.release()
    assert lost.result(90) == result, "the first learns what came of it"
    assert one._view(job.id) is None, "and keeps nothing of it"


def test_a_job_that_was_completed_but_not_told_is_only_saved_again(
    setup: Setup, workers: Make, comfy: Comfy
) -> None:
    worker, job = workers("untold"), job_of(3, steps=6)
    assert worker._is_begun(job)
    until(lambda: (worker._view(job.id) or {}).get("state") == "completed", "its end")
    worker.stop()
    worker.ready()
    result = run_on(worker, job)
    assert (result.end, probe(worker, job)["done"]) == (End.COMPLETED, 0)
    assert torch.equal(kept(setup, job, result), expected(comfy, steps=6))


def test_what_is_wrong_with_a_job_is_told_and_the_next_one_runs(setup: Setup, steady: Worker) -> None:
    worker = steady
    refused = run_on(worker, Job(ID.format(4), "refused", {"1": {"class_type": "NoSuchNode", "inputs": {}}}))
    assert refused.end is End.FAILED and "refuses" in (refused.error or "")
    failing = job_of(5, steps=4, probe={"fail_at": 2})
    failed = run_on(worker, failing)
    assert failed.end is End.FAILED and "simulated failure" in (failed.error or "")
    Ledger(setup.store).open_again(failing.id)
    assert run_on(worker, failing).end is End.COMPLETED, "it goes on, as the failure was once"
    unwatched = Job(ID.format(6), "plain", graphs.base(steps=3, watched=False))
    assert run_on(worker, unwatched).end is End.COMPLETED


def test_a_paused_job_leaves_the_worker_and_goes_on_there(steady: Worker) -> None:
    worker, job = steady, job_of(7, gates="3", steps=5)
    run = begun(worker, job)
    wait_at_gate(worker, job, 3)
    worker.pause(job.id)
    assert run.result(60).end is End.PAUSED
    assert run_on(worker, job_of(8, steps=3)).end is End.COMPLETED
    assert run_on(worker, job).end is End.COMPLETED and probe(worker, job)["done"] == 5
    early = job_of(9, steps=4)
    worker.pause(early.id)  # before anything of it is there
    assert run_on(worker, early).end is End.PAUSED
    assert run_on(worker, early).end is End.COMPLETED


def test_a_queue_that_starts_a_process_for_each_job_goes_on_with_it(
    setup: Setup, comfy: Comfy, tmp_path: Path
) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    options = {"steps": 6, "seed": 8, "key": "alone"}
    (tmp_path / "workflow.json").write_text(json.dumps(graphs.base(**options, probe={"seconds": 1.0})))
    environ = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MIDRUN_TEST_EVIDENCE": str(evidence)}

    def run(place: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "midrun_fleet", "run", str(tmp_path / "workflow.json")]
        command += ["--name", "shot 7", "--comfyui", setup.comfyui, "--store", setup.store]
        command += ["--base", str(tmp_path / place), "--", *setup.arguments]
        return subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.PIPE, text=True)

    def computed() -> list[str]:
        file = evidence / "alone"
        return file.read_text().splitlines() if file.exists() else []

    with run("first") as first:
        until(lambda: len(computed()) >= 3, "its third evaluation")
        first.terminate()
        assert first.wait(60) == 143
    before = len(computed())
    with run("second") as second:
        told = json.loads(second.communicate(timeout=120)[0])
    assert (told["end"], told["evaluations"]) == ("completed", 6)
    assert before >= 3 and len(computed()) <= 7, "what was interrupted is computed again, and nothing else"
    with run("third") as third:
        assert json.loads(third.communicate(timeout=120)[0]) == told, "it is over"
    job = Job(str(uuid.uuid5(uuid.NAMESPACE_URL, "shot 7")), "shot 7", {})
    result = Ledger(setup.store).result(job.id)
    assert result is not None
    assert torch.equal(kept(setup, job, result), expected(comfy, steps=6, seed=8))
