"""Drafts: made from a node's menu, chosen on the board by mouse in one renderer, by keyboard in the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Locator, expect

from browser import RENDERERS, Screen, needs_chromium, screen
from harness import Comfy
from resuming import latent
from test_browser_travel import node_menu, quick
from test_control import expected

pytestmark = needs_chromium
in_canvas, in_nodes2 = (pytest.mark.parametrize("renderer", [one]) for one in RENDERERS)
STEPS = 10


def drafted(shown: Screen, key: str, count: int, step: int) -> tuple[Locator, list[str]]:
    """The board of that many drafts, made by the form, and their ids once all wait there."""
    ids = shown.load(quick(key, steps=STEPS))
    shown.show(ids["sampler"])
    node_menu(shown, ids["sampler"], "Midrun: Draft seeds…")
    form = shown.page.locator(".midrun-dialog-draft")
    form.locator('[data-field="count"]').fill(str(count))
    form.locator('[data-field="step"]').fill(str(step))
    shown.picture(f"draft-form-{key}")
    expect(shown.verb("confirm", form)).to_have_text(f"Draft {count} seeds")
    shown.verb("confirm", form).click()
    board = shown.page.locator(".midrun-dialog-board")
    tiles = board.locator(".midrun-tile")
    expect(tiles).to_have_count(count)
    for tile in tiles.all():
        expect(tile).to_have_attribute("data-state", "paused", timeout=60_000)
    return board, [tile.get_attribute("data-job") or "" for tile in tiles.all()]


def seed_of(comfy: Comfy, job_id: str) -> int:
    (varied,) = comfy.job(job_id)["varied"].values()
    return varied["seed"]


def is_as_if_alone(comfy: Comfy, job_id: str, **options: Any) -> bool:
    job = comfy.wait_for(job_id, "completed")
    saved = next(iter(comfy.wait_ended(job["prompt_id"])["outputs"]))
    stock = expected(comfy, seed=seed_of(comfy, job_id), steps=STEPS, cfg=4.0, **options)
    return torch.equal(latent(comfy, job["prompt_id"], saved), stock)


@in_canvas
def test_the_good_ones_are_finished_by_mouse(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        board, ids = drafted(shown, f"mouse-{renderer}", 6, 3)
        for number in (1, 4):
            board.locator(f'[data-job="{ids[number]}"] .midrun-tick').click()
        shown.picture(f"board-{renderer}")
        shown.verb("finish", board).click()
        for number in (1, 4):
            expect(board.locator(f'[data-job="{ids[number]}"]')).to_have_attribute("data-state", "completed")
            assert is_as_if_alone(newest, ids[number])
        assert newest.probe(f"mouse-{renderer}")["done"] == 6 * 3 + 2 * (STEPS - 3)
        shown.verb("discard", board).click()
        expect(board.locator('.midrun-tile[data-state="aborted"]')).to_have_count(4)
        expect(board).to_contain_text(f"{6 * 3 + 2 * (STEPS - 3)} steps computed, {4 * (STEPS - 3)} saved")
        shown.picture(f"board-done-{renderer}")
        shown.verb("closeBoard", board).click()
        panel = shown.open_panel()
        expect(shown.verb("board", panel)).to_have_text("Drafts (6)")


@in_nodes2
def test_the_good_ones_are_finished_by_keyboard(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        board, ids = drafted(shown, f"keys-{renderer}", 4, 2)
        keys = shown.page.keyboard
        expect(board.locator('[data-tile="0"]')).to_be_focused()
        keys.press("3")
        keys.press("ArrowRight")
        keys.press("Space")
        for number, ticked in enumerate(("false", "true", "true", "false")):
            expect(board.locator(f'[data-tile="{number}"]')).to_have_attribute("aria-pressed", ticked)
        keys.press("3")
        shown.verb("finish", board).focus()
        keys.press("Enter")
        expect(board.locator(f'[data-job="{ids[1]}"]')).to_have_attribute("data-state", "completed")
        assert is_as_if_alone(newest, ids[1])
        board.locator(".midrun-board-step input").fill("5")
        shown.verb("allTo", board).press("Enter")
        for number in (0, 2, 3):
            expect(board.locator(f'[data-job="{ids[number]}"] .midrun-step')).to_have_text("step 5 / 10")
            newest.wait_for(ids[number], "paused")
        assert newest.probe(f"keys-{renderer}")["done"] == 3 * 5 + STEPS
        keys.press("Escape")
        expect(board).to_have_count(0)
