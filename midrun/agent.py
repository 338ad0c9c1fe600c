"""What an agent does with a running Midrun, over its REST API alone. Standard library only; blocks.

What it answers is short, as an agent pays for each word: a job's figures instead of its whole row.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from .server import Server, Trouble

Edits = dict[str, dict[str, Any]]  # {node_id: {input: value}}
Told = dict[str, Any]
LOOK_EVERY_S = 0.5
LONGEST_WAIT_S = 300.0
LONG = 300  # characters of a value
OPTIONS = 40  # of an input
WEEKS, LARGEST = 8, 20  # of the ledger
ENDED = ("completed", "aborted")
HINTS = {
    "unknown_job": "list_jobs tells the ids.",
    "illegal_transition": "look tells the job's state.",
    "invalid_params": "parameters tells what can be edited, and when it takes effect.",
    "no_preview": "Look at a step that is done; measurements tells which there are.",
}


class Agent:
    """All of it raises Trouble, which says what to do."""

    def __init__(self, server: Server) -> None:
        self._server = server

    # -- looking ---------------------------------------------------------------------------------------

    def jobs(self, states: list[str] | None, limit: int, before: str | None = None) -> Told:
        """The newest first."""
        state = ",".join(states) if states else None
        page = self._get("/midrun/jobs", state=state, limit=limit, before=before)
        return {"jobs": [brief(job) for job in page["jobs"]], "next": page["next"]}

    def job(self, job_id: str) -> Told:
        """All of a job that a decision needs."""
        job = self._get(_of(job_id))
        more = ("modified_params", "breakpoints", "take", "parent", "exactness", "choice")
        told = {name: job[name] for name in more if job.get(name)}
        measured = self.measurements(job_id)[-1:]
        return (
            brief(job) | told | {"warnings": [one["message"] for one in job["warnings"]], "newest": measured}
        )

    def picture(self, job_id: str, step: int | None, node_id: str | None, size: int) -> bytes:
        """WebP, `size` pixels at its longer side at most; of the newest step by default."""
        path = _of(job_id, "/preview")
        return self._read(path, step=step, node_id=node_id, size=size, still="true")

    def choice(self, job_id: str, number: int) -> tuple[Told, bytes]:
        """What the job waits for, and one of the pictures."""
        found = self._get(_of(job_id))["choice"]
        if found is None:
            raise Trouble("The job does not wait for a choice. list_jobs tells the choice of one that does.")
        return found, self._read(_of(job_id, f"/choice/{number}"))

    def measurements(self, job_id: str) -> list[Told]:
        """Of each step, in order of time."""
        rows = self._get(_of(job_id, "/telemetry"))["telemetry"]
        return [{name: value for name, value in row.items() if value is not None} for row in rows]

    def compare(self, job_id: str, other_id: str, step: int | None) -> Told:
        """Both at the same step, and how their parameters differ."""
        told = self._get(_of(job_id, "/compare"), **{"with": other_id, "step": step})
        return {"step": told["step"], "differences": told["differences"]}

    def parameters(self, job_id: str, search: str | None) -> Told:
        """node_id -> what the node is, and its inputs; of those whose node or name has the word in it."""
        nodes = self._get(_of(job_id, "/params"))["nodes"]
        found: Told = {}
        for node_id, node in nodes.items():
            name = f"{node_id} {node['title']} {node['class_type']}"
            inputs = {
                one: _input(told)
                for one, told in node["inputs"].items()
                if not search or search.lower() in f"{name} {one}".lower()
            }
            if inputs:
                found[node_id] = {"title": node["title"], "class_type": node["class_type"], "inputs": inputs}
        return found

    def events(self, job_id: str, newest: int) -> list[Told]:
        """What happened to the job, the newest last."""
        return self._get(_of(job_id, "/events"))["events"][-newest:]

    def ledger(self) -> Told:
        """What became of the GPU's time, in seconds: the newest weeks, and the largest of the rest."""
        return short_ledger(self._get("/midrun/ledger"))

    def wait(self, job_ids: list[str], states: list[str], every: bool, seconds: float) -> Told:
        """Until one of these jobs, or every one, is in one of these states; or so long."""
        end = time.monotonic() + min(seconds, LONGEST_WAIT_S)
        while True:
            jobs = [self._get(_of(job_id)) for job_id in job_ids]
            there = [job["state"] in states for job in jobs]
            met = all(there) if every else any(there)
            if met or time.monotonic() >= end:
                return {"met": met, "jobs": [brief(job) for job in jobs]}
            time.sleep(LOOK_EVERY_S)

    # -- doing -----------------------------------------------------------------------------------------

    def pause(self, job_id: str) -> Told:
        return brief(self._post(_of(job_id, "/pause?wait=30"), {}))

    def resume(self, job_id: str) -> Told:
        return brief(self._post(_of(job_id, "/resume"), {}))

    def step(self, job_id: str, count: int) -> Told:
        return brief(self._post(_of(job_id, "/step"), {"count": count}))

    def edit(self, job_id: str, edits: Edits, at_once: bool) -> Told:
        """They take effect with the next resume, or, at once, with the next step."""
        apply = "next_step" if at_once else "resume"
        job = self._ask("PUT", _of(job_id, f"/params?apply={apply}"), edits)
        return brief(job) | {"modified_params": job["modified_params"]}

    def undo_edits(self, job_id: str) -> Told:
        return brief(self._ask("DELETE", _of(job_id, "/params")))

    def rewind(self, job_id: str, step: int, edits: Edits | None) -> Told:
        return brief(
            self._post(_of(job_id, "/rewind"), {"step": step} | ({"params": edits} if edits else {}))
        )

    def undo_rewind(self, job_id: str) -> Told:
        return brief(self._ask("DELETE", _of(job_id, "/rewind")))

    def fork(self, job_id: str, step: int, vary: dict[str, dict[str, list[Any]]]) -> list[Told]:
        return [brief(job) for job in self._post(_of(job_id, "/fork"), {"step": step, "vary": vary})["jobs"]]

    def draft(self, vary: Edits, step: int, job_id: str | None, workflow: Told | None) -> Told:
        """Of a job's workflow, or of one in API format."""
        if (job_id is None) is (workflow is None):
            raise Trouble("Say of what: either job_id, of a job whose workflow to take, or workflow.")
        of = {"job_id": job_id} if workflow is None else {"prompt": workflow}
        made = self._post("/midrun/drafts", of | {"vary": vary, "step": step})
        return {"grid": made["grid"], "jobs": [brief(job) for job in made["jobs"]]}

    def finish(self, job_ids: list[str], step: int | None) -> list[Told]:
        return self._each("/midrun/drafts/go_on", {"ids": job_ids} | ({"step": step} if step else {}))

    def choose(self, job_id: str, chosen: list[int] | str) -> Told:
        """Of what it waits for: numbers from 1, or all, none or first"""
        return brief(self._post(_of(job_id, "/choose"), {"chosen": chosen}))

    def abort(self, job_ids: list[str], reason: str, keep: bool) -> list[Told]:
        """keep: the workflow is finished with what there is"""
        if not reason.strip():
            raise Trouble("Say why: the reason is kept, and counted in the ledger.")
        mode = "finish" if keep else "stop"
        return self._each("/midrun/jobs/abort", {"ids": job_ids, "mode": mode, "reason": reason.strip()})

    def set_breakpoints(self, job_id: str, breakpoints: list[Told]) -> list[Told]:
        return self._ask("PUT", _of(job_id, "/breakpoints"), {"breakpoints": breakpoints})["breakpoints"]

    # -- inside ----------------------------------------------------------------------------------------

    def _each(self, path: str, body: Told) -> list[Told]:
        """What became of each job; one that refuses keeps no other from it."""
        told = self._post(path, body)["jobs"]
        return [
            {"job_id": one["job_id"], "state": one.get("state")}
            | ({"error": one["error"]["message"]} if one.get("error") else {})
            for one in told
        ]

    def _get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, query=query)

    def _post(self, path: str, body: Told) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any = None, query: Told | None = None) -> Any:
        try:
            return self._server.ask(method, path, body, query)
        except Trouble as trouble:
            raise _hinted(trouble) from trouble

    def _read(self, path: str, **query: Any) -> bytes:
        try:
            return self._server.read("GET", path, query=query)
        except Trouble as trouble:
            raise _hinted(trouble) from trouble


def brief(job: Told) -> Told:
    """A job in few words; what is not so is left out."""
    told = {
        "job_id": job["job_id"],
        "workflow": job["workflow"]["name"],
        "state": job["state"],
        "because": job["paused_because"] or job["pause_reason"],
        "step": job["step"],
        "total_steps": job["total_steps"],
        "sigma": job["sigma"],
        "node_id": job["display_node_id"],
        "varied": job["varied"],
        "abort_reason": job["abort_reason"],
        "error": job["error"],
        "seconds_left": job["timing"]["eta_s"] if job["state"] not in ENDED else None,
        "mean_step_s": job["timing"]["mean_step_s"],
    }
    return {name: value for name, value in told.items() if value is not None}


def short_ledger(told: Told) -> Told:
    """left_out: how many there are besides the largest"""
    short = {"total": told["total"], "by_week": told["by_week"][:WEEKS], "left_out": {}}
    for column in ("workflow", "model", "reason"):
        rows = sorted(told[f"by_{column}"], key=lambda row: -row["computed_s"])
        largest = [row for row in rows if "others" not in row][:LARGEST]
        short[f"by_{column}"] = largest
        if left := sum(row.get("others", 1) for row in rows) - len(largest):
            short["left_out"][column] = left
    return short


def _input(told: Told) -> Told:
    value = told["value"]
    short = value if len(str(value)) <= LONG else f"{str(value)[:LONG]}…"
    kept = {name: told[name] for name in ("type", "verdict", "min", "max", "reason") if told.get(name)}
    options = told.get("options")
    return {"value": short, **kept} | ({"options": options[:OPTIONS]} if options else {})


def _of(job_id: str, more: str = "") -> str:
    return f"/midrun/jobs/{quote(job_id, safe='')}{more}"


def _hinted(trouble: Trouble) -> Trouble:
    hint = HINTS.get(trouble.code or "")
    return Trouble(f"{trouble} {hint}", trouble.code) if hint else trouble
