"""The command line: start, submit, status, pause, resume, drain, stop; run, without Ray."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from .alone import run_alone
from .jobs import End, FleetError, Setup, read_prompt, variants

WITH_COMFYUI = ("start", "run")
AT_ONCE = 100  # jobs that are handed over together
EXAMPLE = (
    "more arguments for ComfyUI come after --, as in: start ... -- --cpu --input-directory /shared/input"
)


def main(arguments: list[str] | None = None) -> int:
    given, more = _split(sys.argv[1:] if arguments is None else arguments)
    told = _parser().parse_args(given)
    if more and told.command not in WITH_COMFYUI:
        print(f"midrun_fleet: only {' and '.join(WITH_COMFYUI)} take arguments for ComfyUI.", file=sys.stderr)
        return 2
    told.more = tuple(more)
    try:
        told.run(told)
    except FleetError as error:
        print(f"midrun_fleet: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("midrun_fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None], told: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=told, epilog=EXAMPLE if name in WITH_COMFYUI else None)
        made.set_defaults(run=run)
        return made

    start = command("start", _start, "begin a fleet on the Ray cluster that runs here")
    start.add_argument("--workers", type=_count, required=True, help="each has a ComfyUI of its own")
    start.add_argument("--gpus", type=_number, default=1.0, help="of each worker; 0 for none (default: 1)")
    start.add_argument("--cpus", type=_number, default=1.0, help="of each worker: its threads (default: 1)")
    submit = command("submit", _submit, "queue jobs")
    submit.add_argument("--count", type=_count, default=1, help="jobs, each with other seeds")
    status = command("status", _status, "the workers, and how many jobs are in which state")
    status.add_argument("--json", action="store_true")
    for verb, told in (
        ("pause", "all jobs, or some"),
        ("resume", "all paused jobs, or some, also failed ones"),
    ):
        command(verb, _verb, told).add_argument("jobs", nargs="*", metavar="id")
    drain = command("drain", _drain, "end the workers of a node; their jobs go on elsewhere")
    drain.add_argument("node", help="its address, or the name of a worker")
    command("stop", _stop, "end the fleet; open jobs stay in the store")
    run = command("run", _run, "one job on this machine, without Ray; a retry goes on with it")
    run.add_argument("--name", required=True, help="the same name is the same job, on any machine")
    for one in (submit, run):
        one.add_argument("workflow", type=Path, help="in API format")
    for one in (start, run):
        _add_comfyui(one)
    return parser


def _add_comfyui(parser: argparse.ArgumentParser) -> None:
    store = "s3://bucket/prefix, file:///mnt/shared, ..."
    parser.add_argument("--comfyui", required=True, metavar="DIR", help="with main.py, on all machines")
    parser.add_argument("--store", required=True, metavar="URL", help=store)
    parser.add_argument(
        "--python", default=sys.executable, help="with which ComfyUI runs (default: this one)"
    )
    parser.add_argument("--base", type=Path, default="~/midrun-fleet", help="for what workers keep")
    parser.add_argument("--drain-seconds", type=_number, default=20.0, help="at a SIGTERM, to pause and send")


def _setup(told: argparse.Namespace, gpus: float = 0.0, cpus: float = 0.0) -> Setup:
    base = str(told.base.expanduser().absolute())
    given = told.comfyui, told.python, told.store, base, told.more
    return Setup(*given, gpus, cpus, told.drain_seconds)


def _start(told: argparse.Namespace) -> None:
    _ray().start(_setup(told, told.gpus, told.cpus), told.workers)
    print(f"A fleet of {told.workers} workers is starting. `status` tells when they are free.")


def _run(told: argparse.Namespace) -> None:
    result = run_alone(_setup(told), told.name, read_prompt(told.workflow))
    print(result.to_json())
    if result.end is not End.COMPLETED:
        raise FleetError(f"The job is {result.end.value}. {result.error or ''}".strip())


def _submit(told: argparse.Namespace) -> None:
    jobs = variants(read_prompt(told.workflow), told.workflow.stem, told.count)
    some = list(islice(jobs, AT_ONCE))  # before Ray is asked, so that bad input is told all the same
    ray = _ray()
    driver = ray.driver()
    while some:
        ray.ask(driver, "submit", some)
        print("\n".join(one.id for one in some), flush=True)
        some = list(islice(jobs, AT_ONCE))


def _status(told: argparse.Namespace) -> None:
    ray = _ray()
    status = ray.ask(ray.driver(), "status")
    print(json.dumps(status) if told.json else _readable(status))


def _verb(told: argparse.Namespace) -> None:
    ray = _ray()
    count = ray.ask(ray.driver(), told.command, told.jobs)
    print(f"{told.command}: {count} jobs")


def _drain(told: argparse.Namespace) -> None:
    ray = _ray()
    print("drained:", *ray.ask(ray.driver(), "drain", told.node))


def _stop(told: argparse.Namespace) -> None:
    _ray().stop()


def _ray() -> Any:
    """Connected; without it bad input is told all the same."""
    try:
        on_ray = importlib.import_module(f"{__package__}.on_ray")
    except ImportError as error:
        raise FleetError(f"This needs Ray: install midrun-fleet[ray] ({error}).") from error
    on_ray.connect()
    return on_ray


def _readable(status: dict[str, Any]) -> str:
    lines = [
        f"{one['name']:12} {one.get('node', ''):16} {one['state']:10} {one['job'] or ''}"
        for one in status["workers"]
    ]
    lines.append(", ".join(f"{count} {state}" for state, count in status["jobs"].items()))
    lines += [f"failed  {one['id']}  {one['name']}: {one['error']}" for one in status["failed"]]
    lines += [f"paused  {one['id']}  {one['name']}" for one in status["paused"]]
    return "\n".join(lines)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError("a whole number from 1 to 100000")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError("a number of at least 0")
    return number


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]
