"""The command line: start, submit, status, pause, resume, drain, stop."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from .jobs import FleetError, Setup, read_prompt, variants

AT_ONCE = 100  # jobs that are handed over together
EXAMPLE = (
    "more arguments for ComfyUI come after --, as in: start ... -- --cpu --input-directory /shared/input"
)


def main(arguments: list[str] | None = None) -> int:
    given, more = _split(sys.argv[1:] if arguments is None else arguments)
    told = _parser().parse_args(given)
    if more and told.command != "start":
        print("midrun_fleet: only `start` takes arguments for ComfyUI.", file=sys.stderr)
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
    start = commands.add_parser(
        "start", help="begin a fleet on the Ray cluster that runs here", epilog=EXAMPLE
    )
    start.set_defaults(run=_start)
    start.add_argument("--workers", type=_count, required=True, help="each has a ComfyUI of its own")
    start.add_argument("--comfyui", required=True, metavar="DIR", help="with main.py, on all machines")
    start.add_argument(
        "--store", required=True, metavar="URL", help="s3://bucket/prefix, file:///mnt/shared, ..."
    )
    start.add_argument("--python", default=sys.executable, help="with which ComfyUI runs (default: this one)")
    start.add_argument("--base", default="~/midrun-fleet", metavar="DIR", help="for what workers keep")
    start.add_argument("--gpus", type=float, default=1.0, help="of each worker; 0 for none (default: 1)")
    start.add_argument("--cpus", type=float, default=1.0, help="of each worker, and its threads (default: 1)")
    start.add_argument("--drain-seconds", type=float, default=20.0, help="to pause and send all at a SIGTERM")
    submit = commands.add_parser("submit", help="queue jobs")
    submit.set_defaults(run=_submit)
    submit.add_argument("workflow", type=Path, help="in API format")
    submit.add_argument("--count", type=_count, default=1, help="jobs, each with other seeds")
    status = commands.add_parser("status", help="the workers, and how many jobs are in which state")
    status.set_defaults(run=_status)
    status.add_argument("--json", action="store_true")
    for verb, help_ in (
        ("pause", "all jobs, or some"),
        ("resume", "all paused jobs, or some, also failed ones"),
    ):
        one = commands.add_parser(verb, help=help_)
        one.set_defaults(run=_verb)
        one.add_argument("jobs", nargs="*", metavar="id")
    drain = commands.add_parser("drain", help="end the workers of a node; their jobs go on elsewhere")
    drain.set_defaults(run=_drain)
    drain.add_argument("node", help="its address, or the name of a worker")
    commands.add_parser("stop", help="end the fleet; open jobs stay in the store").set_defaults(run=_stop)
    return parser


def _start(told: argparse.Namespace) -> None:
    if min(told.gpus, told.cpus, told.drain_seconds) < 0:
        raise FleetError("--gpus, --cpus and --drain-seconds are at least 0.")
    base = str(Path(told.base).expanduser().absolute())
    numbers = told.gpus, told.cpus, told.drain_seconds
    setup = Setup(told.comfyui, told.python, told.store, base, told.more, *numbers)
    _ray().start(setup, told.workers)
    print(f"A fleet of {told.workers} workers is starting. `status` tells when they are free.")


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
        raise FleetError(f"This needs Ray: pip install ray ({error}).") from error
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


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]
