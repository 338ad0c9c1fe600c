"""`python dev.py bench`: what Midrun costs and how fast it answers, as ratios, since machines are noisy."""

from __future__ import annotations

import argparse
import http.client
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import behind_costs
import browser_bench
import gpu_bench
import loop_costs
import measurements
import memory_costs
import overhead_costs
import preview_costs
import prompt_costs
import store_costs
import volume
from endurance import soak
from harness import Comfy
from measurements import Figures, Wrong

SHARED = overhead_costs.MEASUREMENTS | behind_costs.MEASUREMENTS | loop_costs.MEASUREMENTS
SHARED |= measurements.MEASUREMENTS | preview_costs.MEASUREMENTS | memory_costs.MEASUREMENTS
APART = (  # on servers of their own
    volume.MEASUREMENTS | browser_bench.MEASUREMENTS | prompt_costs.MEASUREMENTS | store_costs.MEASUREMENTS
)
MEASUREMENTS = SHARED | APART


def measure(base: Path, chosen: list[str], quick: bool, show: bool, device: str) -> Figures:
    """The chosen measurements, one after the other: first those that share a server, on that device."""
    figures: Figures = {}
    shared = Comfy(base / "shared", device=device)
    try:
        for name in sorted(chosen, key=lambda name: name in APART):
            began = time.monotonic()
            if name in APART:
                shared.stop()
                own = base / name
                own.mkdir()
                figures[name] = APART[name](own, quick)
                shutil.rmtree(own, ignore_errors=True)
            else:
                if not shared.running:
                    shared.start()
                figures[name] = (SHARED | gpu_bench.MEASUREMENTS)[name](shared, quick)
            if show:
                told = ((MEASUREMENTS | gpu_bench.MEASUREMENTS)[name].__doc__ or "").splitlines()[0]
                print_table(f"{name} (took {time.monotonic() - began:.0f} s): {told}", figures[name])
    finally:
        shared.stop()
    return figures


def endure(base: Path, kills: int, seed: int, show: bool) -> tuple[Figures, bool]:
    """Whether each job that was killed went on to the same latent."""
    figures = soak(base / "soak", kills, seed, lambda told: print("   ", told, flush=True) if show else None)
    if show:
        print_table(f"soak (seed {seed}): kill -9, restart and resume, against uninterrupted runs", figures)
    jobs = figures["jobs"]
    return {"soak": figures | {"seed": seed}}, jobs["equal"] == jobs["ended"] and not jobs["stuck"]


def print_table(told: str, figures: Figures) -> None:
    print(told)
    for row, values in figures.items():
        print(f"    {row:20} " + "  ".join(f"{key} {value}" for key, value in values.items()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--quick", action="store_true", help="fewer tries: eight minutes or so, not thirty")
    parser.add_argument("--gpu", action="store_true", help="instead, what it costs on a GPU: docs/gpu.md")
    parser.add_argument("--only", help="some of " + ", ".join(MEASUREMENTS))
    soaking = "instead, kill the server N times (100) at random moments; a quarter of a minute each"
    parser.add_argument("--soak", type=int, nargs="?", const=100, metavar="N", help=soaking)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the soak's moments")
    arguments = parser.parse_args()
    known = gpu_bench.MEASUREMENTS if arguments.gpu else MEASUREMENTS
    chosen = arguments.only.split(",") if arguments.only else list(known)
    if not set(chosen) <= set(known):
        parser.error(f"--only takes some of {', '.join(known)}")
    device = gpu_bench.device_here() if arguments.gpu else "cpu"
    good = True
    try:
        with tempfile.TemporaryDirectory(prefix="midrun-bench-", ignore_cleanup_errors=True) as base:
            if arguments.soak is None:
                figures = measure(Path(base), chosen, arguments.quick, not arguments.json, device)
            else:
                figures, good = endure(Path(base), arguments.soak, arguments.seed, show=not arguments.json)
    except (Wrong, AssertionError, RuntimeError, OSError, http.client.HTTPException) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        print(json.dumps(figures, indent=2))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
