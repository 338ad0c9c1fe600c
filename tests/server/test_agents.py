"""An agent that watches renders through the MCP server, and the server's own record of what it did."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PIL import Image, ImageStat

import graphs
from harness import ROOT, Comfy
from midrun.midrun.agent import Agent
from midrun.midrun.server import Server
from test_choosing import asked, choosing

mcp = pytest.importorskip("mcp", reason="The MCP server needs the package mcp.", exc_type=ImportError)
tools = pytest.importorskip("midrun.midrun.tools")

STEPS, STEP, SIZE = 8, 3, 96
SEED = {"sampler": {"seed": {"random": 8}}}
LOOKING = {
    "list_jobs",
    "look",
    "look_at_choice",
    "compare",
    "parameters",
    "measurements",
    "events",
    "wait",
    "ledger",
}
ENDING = {"rewind", "abort"}
DOING = {
    "pause",
    "resume",
    "step",
    "edit",
    "undo_edits",
    "undo_rewind",
    "set_breakpoints",
    "fork",
    "draft",
    "finish",
    "choose",
}


class Hands:
    """What an agent has: tools, and nothing else."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def use(self, tool: str, **given: Any) -> Any:
        answer = await self.client.call_tool(tool, given)
        assert not answer.is_error, answer.content
        told = answer.structured_content
        return told if told is None or set(told) != {"result"} else told["result"]

    async def refused(self, tool: str, **given: Any) -> str:
        answer = await self.client.call_tool(tool, given)
        assert answer.is_error
        return answer.content[0].text

    async def look(self, tool: str = "look", **given: Any) -> tuple[dict[str, Any], list[Image.Image]]:
        size = {} if tool == "look_at_choice" else {"size": SIZE}
        answer = await self.client.call_tool(tool, size | given)
        assert not answer.is_error, answer.content
        text, *pictures = answer.content
        assert {one.mime_type for one in pictures} == {"image/webp"}
        opened: list[Image.Image] = [Image.open(io.BytesIO(base64.b64decode(one.data))) for one in pictures]
        return json.loads(text.text), opened


def process_of(comfy: Comfy) -> Any:
    """The MCP server as the program of any agent starts it."""
    paths = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    command = {"command": sys.executable, "args": ["-m", "midrun.mcp"], "cwd": ROOT}
    return mcp.StdioServerParameters(**command, env=paths | {"MIDRUN_SERVER": comfy.url})


def in_here(comfy: Comfy) -> Any:
    """The same without a process of its own."""
    return tools.server(Agent(Server(comfy.url)))


def run(with_server: Any, script: Callable[[Hands], Awaitable[Any]]) -> Any:
    """With the official client."""

    async def session() -> Any:
        async with mcp.Client(with_server, read_timeout_seconds=120) as client:
            return await script(Hands(client))

    return asyncio.run(session())


async def watch(hands: Hands) -> dict[str, Any]:
    """Eight drafts; six are aborted, each for a reason of its own, one is edited, two are finished."""
    workflow = graphs.base(key="agents", steps=STEPS)
    made = await hands.use("draft", workflow=workflow, vary=SEED, step=STEP)
    ids = [job["job_id"] for job in made["jobs"]]
    met = await hands.use("wait", job_ids=ids, states=["paused"], every=True, seconds=120)
    assert met["met"] and {job["step"] for job in met["jobs"]} == {STEP}
    bright: dict[str, float] = {}
    for job_id in ids:
        job, (picture,) = await hands.look(job_id=job_id)
        assert job["state"] == "paused" and max(picture.size) <= SIZE
        bright[job_id] = ImageStat.Stat(picture.convert("L")).mean[0]
    *bad, second, best = sorted(ids, key=lambda one: bright[one])
    for place, job_id in enumerate(bad, 1):
        reason = f"too dark: {bright[job_id]:.1f}, place {place} of 8"
        (told,) = await hands.use("abort", job_ids=[job_id], reason=reason)
        assert told == {"job_id": job_id, "state": "aborted"}
    edited = await hands.use("edit", job_id=best, values={"sampler": {"cfg": 6.5}})
    assert edited["modified_params"]["sampler"]["cfg"]["to"] == 6.5
    await hands.use("finish", job_ids=[best, second])
    done = await hands.use("wait", job_ids=[best, second], states=["completed"], every=True, seconds=120)
    assert done["met"]
    return {"bad": bad, "best": best, "second": second}


def test_an_agent_drafts_eight_looks_aborts_six_edits_one_and_finishes_two(comfy: Comfy) -> None:
    comfy.clear()
    before = comfy.get("/midrun/ledger")["total"]
    chosen = run(process_of(comfy), watch)
    aborted = [comfy.job(job_id) for job_id in chosen["bad"]]
    assert {(job["state"], job["step"]) for job in aborted} == {("aborted", STEP)}
    assert len({job["abort_reason"] for job in aborted}) == 6
    assert all(job["abort_reason"].startswith("too dark: ") for job in aborted)
    best, second = comfy.job(chosen["best"]), comfy.job(chosen["second"])
    assert best["modified_params"]["sampler"]["cfg"] == {"from": 4.0, "to": 6.5, "from_step": STEP}
    assert second["modified_params"] == {}
    assert {(job["state"], job["step"]) for job in (best, second)} == {("completed", STEPS)}
    assert comfy.probe("agents")["done"] == 8 * STEP + 2 * (STEPS - STEP)
    after = comfy.get("/midrun/ledger")
    gone = {name: after["total"][name] - before[name] for name in before}
    seconds = sum(_seconds(comfy, job["job_id"]) for job in (*aborted, best, second))
    assert gone["computed_s"] == pytest.approx(seconds, abs=0.05)
    assert gone["kept_s"] == pytest.approx(
        sum(_seconds(comfy, job["job_id"]) for job in (best, second)), abs=0.05
    )
    saved = sum(_seconds(comfy, job["job_id"]) / STEP * (STEPS - STEP) for job in aborted)
    assert gone["saved_by_drafts_s"] == pytest.approx(saved, abs=0.05)
    assert {job["abort_reason"] for job in aborted} <= {row["reason"] for row in after["by_reason"]}


def _seconds(comfy: Comfy, job_id: str) -> float:
    return sum(row["seconds"] for row in comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"])


async def _drive(hands: Hands) -> None:
    """One job, by every other verb."""
    workflow = graphs.base(key="agents-2", steps=6)
    (job,) = (await hands.use("draft", workflow=workflow, vary={"sampler": {"seed": [3]}}, step=2))["jobs"]
    job_id = job["job_id"]
    await hands.use("wait", job_ids=[job_id], seconds=120)
    assert "cfg" in (await hands.use("parameters", job_id=job_id, search="cfg"))["sampler"]["inputs"]
    await hands.use("edit", job_id=job_id, values={"sampler": {"cfg": 5.0}})
    await hands.use("undo_edits", job_id=job_id)
    assert "modified_params" not in (await hands.look(job_id=job_id))[0]
    await hands.use("set_breakpoints", job_id=job_id, breakpoints=[{"kind": "step", "value": 5}])
    await hands.use("step", job_id=job_id, count=2)
    await hands.use("wait", job_ids=[job_id], seconds=120)
    assert [row["step"] for row in await hands.use("measurements", job_id=job_id)] == [1, 2, 3, 4]
    (fork,) = await hands.use("fork", job_id=job_id, step=1, vary={"sampler": {"cfg": [7.0]}})
    await hands.use("rewind", job_id=job_id, step=3)
    await hands.use("undo_rewind", job_id=job_id)
    await hands.use("resume", job_id=job_id)
    met = await hands.use("wait", job_ids=[job_id, fork["job_id"]], every=True, seconds=120)
    assert met["met"] and met["jobs"][0]["step"] == 5
    told, pictures = await hands.look("compare", job_id=job_id, other_id=fork["job_id"], step=2)
    assert [one["input"] for one in told["differences"]] == ["cfg"] and len(pictures) == 2
    await hands.use("abort", job_ids=[job_id], reason="good enough", keep=True)
    kinds = [event["kind"] for event in await hands.use("events", job_id=job_id)]
    assert {"queued", "rewind", "restore", "abort"} <= set(kinds)
    assert job_id in [one["job_id"] for one in (await hands.use("list_jobs", states=["aborted"]))["jobs"]]


def test_an_agent_drives_one_job_by_every_verb(comfy: Comfy) -> None:
    comfy.clear()
    run(in_here(comfy), _drive)


def test_an_agent_chooses_what_a_job_goes_on_with(comfy: Comfy) -> None:
    job_id = comfy.queue(choosing("agent"))
    asked(comfy, job_id, "first")

    async def choose(hands: Hands) -> None:
        choice, pictures = await hands.look("look_at_choice", job_id=job_id, number=4)
        assert (choice["count"], len(pictures)) == (4, 1)
        assert "At most 2" in await hands.refused("choose", job_id=job_id, chosen=[1, 2, 3])
        await hands.use("choose", job_id=job_id, chosen=[4, 2])

    run(in_here(comfy), choose)
    assert asked(comfy, job_id, "second")["count"] == 2
    comfy.verb(job_id, "abort")


async def _ask_in_vain(hands: Hands) -> None:
    tools = (await hands.client.list_tools()).tools
    hints = {tool.name: tool.annotations for tool in tools}
    assert hints.keys() == LOOKING | DOING | ENDING
    assert {name for name, one in hints.items() if one.read_only_hint} == LOOKING
    assert {name for name, one in hints.items() if one.destructive_hint} == ENDING
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
    assert (await hands.refused("pause", job_id="nobody/../x")).endswith("list_jobs tells the ids.")
    assert "Say why" in await hands.refused("abort", job_ids=["x"], reason=" ")
    assert "less than or equal to 1024" in await hands.refused("look", job_id="x", size=4096)
    assert "either job_id" in await hands.refused("draft", vary=SEED, step=2)
    (told,) = await hands.use("abort", job_ids=["nobody"], reason="none such")
    assert "nobody" in told["error"]


def test_what_cannot_be_is_refused_in_words_that_say_what_to_do(comfy: Comfy) -> None:
    run(in_here(comfy), _ask_in_vain)
