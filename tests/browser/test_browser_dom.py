"""What draws the page, alone in a real browser: no ComfyUI, no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import needs_chromium

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://midrun.test"
RUN = """async name => {
    const { tests } = await import(`/tests/web/page/${name}.mjs`);
    const { failures } = await import("/tests/web/page/assert.mjs");
    return { count: Object.keys(tests).length, failed: await failures(tests) };
}"""


def _serve(route: Any) -> None:
    path = ROOT / urlsplit(route.request.url).path.lstrip("/")
    if path.is_file():
        route.fulfill(body=path.read_bytes(), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html><title>Midrun</title>", content_type="text/html")


@needs_chromium
@pytest.mark.parametrize("name", ["dom", "screen"])
def test_what_draws_the_page_keeps_its_promises(browser: Any, name: str) -> None:
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", _serve)
    page.goto(ORIGIN)
    done = page.evaluate(RUN, name)
    page.close()
    assert done["failed"] == []
    assert done["count"] > 5
