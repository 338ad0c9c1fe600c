"""A fleet on a real Ray cluster, while its workers and their servers are killed at random. Takes minutes.

Needs Ray, in this Python or in the one that MIDRUN_RAY_PYTHON names: `python dev.py test tests/fleet`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import graphs
from fleet import setup_of
from harness import ROOT, Comfy

RAY_PYTHON = os.environ.get("MIDRUN_RAY_PYTHON")
if RAY_PYTHON is None:
    pytest.importorskip(
        "ray", reason="Ray is not installed here, and MIDRUN_RAY_PYTHON names no Python with it"
    )
PYTHON = RAY_PYTHON or sys.executable
WORKERS, JOBS = int(os.environ.get("MIDRUN_FLEET_WORKERS", 4)), int(os.environ.get("MIDRUN_FLEET_JOBS", 40))
STEPS, EVALUATION_S, LONG_S = 8, 1.5, 5.0
KILL_EVERY_S, ACTORS_SHARE = 10.0, 0.3
LONGEST_S = 1800
pytestmark = pytest.mark.timeout(LONGEST_S + 300)


class Fleet:
    """The commands, as a person gives them."""

    def __init__(self, place: Path) -> None:
        self.setup = setup_of(place)
        self.store = Path(self.setup["store"].removeprefix("file://"))
        self.evidence = place / "evidence"
        self.evidence.mkdir()
        self._environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._environ |= {
            "PYTHONPATH": str(ROOT),
            "RAY_ADDRESS": "",
            "MIDRUN_TEST_EVIDENCE": str(self.evidence),
        }
        self._environ |= {"RAY_TMPDIR": "/tmp", "RAY_DISABLE_IMPORT_WARNING": "1"}
        self._environ["RAY_worker_niceness"] = "0"  # else what runs beside it takes all of a small machine
        self._environ.pop("RAY_ADDRESS")

    def ray(self, *arguments: str) -> None:
        ray = str(Path(PYTHON).with_name("ray"))
        subprocess.run([ray, *arguments], env=self._environ, check=True, capture_output=True, timeout=120)

    def __call__(self, *arguments: str) -> str:
        command = [PYTHON, "-m", "midrun_fleet", *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, workers: int) -> None:
        given = self.setup
        options = ["--workers", str(workers), "--comfyui", given["comfyui"], "--store", given["store"]]
        options += [
            "--python",
            given["python"],
            "--base",
            given["base"],
            "--gpus",
            "0",
            "--drain-seconds",
            "15",
        ]
        self("start", *options, "--", *given["arguments"])

    def status(self) -> dict[str, Any]:
        return json.loads(self("status", "--json"))

    def until(self, what: Callable[[dict[str, Any]], Any], told: str, timeout: float = LONGEST_S) -> Any:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            status = self.status()
            if what(status):
                return status
            time.sleep(1)
        raise AssertionError(f"waited for {told}: {self.status()}")

    def driver(self) -> int:
        """Its process."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if (place / "cmdline").read_bytes().startswith(b"ray::DriverActor"):
                    return int(place.name)
            except OSError:
                continue
        raise AssertionError("there is no driver")

    def result(self, job_id: str) -> dict[str, Any]:
        return json.loads((self.store / "fleet" / "results" / f"{job_id}.json").read_text())

    def latent(self, job_id: str) -> torch.Tensor:
        (name,) = self.result(job_id)["files"]
        return load_file(self.store / "fleet" / "results" / job_id / name)["latent_tensor"]

    def lines(self, key: str) -> list[tuple[str, int, float]]:
        """(checksum, process, time) of each evaluation of a job that began, in order."""
        rows = (line.split() for line in (self.evidence / key).read_text().splitlines())
        return [(checksum, int(pid), float(at)) for checksum, pid, at in rows]

    def claims(self, job_id: str) -> list[dict[str, Any]]:
        folder = self.store / "jobs" / job_id / "claims"
        names = sorted(one.name for one in folder.iterdir() if one.name.isdigit())
        assert names == [f"{number + 1:06}" for number in range(len(names))]
        return [json.loads((folder / name).read_text()) for name in names]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    fleet.ray("start", "--head", "--num-cpus", "16", "--include-dashboard", "false", "--disable-usage-stats")
    begun = time.monotonic()
    try:
        fleet.start(WORKERS)
        fleet.until(
            lambda status: all(one["state"] == "free" for one in status["workers"]), "the workers", 300
        )
        print(f"\n{WORKERS} workers are free after {time.monotonic() - begun:.1f} s")
        yield fleet
        fleet("stop")
    finally:
        fleet.ray("stop", "--force")


def test_all_jobs_end_right_while_workers_are_killed(fleet: Fleet, comfy: Comfy, tmp_path: Path) -> None:
    chaos = Chaos(fleet)
    with ThreadPoolExecutor(1) as pool:
        over = pool.submit(chaos.reign)
        ids = {f"fleet-{number}": submit(fleet, tmp_path, number) for number in range(JOBS)}
        over.result()
    told = [len(fleet.lines(key)) - STEPS for key in ids]
    moved = sum(len({one["home"] for one in fleet.claims(job_id)}) > 1 for job_id in ids.values())
    print(f"\n{JOBS} jobs, {WORKERS} workers: {chaos.told()}")
    print(f"evaluations computed twice: {sum(told)}; jobs that changed the worker: {moved}")
    for number, (key, job_id) in enumerate(ids.items()):
        check_that_one_at_a_time_had_it(fleet, key, job_id)
        check_the_result(fleet, comfy, number, job_id)
    assert sum(told) <= len(chaos.kills)


def test_jobs_go_on_after_a_pause_a_drain_and_a_new_driver(
    fleet: Fleet, comfy: Comfy, tmp_path: Path
) -> None:
    numbers = range(1000, 1000 + WORKERS)
    with ThreadPoolExecutor() as pool:  # so that the first is still at work when the last begins
        ids = dict(
            zip(numbers, pool.map(lambda one: submit(fleet, tmp_path, one, LONG_S), numbers), strict=True)
        )
    at_work = fleet.until(lambda status: status["jobs"]["running"] == WORKERS, "all to be at work")
    assert at_work["jobs"]["queued"] == 0
    paused = ids[1000]
    fleet("pause", paused)
    fleet.until(lambda status: [one["id"] for one in status["paused"]] == [paused], "the pause")
    kill(fleet.driver())
    fleet.until(lambda status: [one["id"] for one in status["paused"]] == [paused], "it to be known still")
    fleet("resume", paused)
    busy = fleet.until(lambda status: status["jobs"]["running"], "somebody to be at work")
    victim = next(one["name"] for one in busy["workers"] if one["state"] == "running")
    assert fleet("drain", victim).split() == ["drained:", victim]
    fleet.until(lambda status: not status["jobs"]["running"] and not status["jobs"]["queued"], "the end")
    for number, job_id in ids.items():
        check_that_one_at_a_time_had_it(fleet, f"fleet-{number}", job_id, paused=True)
        check_the_result(fleet, comfy, number, job_id)


class Chaos:
    """Kills the ComfyUI of a worker, or its actor, every ten seconds until all jobs are over."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._dice = random.Random(19)
        self.kills: list[str] = []
        self.most = 0  # bytes of an actor
        self.processes = ""
        self.seconds = 0.0

    def reign(self) -> None:
        begun = next_kill = time.monotonic()
        status = self._fleet.status()
        while status["jobs"]["completed"] < JOBS:
            assert time.monotonic() < begun + LONGEST_S and not status["failed"], status
            if time.monotonic() >= next_kill:
                what = "pid" if self._dice.random() < ACTORS_SHARE else "comfyui"
                if kill(self._dice.choice(status["workers"]).get(what)):
                    self.kills.append(what)
                    next_kill = time.monotonic() + KILL_EVERY_S
            self.most = max(self.most, *(rss(one.get("pid", 0)) for one in status["workers"]))
            self.processes = processes_of_ray() or self.processes
            time.sleep(0.5)
            status = self._fleet.status()
        self.seconds = time.monotonic() - begun

    def told(self) -> str:
        actors = self.kills.count("pid")
        told = f"{self.seconds:.0f} s, {len(self.kills)} kills, {actors} of them of an actor; "
        return told + f"memory of an actor at most {self.most >> 20} MiB, of Ray at the end: {self.processes}"


def submit(fleet: Fleet, place: Path, number: int, seconds: float = EVALUATION_S) -> str:
    """A job with a key of its own, by which its evaluations are told from others."""
    file = place / f"job-{number}.json"
    file.write_text(json.dumps(graph(number, seconds=seconds)))
    return fleet("submit", str(file)).strip()


def graph(number: int, watched: bool = True, seconds: float = EVALUATION_S) -> graphs.Graph:
    probe = {"seconds": seconds}
    options = {"sampler": "dpmpp_2m_sde", "steps": STEPS, "seed": 100 + number}
    return graphs.base(key=f"fleet-{number}", watched=watched, probe=probe, **options)


def check_the_result(fleet: Fleet, comfy: Comfy, number: int, job_id: str) -> None:
    assert fleet.result(job_id)["evaluations"] == STEPS
    reference = comfy.queue(graph(number, watched=False, seconds=0.0))
    assert torch.equal(fleet.latent(job_id), load_file(comfy.output(reference))["latent_tensor"])


def check_that_one_at_a_time_had_it(fleet: Fleet, key: str, job_id: str, paused: bool = False) -> None:
    """Each process computed its evaluations in one stretch, of which one at most was computed before, under
    a claim of its own. paused: a process may have had several stretches"""
    lines = fleet.lines(key)
    stretches = [[checksum for checksum, *_ in some] for _, some in groupby(lines, key=lambda line: line[1])]
    processes = [process for process, _ in groupby(lines, key=lambda line: line[1])]
    assert len(processes) == len(set(processes)), f"{key}: {lines}"
    seen: set[str] = set()
    for checksums in stretches:
        assert len(checksums) - len(set(checksums)) <= paused, f"{key}: {lines}"
        assert len(seen & set(checksums)) <= 1, f"{key}: {lines}"
        seen |= set(checksums)
    assert len(seen) == STEPS, "nothing else was computed"
    lives = [one["life"] for one in fleet.claims(job_id)]
    assert len(lives) == len(set(lives)) and len(stretches) <= len(lives)


def kill(pid: int | None) -> bool:
    try:
        os.kill(pid or -1, signal.SIGKILL) if pid else None
    except ProcessLookupError:
        return False
    return pid is not None


def rss(pid: int) -> int:
    """Bytes."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def processes_of_ray() -> str:
    """What they take in all, by name."""
    found: dict[str, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if command.startswith("ray::") or "/ray/" in command:
            name = command.split()[0].rpartition("/")[2]
            found[name] = found.get(name, 0) + rss(int(place.name))
    return ", ".join(f"{name} {size >> 20} MiB" for name, size in sorted(found.items()))
