"""What a person does in the story of tests/browser/test_browser.py, and what is to be seen of it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from browser import Screen, edits
from harness import Comfy

# Of the example workflow.
POSITIVE, SAMPLER = "3", "6"
SQUARE = "a blue square on a yellow ground"


def change_by_mouse(shown: Screen, comfy: Comfy, job_id: str) -> None:
    cfg = param(shown, SAMPLER, "cfg")
    cfg.get_by_role("spinbutton").fill("7.5")
    expect(cfg).to_have_attribute("data-status", "unsaved")
    expect(param(shown, SAMPLER, "seed")).to_contain_text("after a rewind to KSampler (Midrun) #")
    text = param(shown, POSITIVE, "text")
    text.locator("textarea").fill(SQUARE)
    shown.verb("save", shown.tray).click()
    for one in (cfg, text):
        expect(one).to_have_attribute("data-status", "pending")
        expect(one.locator(".midrun-badge")).to_contain_text("modified")
    expect(cfg.locator("del")).to_have_text("5")
    expect(text.locator("del")).to_have_text("a red circle on a yellow ground")
    expect(shown.verb("edit")).to_have_text("Edit · 2")
    steps = param(shown, SAMPLER, "steps")
    steps.get_by_role("spinbutton").fill("24")
    shown.verb("save", shown.tray).click()
    expect(steps).to_have_attribute("data-status", "pending")
    wanted = {f"{SAMPLER}.cfg": (7.5, None), f"{POSITIVE}.text": (SQUARE, None)}
    assert edits(comfy, job_id) == wanted | {f"{SAMPLER}.steps": (24, None)}
    shown.picture(f"editor-{shown.version}-{shown.renderer}")
    shown.verb("undo", steps).click()
    expect(steps).not_to_have_attribute("data-status", "pending")
    assert edits(comfy, job_id) == wanted


def ends_as_edited(
    shown: Screen, comfy: Comfy, job_id: str, wanted: dict[str, Any], keys: bool = False
) -> None:
    """It pauses once more by itself, where the example's `pause_at_step` says, with a toast; then it ends."""
    job = comfy.until(lambda: _paused_at(comfy, job_id, 6), "the pause at step 6")
    assert job["pause_reason"] == "breakpoint"
    shown.page.get_by_text("Paused at step 6: a breakpoint.").and_(
        shown.page.locator(":not(.midrun-panel-root *, .midrun-widget *)")
    ).first.wait_for()
    if keys:
        shown.page.locator("body").press("F8")
    else:
        shown.verb("primary").click()
    job = comfy.wait_for(job_id, "completed")
    nodes = {"cfg": SAMPLER, "text": POSITIVE}
    assert edits(comfy, job_id) == {f"{nodes[name]}.{name}": (value, 4) for name, value in wanted.items()}
    shown.page.wait_for_function("!document.title.startsWith('⏸ ')")
    told = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    kinds = [event["kind"] for event in told]
    assert {"queued", "pause", "stopped", "resume", "complete"} <= {*kinds}, kinds
    changed = {edit["input"] for event in told for edit in event["detail"].get("edits", ())}
    assert changed > {*wanted}, "and what was undone"
    history = comfy.get("/history")
    (run,) = [history[one] for one in job["prompt_ids"] if one in history]
    assert run["prompt"][2][POSITIVE]["inputs"]["text"] == SQUARE, "ComfyUI ran the edited prompt"
    assert run["status"]["completed"] and run["outputs"]


def is_aborted(shown: Screen, comfy: Comfy, job_id: str, reason: str) -> None:
    """The dialog says what is left, where, and shows it; the server has recorded it."""
    result = shown.dialog.locator("[data-result]")
    result.wait_for()
    expect(result).to_contain_text(f"Aborted at step 2: {reason}")
    kept = comfy.until(lambda: _kept(comfy, job_id), "the partial result")
    expect(result.locator(".midrun-path")).to_have_text(kept["latent"])
    shown.page.wait_for_function("document.querySelector('.midrun-result')?.naturalWidth > 0")
    assert result.get_by_role("link").get_attribute("download") == ""
    job = comfy.job(job_id)
    assert (job["state"], job["abort_reason"], job["step"]) == ("aborted", reason, 2)
    assert comfy.get("/midrun/failures")["failures"][0]["reason"] == reason


def param(shown: Screen, node_id: str, name: str) -> Locator:
    return shown.tray.locator(f'[data-node="{node_id}"] [data-input="{name}"]')


def turnstile(comfy: Comfy, key: str, at: int) -> None:
    """The evaluation with that number, from 1, will wait to be interrupted."""
    comfy.post(f"/midrun_test/turnstile?key={key}&at={at}")


def forget(comfy: Comfy) -> None:
    """As on a server that has just been installed."""
    for job in comfy.get("/midrun/jobs?limit=500")["jobs"]:
        if job["state"] not in ("completed", "aborted"):
            comfy.verb(job["job_id"], "abort")
        comfy.until(
            lambda: comfy.call("DELETE", f"/midrun/jobs/{job['job_id']}")[0] in (204, 404),  # noqa: B023
            "the job to go",
        )


def the_only(comfy: Comfy, but: str = "") -> str:
    """The only job on the server, another left out."""
    ids = comfy.until(
        lambda: [
            job["job_id"] for job in comfy.get("/midrun/jobs?limit=500")["jobs"] if job["job_id"] != but
        ],
        "a job",
    )
    assert len(ids) == 1, ids
    return ids[0]


def _paused_at(comfy: Comfy, job_id: str, step: int) -> dict[str, Any] | None:
    job = comfy.job(job_id)
    return job if (job["state"], job["step"]) == ("paused", step) else None


def _kept(comfy: Comfy, job_id: str) -> dict[str, Any] | None:
    told = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    return next((event["detail"] for event in told if event["kind"] == "kept"), None)


def tab_to(shown: Screen, selector: str, back: bool = False) -> None:
    """Press Tab until the focus is there; a keyboard user has nothing else."""
    for _ in range(150):
        if shown.page.evaluate("selector => !!document.activeElement?.matches(selector)", selector):
            return
        shown.page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"Tab does not reach {selector}")
