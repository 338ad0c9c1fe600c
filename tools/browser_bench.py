"""What `python dev.py bench` measures in the browser: how soon a node shows what the server knows, and what
scrolling a long list of jobs costs.

The server stamps each transition and the page each change of the node's state: one machine, one clock.
"""

from __future__ import annotations

import random
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import crowd
import graphs
from browser import FRONTENDS, RENDERERS, Screen, chromium, frontend_root, graph, launch, screen
from harness import Comfy
from measurements import Figures, require, spread

RANDOM = random.Random(17)
JOBS, CROWD = 50, 1000
# Notes when the node on the canvas shows another state.
WATCH = """() => {
    window.seen = [];
    const look = () => {
        const state = document.querySelector(".midrun-node .midrun-state")?.dataset.state;
        if (state && state !== window.seen.at(-1)?.[0]) window.seen.push([state, Date.now()]);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true,
        attributeFilter: ["data-state"] });
    look();
}"""


def browser(base: Path, quick: bool) -> Figures:
    """From a transition on the server to the state on the node, with 50 jobs in the panel; scrolling 1000."""
    if chromium() is None:
        return {"skipped": {"": "there is no Chromium"}}
    root = ("--front-end-root", str(frontend_root(FRONTENDS[-1])))
    comfy = Comfy(base, args=root).start()
    try:
        for number in range(JOBS):
            comfy.queue(graphs.base(key="tray", steps=2, seed=number, probe={"hollow": True}))
        ended = f"/midrun/jobs?state=completed&limit={JOBS}"
        comfy.until(lambda: len(comfy.get(ended)["jobs"]) == JOBS, f"{JOBS} jobs to end", every_s=0.2)
        with sync_playwright() as playwright:
            chromium_ = launch(playwright)
            figures = {}
            for renderer in RENDERERS:
                with screen(chromium_, comfy, renderer) as shown:
                    figures[renderer] = spread(_latencies(shown, 10 if quick else 50, renderer))
                    figures[f"scrolling {CROWD}, {renderer}"] = _scrolling(shown, 3 if quick else 10)
            chromium_.close()
        return figures
    finally:
        comfy.stop()


def _latencies(shown: Screen, pauses: int, key: str) -> list[float]:
    comfy = shown.comfy
    ids = shown.load(graph(f"bench-{key}", steps=5000, queue_policy="hold", probe={"seconds": 0.05}))
    shown.show(ids["sampler"])
    shown.open_panel()
    job_id = shown.queue()
    shown.state("running")
    shown.page.evaluate(WATCH)
    for _ in range(pauses):
        time.sleep(RANDOM.uniform(0.3, 0.6))
        require(comfy.verb(job_id, "pause", query="?wait=30")[0] == 200, f"Job {job_id} did not pause.")
        time.sleep(RANDOM.uniform(0.3, 0.6))
        require(comfy.verb(job_id, "resume")[0] == 202, f"Job {job_id} did not resume.")
    comfy.verb(job_id, "abort")
    shown.state("aborted")
    seen = shown.page.evaluate("window.seen")
    told = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    return _matched([event for event in told if event["state_from"] != event["state_to"]], seen)


def _scrolling(shown: Screen, times: int) -> Figures:
    """Frames in all, and how many of them took over 50 ms, the browser's measure of a long task."""
    crowd.fill(shown, CROWD)
    rounds = [crowd.scroll(shown) for _ in range(times)]
    long = [duration for round_ in rounds for duration in round_["long"]]
    frames = sum(round_["frames"] for round_ in rounds)
    return {"frames": frames, "long_tasks": len(long), "longest_ms": max(long, default=None)}


def _matched(told: list[dict[str, Any]], seen: list[tuple[str, int]]) -> list[float]:
    """Seconds until each state was seen; one that was over before it was drawn counts by the next."""
    took = []
    for event, following in zip(told, [*told[1:], None], strict=True):
        if event["state_to"] in ("queued", "running") and event["state_from"] in (None, "queued"):
            continue  # before the page looked
        at = _milliseconds(event["at"])
        wanted = {event["state_to"], following["state_to"] if following else event["state_to"]}
        drawn = next((when for state, when in seen if when >= at - 2 and state in wanted), None)
        require(drawn is not None, f"The node never showed {event['state_to']} of {event['at']}.")
        took.append(max(0.0, (drawn - at) / 1000))
    return took


def _milliseconds(stamp: str) -> float:
    return 1000 * datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


MEASUREMENTS = {"browser": browser}
