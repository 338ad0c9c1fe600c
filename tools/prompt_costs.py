"""What `python dev.py bench` measures of whole prompts: from ComfyUI's own start of one to its own end of it.

By the moments of history's messages, with a browser's connection that is told of all of it. The model
computes on all cores, so that whatever Midrun does beside it takes its time from it.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import threading
from pathlib import Path
from typing import Any

import websocket

import graphs
from harness import Comfy
from measurements import Figures, prompt_seconds, quarters

STEP_S, STEPS = 0.13, 40
PAIRS, FEW = 10, 3
CLIENT = "bench"
METHODS = {"stock": None, "again": None, "without": "none", "auto": "auto"}
RANDOM = random.Random(23)


def prompt_cost(base: Path, quick: bool) -> Figures:
    """Prompts of 40 steps of 130 ms, watched with automatic previews and without, against stock; 512x512.

    Medians of the ratios within the pairs; stock_to_stock: of the same twice, which is what the machine adds
    """
    # Passive: threads that wait for each other do not spin, which on a busy machine makes them crawl.
    environ = {"OMP_NUM_THREADS": str(os.cpu_count() or 1), "OMP_WAIT_POLICY": "PASSIVE"}
    comfy = Comfy(base, environ=environ).start()
    try:
        comfy.post("/midrun_test/decoder?name=taesd_decoder&what=image")
        with _Browser(comfy):
            for method in METHODS.values():
                _prompt(comfy, method, 3)
            pairs = [_pair(comfy) for _ in range(FEW if quick else PAIRS)]
    finally:
        comfy.stop()
    names = {"stock_to_stock": "again", "without_previews": "without", "automatic_previews": "auto"}
    ratios = {told: [pair[name] / pair["stock"] for pair in pairs] for told, name in names.items()}
    usual = {"seconds": statistics.median(pair["stock"] for pair in pairs), "pairs": len(pairs)}
    return {told: quarters(several) for told, several in ratios.items()} | {"stock": usual}


def _pair(comfy: Comfy) -> dict[str, float]:
    turns = list(METHODS.items())
    RANDOM.shuffle(turns)
    return {name: _prompt(comfy, method, STEPS) for name, method in turns}


def _prompt(comfy: Comfy, method: str | None, steps: int) -> float:
    """Seconds from the prompt's start to its end; previews by that method, or unwatched."""
    seed = RANDOM.randrange(2**32)  # nothing is to come from ComfyUI's cache
    given: dict[str, Any] = {"steps": steps, "seed": seed, "latent": {"size": 64}, "cfg": 1.0}
    graph = graphs.base(watched=method is not None, preview={"method": method} if method else None, **given)
    graph["probe"] = graphs.node("TestWork", model=["model", 0], seconds=STEP_S)
    return prompt_seconds(comfy, graph, CLIENT)


class _Browser:
    """A client that reads what it is told, as ComfyUI's frontend does."""

    def __init__(self, comfy: Comfy) -> None:
        url = f"ws://127.0.0.1:{comfy.port}/ws?clientId={CLIENT}"
        self._socket = websocket.create_connection(url, timeout=600)
        flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        self._socket.send(json.dumps(flags))
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._socket.abort()  # which wakes the thread that reads
        self._thread.join()

    def _read(self) -> None:
        try:
            while self._socket.recv():
                pass
        except (websocket.WebSocketException, OSError):
            return


MEASUREMENTS = {"prompt_cost": prompt_cost}
