"""What `python dev.py bench` measures of a shared store: sampling while its jobs are sent there.

The model computes on one core and the store's server on another, as if on machines of their own. On S3 where
s3fs and moto[server] are installed beside the benchmark.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import graphs
from harness import Comfy, free_port
from measurements import Figures, prompt_seconds, quarters

STEP_S, STEPS, LONG = 0.1, 60, 450
BEFORE_S, CUT_S = 4.0, 30.0
PAIRS, FEW = 11, 3
RANDOM = random.Random(31)
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


def store_cost(base: Path, quick: bool) -> Figures:
    """Prompts of 60 steps of 100 ms, watched, with a store to the same without one; 512x512.

    Medians of the ratios within the pairs; again: of the same twice, which is what the machine adds;
    s3_cut_off: of 450 steps, of which the store does not answer for 30 seconds
    """
    s3 = _S3(base) if find_spec("moto") and find_spec("s3fs") else None
    urls = {"file": f"file://{(base / 'store').as_posix()}"} | ({"s3": "s3://midrun/bench"} if s3 else {})
    servers = {"none": _server(base / "none", {})}
    told = s3.told if s3 else {}
    servers |= {name: _server(base / name, {"MIDRUN_STORE": url} | told) for name, url in urls.items()}
    try:
        for comfy in servers.values():
            _prompt(comfy, 3)
        turns = [_turn(servers) for _ in range(FEW if quick else PAIRS)]
        figures = {name: quarters([turn[name] / turn["none"] for turn in turns]) for name in ("again", *urls)}
        if s3:
            figures["s3_cut_off"] = _cut_off(servers["none"], servers["s3"], s3, 1 if quick else 3)
    finally:
        for comfy in servers.values():
            comfy.stop()
        if s3:
            s3.end()
    return figures


def _server(place: Path, environ: dict[str, str]) -> Comfy:
    # Passive: threads that wait for each other do not spin, which on a busy machine makes them crawl.
    path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return Comfy(place, environ={"OMP_WAIT_POLICY": "PASSIVE"} | path | environ).start()


def _turn(servers: dict[str, Comfy]) -> dict[str, float]:
    turns = [*servers.items(), ("again", servers["none"])]
    RANDOM.shuffle(turns)
    return {name: _prompt(comfy, STEPS) for name, comfy in turns}


def _prompt(comfy: Comfy, steps: int) -> float:
    """Seconds from the prompt's start to its end, by ComfyUI's own messages."""
    given: dict[str, Any] = {
        "steps": steps,
        "seed": RANDOM.randrange(2**32),
        "latent": {"size": 64},
        "cfg": 1.0,
    }
    graph = graphs.base(preview={"method": "none"}, **given)
    graph["probe"] = graphs.node("TestWork", model=["model", 0], seconds=STEP_S)
    return prompt_seconds(comfy, graph)


def _cut_off(plain: Comfy, shared: Comfy, s3: _S3, tries: int) -> Figures:
    ratios, warned = [], 0
    for _ in range(tries):
        usual = _prompt(plain, LONG)
        cut = threading.Thread(target=s3.cut_off)
        cut.start()
        took = _prompt(shared, LONG)
        cut.join()
        ratios.append(took / usual)
        job = shared.get("/midrun/jobs")["jobs"][0]
        told = [event["kind"] for event in shared.get(f"/midrun/jobs/{job['job_id']}/events")["events"]]
        warned += any(kind.startswith("not_in_store") for kind in told)
    return {"median": round(statistics.median(ratios), 4), "tries": tries, "warned": warned}


class _S3:
    """A server that speaks S3, in a process that can be stopped."""

    def __init__(self, base: Path) -> None:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self.told = KEYS | {"AWS_ENDPOINT_URL": url}
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        with (base / "moto.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        request = urllib.request.Request(f"{url}/midrun", method="PUT")
        for _ in range(600):
            try:
                urllib.request.urlopen(request, timeout=10).close()  # makes the bucket
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("moto's server does not answer")

    def cut_off(self) -> None:
        """For a while, in a moment."""
        time.sleep(BEFORE_S)
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(CUT_S)
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


MEASUREMENTS = {"store_cost": store_cost}
