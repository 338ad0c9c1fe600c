"""How long a page is busy at once, so that it answers to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browser import Screen

LISTEN = """() => {
    window.long = [];
    window.listening = new PerformanceObserver(told => {
        for (const entry of told.getEntries()) window.long.push(Math.round(entry.duration));
    });
    window.listening.observe({ entryTypes: ["longtask"] });
}"""
HEARD = """async () => {
    await new Promise(resolve => setTimeout(resolve, 200));
    window.listening.disconnect();
    return window.long;
}"""


@contextmanager
def measured(shown: Screen) -> Iterator[dict[str, Any]]:
    """Of the tasks of the page meanwhile, in ms: clock_ms, the longest by the clock, whatever else runs;
    long, those of over 50, as the browser tells a page; busy_ms, what one took of the processor at most."""
    told: dict[str, Any] = {}
    collect_garbage(shown)
    browser = shown.page.context.browser
    assert browser is not None
    shown.page.evaluate(LISTEN)
    browser.start_tracing(page=shown.page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
    yield told
    told["long"] = shown.page.evaluate(HEARD)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {
        (one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"
    }
    tasks = [one for one in events if one["name"] == "RunTask" and one["ph"] == "X"]
    mains = [one for one in tasks if threads.get((one["pid"], one["tid"])) == "CrRendererMain"]
    told["clock_ms"] = max(one["dur"] for one in mains) / 1000
    told["busy_ms"] = max(one.get("tdur", 0) for one in mains) / 1000


def collect_garbage(shown: Screen) -> None:
    devtools = shown.page.context.new_cdp_session(shown.page)
    devtools.send("HeapProfiler.collectGarbage")  # what so much news at once leaves is not the scrolling's
    devtools.detach()
