"""A panel full of jobs, which the page is told of as the server would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from browser import Screen

BORN = datetime(2026, 1, 1)
JOB: dict[str, Any] = {
    **{"state": "completed", "node_id": "3", "display_node_id": "3", "step": 20, "total_steps": 20},
    **{"evaluations": 20, "sigma": 0.03},
    **{"queue_policy": "auto", "sampler_nodes": ["3"], "held": False, "gpu_released": False},
    **dict.fromkeys(("pause_reason", "paused_at_step", "abort_reason", "error", "take", "parent")),
    **dict.fromkeys(("source_url", "preview_url", "paused_before", "iteration", "gpu_free", "wires")),
    **{"modified_params": {}, "warnings": [], "breakpoints": [], "workflow": {"id": "w", "name": "Tides"}},
    "timing": {"active_s": 12.5, "paused_s": 0, "mean_step_s": 0.6, "eta_s": None},
}
FILL = """jobs => {
    for (const job of jobs) window.comfyAPI.api.api.dispatchCustomEvent("midrun.job", job);
}"""
# At the start and once the panel is there; of jobs that the server does not know, the next time makes an end.
READ_TWICE = """() => performance.getEntriesByType("resource")
    .filter(one => one.name.includes("/midrun/jobs?")).length >= 2"""
# From its beginning to its end, ten rows or so a frame. A long task takes over 50 ms, as browsers define it.
SCROLL = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const list = document.querySelector(".midrun-list");
    const cards = () => [...document.querySelectorAll(".midrun-card")];
    const long = [];
    const observer = new PerformanceObserver(told => {
        for (const entry of told.getEntries()) long.push(entry.duration);
    });
    observer.observe({ entryTypes: ["longtask"] });
    let [frames, most_cards] = [0, 0];
    for (let top = 0; top < list.scrollHeight; top += 900, frames += 1) {
        list.scrollTop = top;
        await frame();
        most_cards = Math.max(most_cards, cards().length);
    }
    await new Promise(resolve => setTimeout(resolve, 200));
    observer.disconnect();
    return { frames, most_cards, long, last: cards().at(-1).dataset.job };
}"""


def fill(shown: Screen, count: int) -> None:
    """So many more jobs in the panel, which was opened before, `j0` the oldest."""
    shown.page.wait_for_function(READ_TWICE)
    shown.page.evaluate(FILL, [_job(number) for number in range(count)])
    devtools = shown.page.context.new_cdp_session(shown.page)
    devtools.send("HeapProfiler.collectGarbage")  # what so much news at once leaves is not the scrolling's
    devtools.detach()


def scroll(shown: Screen) -> dict[str, Any]:
    """The panel's list, scrolled through: frames, cards in the page at most, the durations of long tasks in
    milliseconds, and the job in the last place."""
    result: dict[str, Any] = shown.page.evaluate(SCROLL)
    return result


def _job(number: int) -> dict[str, Any]:
    stamp = (BORN + timedelta(seconds=number)).isoformat(timespec="milliseconds") + "Z"
    name = f"j{number}"
    return (
        JOB
        | {"job_id": name, "prompt_id": name, "prompt_ids": [name]}
        | dict.fromkeys(("created_at", "updated_at"), stamp)
    )
