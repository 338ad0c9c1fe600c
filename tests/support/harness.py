"""A real ComfyUI server for a test, demo or benchmark, with Midrun in it, driven over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import importlib.machinery
import importlib.util
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from copies import LAUNCHER, Copy, Original

ROOT = Path(__file__).resolve().parents[2]
TEST_PACK = ROOT / "tests" / "comfy_pack"
START_S = 180
SELDOM_S = 0.05
PORTS = range(16000, 32000)  # which no system gives to a connection that asks for none


def comfyui_path() -> Path:
    """The ComfyUI tree that dev.py chose."""
    path = os.environ.get("MIDRUN_COMFYUI")
    if not path:
        raise SystemExit(
            "MIDRUN_COMFYUI is not set: run this through `python dev.py test`, `demo` or `bench`."
        )
    return Path(path)


def as_package() -> None:
    """Make the pack importable as `midrun` without running its __init__.py, which needs ComfyUI."""
    spec = importlib.machinery.ModuleSpec("midrun", None, is_package=True)
    spec.submodule_search_locations = [str(ROOT)]
    sys.modules.setdefault("midrun", importlib.util.module_from_spec(spec))


class Comfy:
    """One server process on its own base directory.

    `originals`: of which servers begin as copies; none, and each is a process of its own. One that is started
    again is a copy of another than before: as after a real restart, strings have other hashes.
    """

    originals: tuple[Original, ...] = ()

    def __init__(
        self,
        base: Path,
        packs: tuple[Path, ...] = (ROOT, TEST_PACK),
        args: tuple[str, ...] = (),
        evidence: Path | None = None,
        environ: dict[str, str] | None = None,
        device: str = "cpu",
    ) -> None:
        """`evidence`: a directory in which TestProbe notes the evaluations where a kill cannot lose them.

        device: that ComfyUI computes on: cpu, cuda, or aside, the one of the test pack
        """
        self.base = base
        self.args = args
        self.environ = {"MIDRUN_TEST_EVIDENCE": str(evidence)} if evidence is not None else {}
        self.environ |= environ or {}
        self.device = device
        if device == "aside":
            self.environ["MIDRUN_TEST_DEVICE"] = device
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = base / f"server-{self.port}.log"
        self._process: subprocess.Popen[bytes] | Copy | None = None
        self._of_thread = threading.local()
        self._starts = int((base / "custom_nodes").exists())  # by another, as far as one can know
        (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
        for pack in packs:
            install(pack, base / "custom_nodes" / ("ComfyUI-Midrun" if pack == ROOT else pack.name))

    def start(self) -> Comfy:
        command = [str(comfyui_path()), "--listen", "127.0.0.1"]
        command += [] if self.device == "cuda" else ["--cpu"]
        command += ["--port", str(self.port), "--base-directory", str(self.base), "--disable-api-nodes"]
        command += ["--database-url", f"sqlite:///{(self.base / 'comfyui.db').as_posix()}", *self.args]
        if self.originals and self.device != "cuda":
            original = self.originals[self._starts % len(self.originals)]
            self._process = original.copy(command, self.environ, self.log)
        else:
            self._process = self._launch(command)
        self._starts += 1
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                self.get("/system_stats")
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"ComfyUI did not start; the end of its log:\n{self.tail()}")

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            # One thread: tiny models gain nothing by more, and on a busy machine threads that spin crawl.
            environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            environ |= {"OMP_NUM_THREADS": "1"} | self.environ
            begun = [sys.executable, str(LAUNCHER), *command]
            return subprocess.Popen(begun, stdout=log, stderr=subprocess.STDOUT, env=environ)

    def stop(self) -> None:
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """As a crash would: nothing is flushed, nothing is tidied."""
        self._end(lambda process: process.kill())

    def _end(self, how: Any) -> None:
        if self._process is not None:
            how(self._process)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def tail(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    # -- HTTP ------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, timeout: float = 60) -> tuple[int, Any]:
        """(status, JSON or text). `body` is JSON unless it is bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, _parsed(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _parsed(error.read())

    def fetch(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, content) of what is no JSON."""
        request = urllib.request.Request(self.url + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def get(self, path: str) -> Any:
        """By a connection that is kept, as most of what tests do is to wait."""
        kept = getattr(self._of_thread, "kept", None)
        answer = None if kept is None else _answer(kept, path)
        if answer is None:  # the server was started anew, say
            kept = self._of_thread.kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            kept.connect()
            answer = _answer(kept, path)
        if answer is None:
            raise ConnectionResetError(f"{self.url} answers nothing")
        assert answer[0] == 200, (path, *answer)
        return answer[1]

    def post(self, path: str, body: Any = None, expect: tuple[int, ...] = (200, 202)) -> Any:
        status, answer = self.call("POST", path, {} if body is None else body)
        assert status in expect, (path, status, answer)
        return answer

    # -- ComfyUI and Midrun ----------------------------------------------------------------------------

    def queue(self, prompt: dict[str, Any], **more: Any) -> str:
        """Queue a workflow in API format; its prompt_id."""
        return self.post("/prompt", {"prompt": prompt, **more})["prompt_id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"/midrun/jobs/{urllib.parse.quote(job_id, safe='')}")

    def verb(self, job_id: str, verb: str, body: Any = None, query: str = "") -> tuple[int, Any]:
        return self.call(
            "POST", f"/midrun/jobs/{urllib.parse.quote(job_id, safe='')}/{verb}{query}", body or {}
        )

    def wait_for(self, job_id: str, *states: str, timeout: float = 90) -> dict[str, Any]:
        """Poll until the job is in one of these states."""
        return self.until(lambda: self._if_in(job_id, states), f"job {job_id} to become {states}", timeout)

    def _if_in(self, job_id: str, states: tuple[str, ...]) -> dict[str, Any] | None:
        job = self.job(job_id)
        if job["state"] in ("failed",) and "failed" not in states:
            raise AssertionError(f"the job failed: {job['error']}\n{self.tail()}")
        return job if job["state"] in states else None

    def until(self, what: Any, told: str, timeout: float = 90, every_s: float = 0.01) -> Any:
        """Poll, after a while less often: each question takes time from what it waits for."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(every_s)
            every_s = max(every_s, min(SELDOM_S, every_s * 1.2))
        raise AssertionError(f"waited {timeout} s for {told}\n{self.tail()}")

    def clear(self) -> None:
        """Leave no job of a test in the way of the next."""
        alive = "/midrun/jobs?limit=500&state=queued,running,pausing,paused,failed"
        for job in self.get(alive)["jobs"]:
            self.verb(job["job_id"], "abort")
        self.until(lambda: not self.get(alive)["jobs"], "every job to end")

    def wait_ended(self, prompt_id: str, timeout: float = 90, every_s: float = 0.01) -> dict[str, Any]:
        """Poll ComfyUI's history until the prompt is in it."""

        def entry() -> dict[str, Any] | None:
            return self.get(f"/history/{prompt_id}").get(prompt_id)

        return self.until(entry, f"prompt {prompt_id}", timeout, every_s)

    def probe(self, key: str = "") -> dict[str, Any]:
        return self.get(f"/midrun_test/probe?key={urllib.parse.quote(key)}")

    def wait_at_gate(self, key: str, gate: int | str, timeout: float = 90) -> None:
        self.until(lambda: self.probe(key)["at_gate"] == gate, f"{key} to reach gate {gate}", timeout)

    def open_gate(self, key: str, gate: int | str) -> None:
        self.post(f"/midrun_test/open?key={urllib.parse.quote(key)}&gate={gate}")

    def shut_gate(self, key: str, gate: int) -> None:
        """Where it was passed before."""
        self.post(f"/midrun_test/shut?key={urllib.parse.quote(key)}&gate={gate}")

    def output(self, prompt_id: str, node_id: str = "save") -> Path:
        """The first file that an output node of that prompt saved."""
        outputs = self.wait_ended(prompt_id)["outputs"][node_id]
        saved = next(iter(outputs.values()))[0]
        return self.base / "output" / saved["subfolder"] / saved["filename"]


def _answer(connection: http.client.HTTPConnection, path: str) -> tuple[int, Any] | None:
    """Status and content; None where the server has closed it. Raises TimeoutError."""
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, _parsed(response.read())
    except TimeoutError:
        raise
    except (http.client.HTTPException, OSError):
        connection.close()
        return None


def install(pack: Path, place: Path) -> None:
    """Link a node pack into custom_nodes, or copy it where links are not allowed."""
    try:
        place.symlink_to(pack, target_is_directory=True)
    except FileExistsError:
        return
    except OSError:
        shutil.copytree(pack, place, ignore=shutil.ignore_patterns(".venv*", ".git", "tests"))


def free_port() -> int:
    """By chance, as servers of other workers and sessions start beside this one and bind theirs later."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("There is no free port.")


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
