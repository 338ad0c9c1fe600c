"""What schemathesis is told about Midrun: ids of jobs that there are, and refusals that no schema can say.

schemathesis imports it for `python dev.py fuzz`, in its own process.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import time
import urllib.request
from typing import Any

import schemathesis

SERVER, PROMPT = os.environ["MIDRUN_FUZZ_SERVER"], json.loads(os.environ["MIDRUN_FUZZ_PROMPT"])
EVERY = 20  # requests after which the jobs are looked at again
OFTEN = 0.9  # of the requests ask about a job that there is
SAMPLER = "6"
INPUTS = {SAMPLER: ("cfg", "steps", "seed", "sampler_name", "denoise"), "3": ("text",)}
STATES = ("paused", "completed", "aborted", "choice")  # choice: paused until somebody chooses
# What a request asks can depend on the job, or on two values of it at once.
BEYOND_A_SCHEMA = re.compile(
    r"same id|lower than above|different times|Name another job|differ in size|can be chosen|limit is|"
    r"There is no number|has no node that Midrun watches|[Aa]t most two inputs"
)


class Stock:
    """The jobs of the server: always some that are paused, completed and aborted."""

    def __init__(self) -> None:
        self._asked = itertools.count()
        self._ids: list[str] = []
        self.chance = random.Random(20)

    def any(self) -> str:
        if next(self._asked) % EVERY == 0:
            self._fill()
        return self.chance.choice(self._ids)

    def _fill(self) -> None:
        jobs = _ask("GET", "/midrun/jobs?limit=100")["jobs"]
        if missing := [state for state in STATES if state not in set(map(_state, jobs))]:
            _ask("POST", "/midrun/jobs/resume", {})  # the queue may stand still
            for state in missing:
                self._make(state)
            jobs = _ask("GET", "/midrun/jobs?limit=100")["jobs"]
        self._ids = [job["job_id"] for job in jobs[:30]]

    def _make(self, state: str) -> None:
        prompt = json.loads(json.dumps(PROMPT))
        prompt[SAMPLER]["inputs"] |= {"seed": self.chance.randrange(2**32), "steps": 4, "pause_at_step": 2}
        if state == "choice":
            choose = {"batch": ["7", 0], "most": 0, "otherwise": "all", "wait_minutes": 0, "paint": False}
            prompt["20"] = {"class_type": "MidrunChoose", "inputs": {**choose, "chosen": "", "painted": ""}}
            prompt["8"]["inputs"]["images"] = ["20", 0]
            prompt[SAMPLER]["inputs"]["pause_at_step"] = 0
        job_id = _ask("POST", "/prompt", {"prompt": prompt})["prompt_id"]
        _until(job_id, "paused")
        if state == "completed":
            _ask("POST", f"/midrun/jobs/{job_id}/resume", {})
            _until(job_id, state)
        elif state == "aborted":
            _ask("POST", f"/midrun/jobs/{job_id}/abort", {})


def _state(job: dict[str, Any]) -> str:
    return "choice" if job["choice"] is not None else job["state"]


def _until(job_id: str, state: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and _ask("GET", f"/midrun/jobs/{job_id}")["state"] != state:
        time.sleep(0.1)


def _ask(method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(SERVER + path, data, method=method)) as answer:
        return json.loads(answer.read())


STOCK = Stock()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Ask about a job that there is, and about inputs that it has."""
    places = [one for one in (case.path_parameters, case.query, case.body) if isinstance(one, dict)]
    for names in places:
        for name in ("id", "with", "job_id"):
            if isinstance(names.get(name), str) and STOCK.chance.random() < OFTEN:
                names[name] = STOCK.any()
        node_id = STOCK.chance.choice(list(INPUTS))
        known = {"node_id": node_id, "input": STOCK.chance.choice(INPUTS[node_id]), "number": 1}
        for name, value in known.items():
            if isinstance(names.get(name), type(value)) and STOCK.chance.random() < OFTEN:
                names[name] = value
    if isinstance(case.body, dict) and case.meta is not None and case.meta.generation.mode.is_positive:
        if case.path.endswith("/params"):
            case.body = _known(case.body)
        for name in ("params", "vary"):
            if isinstance(case.body.get(name), dict):
                case.body[name] = _known(case.body[name])


def _known(named: dict[str, Any]) -> dict[str, Any]:
    """{node_id: {input: value}} with names that there are; the values stay."""
    return {
        node_id: dict(zip(INPUTS[node_id], told.values(), strict=False)) if isinstance(told, dict) else told
        for node_id, told in zip(INPUTS, named.values(), strict=False)
    }


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code not in (400, 422):
        return True
    told = response.json().get("error", {})
    return told.get("code") == "bad_request" and not BEYOND_A_SCHEMA.search(told.get("message", ""))
