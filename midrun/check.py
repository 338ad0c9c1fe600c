"""`python -m midrun check`: does today's ComfyUI answer what is on record in a bundle, or of a job?

Exits with 0 where it does, with 1 where it answers otherwise, and with 2 where nobody can tell.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .junit import write_report
from .server import Server, Trouble

GOOD, OTHERWISE, TROUBLE = 0, 1, 2
# Of `changed`: the model answers as it did, but the sampler makes another result of it.
OTHER_RESULT, ROUNDED = ("given", "sampler_code"), "given_rounded"
LOOK_S = 0.2
OPEN = ("queued", "running")


def add_to(commands: Any) -> None:
    """Its part of the command line."""
    told = "ask the model again what is on record, and compare"
    parser = commands.add_parser("check", help=told, description=__doc__)
    parser.add_argument("what", nargs="+", metavar="BUNDLE_OR_JOB", help="files of bundles, or ids of jobs")
    parser.add_argument("--server", metavar="URL", help="of ComfyUI (default: http://127.0.0.1:8188)")
    few = "ask only the first, the middle and the last evaluation"
    parser.add_argument("--few", action="store_true", help=few)
    exactly = "differences that are only of rounding count, too"
    parser.add_argument("--exact", action="store_true", help=exactly)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report in JUnit's format")
    parser.add_argument("--keep", action="store_true", help="leave imported jobs on the server")
    limit = "of each import, and of each check"
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS", help=limit)
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """The exit code: of the worst of all."""
    server = Server(told.server)
    found = []
    for what in told.what:
        begun = time.monotonic()
        try:
            check = checked(server, what, told.few, told.keep, told.timeout)
            code = code_of(check, told.exact)
        except (Trouble, OSError) as error:
            check, code = _failed(str(error)), TROUBLE
        except (LookupError, TypeError):
            check, code = _failed(f"{server.url} answers, but not as Midrun does. Is it ComfyUI?"), TROUBLE
        found.append((what, check, code, time.monotonic() - begun))
        print(f"{what}: {check['message']}", file=sys.stderr if code == TROUBLE else sys.stdout)
    if told.junit is not None:
        try:
            write_report(told.junit, found, told.exact)
        except OSError as error:
            print(f"midrun: the report cannot be written: {error}", file=sys.stderr)
            return TROUBLE
    return max(code for _, _, code, _ in found)


def _failed(message: str) -> dict[str, Any]:
    return {"state": "failed", "message": message, "verdict": None, "evaluations": []}


def code_of(check: dict[str, Any], exactly: bool) -> int:
    if check["state"] != "done" or check["verdict"] is None:
        return TROUBLE
    good = ("equal",) if exactly else ("equal", "rounding")
    bad = (*OTHER_RESULT, ROUNDED) if exactly else OTHER_RESULT
    is_another = any(one["code"] in bad for one in check["changed"])
    return GOOD if check["verdict"] in good and not is_another else OTHERWISE


def checked(server: Server, what: str, few: bool, keep: bool, timeout_s: float) -> dict[str, Any]:
    """The check of a job, or of a bundle, which is imported for it. Raises Trouble or OSError."""
    file = Path(what)
    is_bundle = file.is_file() or file.suffix == ".midrun"
    job_id = server.upload("/midrun/jobs/import", file, timeout_s)["job_id"] if is_bundle else what
    try:
        return _wait(server, job_id, few, timeout_s)
    finally:
        if is_bundle and not keep:
            with contextlib.suppress(Trouble):  # what is to be told is why there is no verdict
                _tidy(server, job_id)


def _wait(server: Server, job_id: str, few: bool, timeout_s: float) -> dict[str, Any]:
    """Until the check is over; cancels one that is not when the time is up."""
    path = f"/midrun/jobs/{quote(job_id, safe='')}/check"
    server.post(path, {"steps": "few" if few else "all"})
    end, is_over = time.monotonic() + timeout_s, False
    try:
        while (check := server.get(path))["state"] in OPEN:
            if time.monotonic() > end:
                raise Trouble(f"The check was not over within {timeout_s:g} s; it was cancelled.")
            time.sleep(LOOK_S)
        is_over = True
        return check
    finally:
        if not is_over:
            with contextlib.suppress(Trouble):
                server.ask("DELETE", path)


def _tidy(server: Server, job_id: str) -> None:
    """Leave nothing of an imported job on the server."""
    path = f"/midrun/jobs/{quote(job_id, safe='')}"
    job = server.get(path)
    if job["state"] not in ("completed", "aborted"):
        server.post(f"{path}/abort", {"mode": "stop", "reason": "checked by python -m midrun check"})
    server.ask("DELETE", path)
