"""One ComfyUI server with Midrun: its process, and its REST API. It dies with whoever began it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

from .jobs import FleetError, Setup

LAUNCH = Path(__file__).with_name("launch.py")
START_S = 600.0  # with many node packs
ANSWER_S = 120.0  # a server that does not answer for so long is taken for hung
SPARE_S = 10.0  # above the time for a drain, until a process that was told to end is killed
LOOK_S = 0.1
WATCH = {"Midrun.WatchEverything": True}  # a workflow needs no node of Midrun


class Crashed(Exception):
    """The process ended, or does not answer."""


def begin(command: list[str], log: IO[bytes], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


class ComfyUI:
    """place: a directory of its own, which outlives the process, and with which its jobs go on"""

    def __init__(self, setup: Setup, place: Path) -> None:
        self._setup = setup
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        # ComfyUI ends with the thread that began it, so that thread has to last.
        self._lasting = ThreadPoolExecutor(1, "comfyui-parent")

    @property
    def outputs(self) -> Path:
        return self.place / "output"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns once it answers. Raises FleetError."""
        main = Path(self._setup.comfyui) / "main.py"
        if not main.is_file():
            raise FleetError(f"There is no {main} on this machine.")
        for name in ("user/default", "output", "temp"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        settings = self.place / "user" / "default" / "comfy.settings.json"
        if not settings.exists():
            settings.write_text(json.dumps(WATCH), encoding="utf-8")
        with (self.place / "comfyui.log").open("ab") as log:
            environ = {**os.environ, "MIDRUN_STORE": self._setup.store}
            environ["MIDRUN_DRAIN_S"] = f"{self._setup.drain_s:g}"
            command = [self._setup.python, str(LAUNCH), *self._command(main)]
            self._process = self._lasting.submit(partial(begin, command, log, environ)).result()
        self._wait_until_it_answers()

    def _command(self, main: Path) -> list[str]:
        self._port = _free_port()
        grace_s = self._setup.drain_s + SPARE_S
        command = [str(self.place), str(os.getpid()), f"{grace_s:g}", str(main), "--disable-auto-launch"]
        command += ["--listen", "127.0.0.1", "--port", str(self._port)]
        for name in ("user", "output", "temp"):
            command += [f"--{name}-directory", str(self.place / name)]
        return [*command, "--database-url", f"sqlite:///{self.place}/comfyui.db", *self._setup.arguments]

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_S
        while self.alive and time.monotonic() < end:
            try:
                status, _ = self._ask("GET", "/midrun/jobs?limit=1", None, ANSWER_S)
            except (OSError, http.client.HTTPException):
                time.sleep(LOOK_S)
                continue
            if status == 200:
                return
            self.stop()
            raise FleetError(
                f"The ComfyUI in {self._setup.comfyui} has no Midrun that works: see {self._log}."
            )
        self.stop()
        raise FleetError(f"ComfyUI does not start; {self._log} ends with: {self._tail()}")

    def stop(self) -> None:
        """In order, as far as it lets itself be."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._setup.drain_s + SPARE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def call(self, method: str, path: str, body: Any = None, seconds: float = ANSWER_S) -> tuple[int, Any]:
        """(status, what it says). Raises Crashed."""
        try:
            return self._ask(method, path, body, seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            raise Crashed(f"ComfyUI ended or does not answer ({error})") from error

    def _ask(self, method: str, path: str, body: Any, seconds: float) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._port}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, _json_or_text(error.read())

    @property
    def _log(self) -> Path:
        return self.place / "comfyui.log"

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-300:].strip()


def _json_or_text(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
