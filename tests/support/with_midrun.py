"""A plugin for ComfyUI's own tests: `dev.py comfy-test` runs them with it.

It mends torchvision as launch_comfyui.py does, loads the pack that MIDRUN_PACK names as ComfyUI would, waits
for servers that start slowly, and writes what became of the tests into the file MIDRUN_OUTCOMES, as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import time
from pathlib import Path
from typing import Any

import websocket

from launch_comfyui import mend_torchvision

START_S = 120
KEPT: list[Any] = []  # what has to stay alive
OUTCOMES: dict[str, Any] = {"passed": 0, "skipped": 0, "failed": []}


def pytest_sessionstart() -> None:
    KEPT.append(mend_torchvision())
    be_patient()
    pack = os.environ.get("MIDRUN_PACK")
    if pack:
        torch, args = importlib.import_module("torch"), importlib.import_module("comfy.cli_args").args
        args.cpu = not torch.cuda.is_available()
        importlib.import_module(
            "utils.install_util"
        )  # before nodes.py puts a folder with another `utils` first
        nodes = importlib.import_module("nodes")
        loaded = asyncio.run(nodes.load_custom_node(pack, module_parent="custom_nodes"))
        assert loaded and "MidrunKSampler" in nodes.NODE_CLASS_MAPPINGS


def be_patient() -> None:
    """These tests give a server 20 s to start, which on a busy machine is too little."""
    connect = websocket.WebSocket.connect

    def connect_in_time(self: Any, *given: Any, **named: Any) -> Any:
        end = time.monotonic() + START_S
        while True:
            try:
                return connect(self, *given, **named)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    websocket.WebSocket.connect = connect_in_time


def pytest_runtest_logreport(report: Any) -> None:
    if report.failed:
        OUTCOMES["failed"].append(report.nodeid)
    elif report.skipped:
        OUTCOMES["skipped"] += 1
    elif report.when == "call":
        OUTCOMES["passed"] += 1


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        OUTCOMES["failed"].append(report.nodeid)


def pytest_sessionfinish() -> None:
    Path(os.environ["MIDRUN_OUTCOMES"]).write_text(json.dumps(OUTCOMES), encoding="utf-8")
