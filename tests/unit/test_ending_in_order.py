"""What a process still writes before it ends, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
import ending
def note(text):
    with open(sys.argv[2], "a") as file:
        file.write(text)
        file.flush()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
ending.before_the_end(lambda: note("written "), lambda: note("done "))
"""
ENDS = {
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "Ctrl+C": "os.kill(os.getpid(), signal.SIGINT)",
    "exec": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "child": (
        "child = os.fork()\nif not child:\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(30)\n"
        "note(str(os.WTERMSIG(os.waitpid(child, 0)[1])))"
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither signals nor a replaced process")
@pytest.mark.parametrize(
    ("end", "left", "code"),
    [
        ("SIGTERM", "written done ", -signal.SIGTERM),
        ("Ctrl+C", "written ", None),
        ("exec", "written ", 0),
        ("kill", "", -9),
        ("child", str(int(signal.SIGTERM)), 0),
    ],
)
def test_what_is_in_memory_is_written_before_an_orderly_end(
    tmp_path: Path, end: str, left: str, code: int | None
) -> None:
    file = tmp_path / "notes"
    command = [
        sys.executable,
        "-c",
        SETUP + ENDS[end] + "\ntime.sleep(0)",
        str(ROOT / "state" / "services"),
        str(file),
    ]
    ended = subprocess.run(command, capture_output=True, timeout=60)
    assert code in (None, ended.returncode), ended.stderr
    assert (file.read_text() if file.exists() else "") == left
