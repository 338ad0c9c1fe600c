"""Servers as copies of one process that has imported what takes ComfyUI seconds to import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).resolve().parent / "launch_comfyui.py"


class Original:
    """The process that is copied, begun when the first copy is. Linux only: elsewhere libraries do not stand
    being forked. All copies of one have the same hashes of strings."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def copy(self, command: list[str], environ: dict[str, str], log: Path) -> Copy:
        """Begin a server by ComfyUI's tree and the arguments of its main.py."""
        return Copy(self, self.ask({"start": command, "environ": environ, "log": str(log)}))

    def ask(self, what: dict[str, Any]) -> Any:
        with self._lock:
            if self._process is None:
                self._process = self._begin()
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _begin(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(LAUNCHER), "--copies"]
        # One thread: see Comfy.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environ |= {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


class Copy:
    """What of subprocess.Popen the harness uses."""

    EVERY_S = 0.02

    def __init__(self, original: Original, pid: int) -> None:
        self._original = original
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._original.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a copied server", timeout or 0)
            time.sleep(self.EVERY_S)
        return code

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)
