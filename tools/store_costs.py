"""What `python dev.py bench` measures of a shared store: sampling while its jobs are sent there.

The model sleeps, as a processor does that waits for its GPU. On S3 where MIDRUN_S3 names a directory in which
s3fs and moto[server] are installed.
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
from pathlib import Path
from typing import Any

import graphs
from harness import Comfy, free_port
from measurements import Figures, prompt_seconds, quarters

STEP_S, STEPS, LONG = 0.1, 60, 450
BEFORE_S, CUT_S = 4.0, 30.0
PAIRS, FEW = 11, 3
RANDOM = random.Random(31)
PACKAGES = os.environ.get("MIDRUN_S3", "")
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


def store_cost(base: Path, quick: bool) -> Figures:
    """Prompts of 60 steps of 100 ms, watched, with a store to the same without one; 512x512.

    Medians of the ratios within the pairs; again: of the same twice, which is what the machine adds;
    s3_cut_off: of 450 steps, of which the store does not answer for 30 seconds
    """
    s3 = _S3(base) if PACKAGES else None
    urls = {"file": f"file://{(base / 'store').as_posix()}"} | ({"s3": "s3://midrun/bench"} if s3 else {})
    servers = {"none": Comfy(base / "none")}
    told = s3.told if s3 else {}
    servers |= {name: Comfy(base / name, environ={"MIDRUN_STORE": url} | told) for name, url in urls.items()}
    try:
        for comfy in servers.values():
            _prompt(comfy.start(), 3)
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


def _turn(servers: dict[str, Comfy]) -> dict[str, float]:
    turns = [*servers.items(), ("again", servers["none"])]
    RANDOM.shuffle(turns)
    return {name: _prompt(comfy, STEPS) for name, comfy in turns}


def _prompt(comfy: Comfy, steps: int) -> float:
    """Seconds from the prompt's start to its end, by ComfyUI's own messages."""
    seed = RANDOM.randrange(2**32)  # nothing is to come from ComfyUI's cache
    given: dict[str, Any] = {"latent": {"size": 64}, "cfg": 1.0, "preview": {"method": "none"}}
    probe = {"seconds": STEP_S, "hollow": True}
    graph = graphs.base(steps=steps, seed=seed, key=str(seed), probe=probe, **given)
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
        self.told = KEYS | {"AWS_ENDPOINT_URL": url, "PYTHONPATH": PACKAGES}
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        with (base / "moto.log").open("wb") as log:
            environ = os.environ | {"PYTHONPATH": PACKAGES}
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ)
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
