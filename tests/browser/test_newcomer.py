"""A newcomer's minute: from an empty canvas to the first edited resume, by what is to be seen alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser, Locator, Page, expect

from browser import needs_chromium, screen
from harness import Comfy
from story import forget

pytestmark = needs_chromium
MOST_ACTIONS = 8
READS = """text => [...document.querySelectorAll("[role=tabpanel] :is(input, textarea)")]
    .some(field => field.value === text)"""
log = logging.getLogger(__name__)


@dataclass
class Newcomer:
    """Knows no id, key or command: clicks what has a name, and types where the words are that it read."""

    page: Page
    actions: int = 0

    def click(self, name: str, within: Locator | None = None) -> None:
        self._act((within or self.page).get_by_role("button", name=name, exact=True).first, Locator.click)

    def write(self, words: str, instead_of: str) -> None:
        fields = self.page.get_by_role("tabpanel").get_by_role("textbox")
        self.page.wait_for_function(READS, arg=instead_of)
        texts = fields.evaluate_all("all => all.map(one => one.value)")
        self._act(fields.nth(texts.index(instead_of)), lambda field: field.fill(words))

    def _act(self, what: Locator, how: Callable[[Locator], object]) -> None:
        what.wait_for()
        expect(what).to_be_enabled()
        how(what)
        self.actions += 1


def test_a_newcomer_edits_and_resumes_within_eight_actions(newest: Comfy, browser: Browser) -> None:
    """`--log-cli-level=info` tells how long it took."""
    forget(newest)
    with screen(browser, newest, "nodes2") as shown:
        shown.page.evaluate("app.graph.clear()")
        began, newcomer = time.monotonic(), Newcomer(shown.page)
        newcomer.click("Midrun")
        newcomer.click("Open the example workflow")
        shown.state("idle")  # it is on the canvas
        newcomer.click("Run")
        shown.state("paused", shown.tray)
        shown.picture("newcomer-paused")
        newcomer.click("Edit", shown.node)
        shown.page.get_by_role("tabpanel").get_by_role("textbox").first.wait_for()
        newcomer.write("a blue square on a yellow ground", instead_of="a red circle on a yellow ground")
        newcomer.click("Resume with changes")
        (job,) = newest.get("/midrun/jobs")["jobs"]
        job = newest.wait_for(job["job_id"], "completed")
        log.info("%d actions in %.1f s", newcomer.actions, time.monotonic() - began)
        shown.picture("newcomer-done")
        ((edit,),) = (one.values() for one in job["modified_params"].values())
        assert edit["to"] == "a blue square on a yellow ground" and edit["from_step"] == 6
        assert newcomer.actions <= MOST_ACTIONS
