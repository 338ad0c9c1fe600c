"""`python dev.py bench`: what Midrun costs and how fast it answers, as ratios, since machines are noisy."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path

from harness import Comfy
from measurements import MEASUREMENTS, Figures, Wrong


def measure(chosen: list[str], quick: bool, show: bool) -> Figures:
    """The chosen measurements, one after the other on one server."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="midrun-bench-") as base:
        comfy = Comfy(Path(base))
        try:
            comfy.start()
            for name in chosen:
                began = time.monotonic()
                figures[name] = MEASUREMENTS[name](comfy, quick)
                if show:
                    print_table(name, figures[name], time.monotonic() - began)
        finally:
            comfy.stop()
    return figures


def print_table(name: str, figures: Figures, took: float) -> None:
    told = (MEASUREMENTS[name].__doc__ or "").splitlines()[0]
    print(f"{name} (took {took:.0f} s): {told}")
    for row, values in figures.items():
        print(f"    {row:20} " + "  ".join(f"{key} {value}" for key, value in values.items()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--quick", action="store_true", help="fewer tries: about two minutes, not fifteen")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help="some of " + ", ".join(MEASUREMENTS))
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(MEASUREMENTS):
        parser.error(f"--only takes some of {', '.join(MEASUREMENTS)}")
    try:
        figures = measure(chosen, arguments.quick, show=not arguments.json)
    except (Wrong, AssertionError, RuntimeError, OSError, http.client.HTTPException) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
