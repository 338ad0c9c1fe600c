"""Servers as copies of one process that has imported what takes ComfyUI seconds to import."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).resolve().parent / "launch_comfyui.py"


class Original:
    """The process that is copied. Linux only: elsewhere libraries do not stand being forked.

    All copies of one have the same hashes of strings. It ends with the process that began it.
    """

    def __init__(self, address: str) -> None:
        """address: of a socket, by which whoever began it, and its children, ask it"""
        self.address = address
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def begin(cls) -> Original:
        original = cls(str(Path(tempfile.mkdtemp()) / "original"))
        command = [sys.executable, str(LAUNCHER), "--copies"]
        # One thread: see Comfy.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environ |= {"OMP_NUM_THREADS": "1"}
        with socket.socket(socket.AF_UNIX) as asked:  # here, so that nobody asks too early
            asked.bind(original.address)
            asked.listen()
            fd = asked.fileno()
            original._process = subprocess.Popen(
                [*command, str(fd)], stdin=subprocess.PIPE, pass_fds=[fd], env=environ
            )
        return original

    def copy(self, command: list[str], environ: dict[str, str], log: Path) -> Copy:
        """Begin a server by ComfyUI's tree and the arguments of its main.py."""
        return Copy(self, self.ask({"start": command, "environ": environ, "log": str(log)}))

    def ask(self, what: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(self.address)
            with asking.makefile("rw") as lines:
                lines.write(json.dumps(what) + "\n")
                lines.flush()
                return json.loads(lines.readline())

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate()
            Path(self.address).unlink()
            Path(self.address).parent.rmdir()


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
