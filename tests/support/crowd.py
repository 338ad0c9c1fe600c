"""A panel full of jobs, which the page is told of as the server would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from playwright.sync_api import expect

from browser import Screen
from page_tasks import collect_garbage, measured

BORN = datetime(2026, 1, 1)
JOB: dict[str, Any] = {
    **{"state": "completed", "node_id": "3", "display_node_id": "3", "step": 20, "total_steps": 20},
    **{"evaluations": 20, "sigma": 0.03},
    **{"queue_policy": "auto", "sampler_nodes": ["3"], "held": False, "gpu_released": False},
    **dict.fromkeys(("pause_reason", "paused_at_step", "abort_reason", "error", "take", "parent")),
    **dict.fromkeys(("source_url", "preview_url", "paused_before", "iteration", "gpu_free", "wires")),
    **{
        "modified_params": {},
        "modified_in": {},
        "warnings": [],
        "breakpoints": [],
        "workflow": {"id": "w", "name": "Tides"},
    },
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
    collect_garbage(shown)


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


# What the server is asked for, answered in the page: pages of many jobs, those that stand, all of some jobs.
ANSWER = """([jobs, told]) => {
    window.standing = jobs.filter(job => job.state === "paused");
    const { api } = window.comfyAPI.api;
    const real = api.fetchApi.bind(api);
    const answer = value => Promise.resolve(new Response(JSON.stringify(value)));
    api.fetchApi = (path, options) => {
        const url = new URL(path, location.origin);
        const [, id, what = "job"] = url.pathname.match(/^\\/midrun\\/jobs\\/([^/]+)(?:\\/(\\w+))?$/) ?? [];
        if (told[id]?.[what]) return answer(told[id][what]);
        if (url.pathname !== "/midrun/jobs" || !jobs.length) return real(path, options);
        if (url.searchParams.has("state")) return answer({ jobs: window.standing, next: null });
        const from = Number(url.searchParams.get("before") ?? 0);
        const next = from + Number(url.searchParams.get("limit"));
        return answer({ jobs: jobs.slice(from, next), next: next < jobs.length ? String(next) : null });
    };
    if (jobs.length) api.dispatchCustomEvent("status", { exec_info: { queue_remaining: 0 } });
}"""
# As SCROLL, but the pages are read on the way: to the end that does not move on.
SCROLL_ALL = """async count => {
    const frame = () => new Promise(requestAnimationFrame);
    const list = document.querySelector(".midrun-list");
    const first = [...document.querySelectorAll(".midrun-card")];
    let [frames, most_cards, used_again] = [0, 0, 0];
    const last = () => Number([...document.querySelectorAll(".midrun-card")].at(-1)?.ariaPosInSet ?? 0);
    for (; last() < count && frames < 30 * count; frames += 1) {
        list.scrollTop += 900;
        await frame();
        most_cards = Math.max(most_cards, document.querySelectorAll(".midrun-card").length);
        if (frames === 3) used_again = first.filter(one => one.isConnected).length;
    }
    return { frames, most_cards, used_again, last: last() };
}"""


# Each in a frame of its own.
HEAR = """async jobs => {
    for (const job of jobs) {
        window.comfyAPI.api.api.dispatchCustomEvent("midrun.job", job);
        await new Promise(requestAnimationFrame);
    }
}"""
QUEUE_CHANGED = """standing => {
    window.standing = standing;
    window.comfyAPI.api.api.dispatchCustomEvent("status", { exec_info: { queue_remaining: 0 } });
}"""


def scroll_pages(shown: Screen, count: int) -> dict[str, Any]:
    """The open panel's list of so many jobs, which come in pages, scrolled through: frames, cards at most,
    how many of the first were used again, the last place, and what `measured` tells."""
    shown.page.evaluate(ANSWER, [[_listed(number) for number in reversed(range(count))], {}])
    shown.page.wait_for_function("() => document.querySelectorAll('.midrun-card').length > 5")
    with measured(shown) as told:
        scrolled: dict[str, Any] = shown.page.evaluate(SCROLL_ALL, count)
    return scrolled | told


def hear_and_filter(shown: Screen, count: int) -> dict[str, Any]:
    """In the list that `scroll_pages` left: what is heard of some jobs, old and new; the filters; all that
    stand, read again and a step further; all selected, and then one less. What `measured` tells."""
    page, tray = shown.page, shown.tray
    later = [_listed(number) | _at(count + number) for number in range(0, count, count // 20)]
    standing = [job for job in map(_listed, range(count)) if job["state"] == "paused"]
    further = [job | _at(2 * count) | {"step": 7} for job in reversed(standing)]
    with measured(shown) as told:
        page.evaluate(HEAR, [*later, *(_job(count + number) for number in range(20))])
        for name in ("done", "failed", "running", "all", "paused"):
            tray.locator(f'[data-filter="{name}"]').click()
            expect(tray.locator(f'[data-filter="{name}"]')).to_have_attribute("aria-pressed", "true")
        page.evaluate(QUEUE_CHANGED, further)
        expect(tray.locator(".midrun-card .midrun-step").first).to_have_text("step 7 / 20")
        tray.locator('[data-filter="all"]').click()
        tray.locator('[data-verb="select"]').click()
        tray.locator('[data-verb="every"]').check()
        tray.locator(".midrun-open").first.click()
        expect(tray.locator(".midrun-open").first).to_have_attribute("aria-pressed", "false")
    return told


def _listed(number: int) -> dict[str, Any]:
    """As `_job`; one of fifty stands."""
    stands = {"state": "paused", "pause_reason": "user", "paused_at_step": 6, "step": 6}
    return _job(number) | (stands if number % 50 == 9 else {})


def _at(second: int) -> dict[str, str]:
    return {"updated_at": (BORN + timedelta(seconds=second)).isoformat(timespec="milliseconds") + "Z"}


def family(shown: Screen, steps: int, forks: int, picture: str) -> str:
    """A job of so many steps, each with a picture, which is at that URL, and forks of it; its id."""
    stamp = (BORN + timedelta(days=1)).isoformat(timespec="milliseconds") + "Z"
    big = JOB | {"job_id": "big", "prompt_id": "big", "prompt_ids": ["big"], "grid": None, "state": "paused"}
    big |= {"step": steps, "total_steps": steps + steps // 4, "created_at": stamp, "updated_at": stamp}
    big |= {"preview_url": f"{picture}&v=0"}
    big |= {"modified_params": {"3": {"cfg": {"from": 4, "to": 7, "from_step": steps // 3}}}}
    big |= {"breakpoints": [_breakpoint(steps // 2, "pause"), _breakpoint(steps + 9, "log")]}
    jobs = [big, *(_fork(number, steps, big) for number in range(forks))]
    told = {job["job_id"]: {"job": job, **_told_of(steps if job is big else 0, picture)} for job in jobs}
    shown.page.wait_for_function(READ_TWICE)
    shown.page.evaluate(ANSWER, [[], told])
    shown.page.evaluate(FILL, jobs)
    return "big"


def _fork(number: int, steps: int, big: dict[str, Any]) -> dict[str, Any]:
    name, at = f"fork{number}", (number + 1) * steps // 60
    stamp = (BORN + timedelta(days=1, seconds=number + 1)).isoformat(timespec="milliseconds") + "Z"
    parent = {"job_id": "big" if number % 5 else f"fork{number - 1}" if number else "big", "step": at}
    done = {"state": ("completed", "paused", "failed", "aborted")[number % 4], "step": at + steps // 3}
    off = {"pause_method": "none"}
    edits = {"3": {"cfg": {"from": 4, "to": 2 + number / 4, "from_step": at}}}
    return (
        big
        | {"job_id": name, "prompt_id": name, "prompt_ids": [name], "parent": parent, "breakpoints": []}
        | {
            "modified_params": edits,
            "varied": {"3": {"cfg": 2 + number / 4}},
            "preview_url": None,
            "previews": off,
        }
        | dict.fromkeys(("created_at", "updated_at"), stamp)
        | done
    )


def _told_of(steps: int, picture: str) -> dict[str, Any]:
    numbers = range(1, steps + 1)
    sizes = {"width": 64, "height": 64, "frames": 1, "method": "latent2rgb", "label": "Intermediate Preview"}
    node = {"node_id": "3", "display_node_id": "3", "iteration": None}
    return {
        "previews": {
            "previews": [
                {**node, **sizes, "step": n, "sigma": 1.0, "kind": "step", "url": f"{picture}&v={n}"}
                | {"created_at": (BORN + timedelta(days=1, seconds=n)).isoformat() + "Z"}
                for n in numbers
            ]
        },
        "telemetry": {
            "telemetry": [
                {**node, "step": n, "sigma": 14 * (1 - n / steps) ** 3, "change": 1 / n, "norm": 1.0}
                | {"seconds": 0.4 + 0.1 * (n % 7), "memory": None}
                for n in numbers
            ]
        },
        "events": {
            "events": [
                {"at": BORN.isoformat() + "Z", "kind": "pause", "step": n, "detail": {}}
                | {"state_from": "running", "state_to": "paused"}
                for n in numbers
                if n % 400 == 0
            ]
        },
        "params": {"nodes": {}},
    }


def _breakpoint(step: int, action: str) -> dict[str, Any]:
    one = {"id": f"b{step}", "kind": "step", "value": step, "node_id": None, "enabled": True, "hits": 0}
    return one | {"action": action, "timeout_s": 10}


def scrub(shown: Screen, moves: int) -> dict[str, Any]:
    """The timeline's cursor, dragged to and fro by the mouse and moved by keys, with zoom in between:
    how many elements the timeline has then, and what `measured` tells."""
    page = shown.page
    area = page.locator(".midrun-plot-area")
    box = area.bounding_box()
    assert box is not None
    across = box["y"] + box["height"] - 20
    with measured(shown) as told:
        for _ in range(2):
            page.mouse.move(box["x"] + 2, across)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] - 2, across, steps=moves)
            page.mouse.move(box["x"] + 2, across, steps=moves)
            page.mouse.up()
            page.mouse.move(box["x"] + box["width"] / 2, across)
            for _ in range(6):
                page.mouse.wheel(0, -200)
        for key in (
            "ArrowRight",
            "ArrowLeft",
            "ArrowDown",
            "ArrowUp",
            "PageUp",
            "PageDown",
            "Home",
            "End",
            "0",
        ):
            for _ in range(max(1, moves // 8)):
                page.keyboard.press(key)
    return {**told, "elements": page.evaluate("document.querySelectorAll('.midrun-timeline-root *').length")}
