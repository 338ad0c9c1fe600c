"""`python -m midrun check` beside a server that is no Midrun, or says what a console cannot show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree

import pytest

from harness import ROOT
from midrun.midrun import __main__ as command


@contextmanager
def answering(content: bytes, status: int = 200) -> Iterator[str]:
    """A server that answers everything with that; its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *told: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<html>Sign in", 200),
        (b"", 200),
        (b"{}", 200),
        (b"[1]", 200),
        ('{"error": {"message": "\u201ckein\u201d \u2713 M\u00f6dell", "code": "x"}}'.encode(), 404),
    ],
)
@pytest.mark.parametrize("what", ["bundle.midrun", "a-job"])
def test_what_nobody_can_tell_has_the_exit_code_2_and_a_report(
    tmp_path: Path, content: bytes, status: int, what: str
) -> None:
    (tmp_path / "bundle.midrun").write_bytes(b"anything")
    asked = tmp_path / what if "." in what else what
    with answering(content, status) as url:
        told = [sys.executable, "-S", "-m", "midrun", "check", str(asked), "--server", url, "--junit"]
        environment = {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(
            [*told, str(tmp_path / "r.xml")], cwd=ROOT, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr, done
    assert ElementTree.parse(tmp_path / "r.xml").getroot()[0].attrib["errors"] == "1"


def test_a_verdict_that_the_console_cannot_show_is_that_verdict() -> None:
    check = {"state": "done", "verdict": "equal", "message": "\u2713", "evaluations": [], "changed": []}
    with answering(json.dumps(check).encode()) as url:
        told = [sys.executable, "-S", "-m", "midrun", "check", "a-job", "--server", url]
        environment = {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(told, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a-job: ?\n", "")


def test_whatever_breaks_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(told: object) -> int:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(command.check, "run", breaks)
    assert command.main(["check", "a-job"]) == 2
