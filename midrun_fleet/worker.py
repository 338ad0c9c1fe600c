"""One ComfyUI and the job that it has: begun, gone on with wherever it stopped, brought to its end.

On two threads: `run` on one, what controls it on the other. Knows nothing of Ray, which makes an actor of it.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from .comfyui import ComfyUI, Crashed
from .jobs import End, FleetError, Job, Result, Setup
from .ledger import Ledger

LOOK_S = 0.25
CRASHES = 3  # of ComfyUI in a row, without an evaluation between them, until the job is to blame
HISTORY_S = 10.0  # between the end of a job and its entry in the history
TAKE_S = 300.0
AT_WORK = ("queued", "running", "pausing")
NOTHING_TO_TAKE = (404, 409, 422)  # nothing there; another server lives; what is there cannot be gone on with
LEFT_BEHIND = ("server_restart", "drain")  # what a job is paused for that no person paused
Told = dict[str, Any]


class Refused(FleetError):
    """The job itself is wrong, wherever it runs."""


class Worker:
    """name: of its directory below setup.base; with it, what it has of jobs outlives the process."""

    def __init__(self, setup: Setup, name: str) -> None:
        self.name = name
        self._drain_s = setup.drain_s
        self._ledger = Ledger(setup.store)
        self._comfyui = ComfyUI(setup, Path(setup.base).expanduser().absolute() / name)
        self._starting = threading.Lock()
        self._serves = self._drained = False
        self._to_pause: set[str] = set()

    # -- what controls it --------------------------------------------------------------------------------

    def ready(self) -> Told:
        """Once ComfyUI answers. Raises FleetError."""
        with self._starting:
            if not self._comfyui.alive:
                self._serves = False
                self._comfyui.start()
                self._forget_what_is_over()
                self._serves = True
        return {"pid": os.getpid(), "comfyui": self._comfyui.pid}

    def pause(self, job_id: str) -> None:
        """As soon as it is at work; `run` returns."""
        self._to_pause.add(job_id)

    def drain(self) -> None:
        """Everything is paused, sent, and free for others; `run` returns. It takes no more jobs."""
        self._drained = True
        if self._serves:
            self._call("POST", "/midrun/drain", {"within": max(1.0, self._drain_s)}, self._drain_s + 60)

    def stop(self) -> None:
        with self._starting:
            self._serves = False
            self._comfyui.stop()

    # -- its job -----------------------------------------------------------------------------------------

    def run(self, job_id: str) -> Result:
        """Until there is nothing left to do here for now. May be asked again. Raises FleetError."""
        job, result = self._ledger.job(job_id), self._ledger.result(job_id)  # in the order of their ends
        if result is not None or job is None:
            return result or Result(End.ABORTED, error="The store has no such job.")
        crashes, before = 0, -1
        while not self._drained:
            try:
                return self._ledger.result(job_id) or self._ran(job)
            except Refused as refusal:
                return self._over(job, Result(End.FAILED, error=str(refusal), worker=self.name))
            except Crashed as crash:
                self.ready()
                now = (self._view(job_id) or {}).get("evaluations", 0)
                crashes, before = (1 if now > before else crashes + 1), now
                if crashes >= CRASHES:
                    told = f"ComfyUI crashed {CRASHES} times at the same place: {crash}"
                    return self._over(job, Result(End.FAILED, error=told, worker=self.name))
        return Result(End.LET_GO, worker=self.name)

    def add_and_run(self, job: Job) -> Result:
        """For who has no driver. What failed is tried again."""
        result = self._ledger.result(job.id)
        if result is not None and result.end is not End.FAILED:
            return result
        self._ledger.add(job)
        self._ledger.open_again(job.id)
        return self.run(job.id)

    def _ran(self, job: Job) -> Result:
        self.ready()
        if not self._is_begun(job):
            return Result(End.ELSEWHERE, worker=self.name)
        while True:
            view = self._view(job.id)
            if view is None:
                entry = self._entry(job.id)  # of a workflow without anything that Midrun can debug
                if entry is not None:
                    return self._over(job, self._result(job.id, None, entry))
            elif view["state"] == "paused":
                self._to_pause.discard(job.id)
                end = End.LET_GO if view["pause_reason"] in LEFT_BEHIND else End.PAUSED
                return Result(end, worker=self.name)
            elif view["state"] not in AT_WORK:
                entry = self._entry(view["prompt_id"], HISTORY_S)
                return self._over(job, self._result(job.id, view, entry))
            elif job.id in self._to_pause and view["state"] != "pausing":
                self._call("POST", f"/midrun/jobs/{job.id}/pause", {})
            time.sleep(LOOK_S)

    def _is_begun(self, job: Job) -> bool:
        """Whether it is at work here now, from where it stopped or from its beginning."""
        view = self._view(job.id)
        if view is not None:
            if self._goes_on(view):
                return True
            self._call("DELETE", f"/midrun/jobs/{job.id}")  # another server has it, or had it
        status, told = self._call("POST", f"/midrun/store/{job.id}/take", {}, TAKE_S)
        if status == 201:
            return self._goes_on(told)
        if status not in NOTHING_TO_TAKE:
            raise FleetError(f"Job {job.id} cannot be taken from the store: {_message(told)}")
        if status != 409 and self._entry(job.id) is None:
            self._queue(job)
        return status != 409

    def _goes_on(self, view: Told) -> bool:
        """A completed job of which only the recording is left saves once more what it made of it."""
        job, state = f"/midrun/jobs/{view['job_id']}", view["state"]
        if state in (*AT_WORK, "aborted"):
            return True
        if state == "completed":
            if self._entry(view["prompt_id"]) is not None:
                return True
            if self._call("POST", f"{job}/rewind", {"step": view["step"]})[0] != 200:
                return False
        return self._call("POST", f"{job}/resume", {})[0] == 202

    def _queue(self, job: Job) -> None:
        status, told = self._call("POST", "/prompt", {"prompt": job.prompt, "prompt_id": job.id})
        if status != 200:
            raise Refused(f"ComfyUI refuses the workflow: {_message(told)}")

    # -- what it made ------------------------------------------------------------------------------------

    def _result(self, job_id: str, view: Told | None, entry: Told | None) -> Result:
        if view is None:
            is_well = entry is not None and entry["status"]["status_str"] == "success"
            end, error = (End.COMPLETED, None) if is_well else (End.FAILED, "See the log of ComfyUI.")
            view = {}
        else:
            end = End(view["state"])
            error = (view["error"] or {}).get("message") or view["abort_reason"]
        files = self._kept(job_id, entry or {}) if end is End.COMPLETED else ()
        numbers = view.get("evaluations", 0), len(view.get("prompt_ids", (job_id,)))
        return Result(end, files, error, self.name, *numbers)

    def _kept(self, job_id: str, entry: Told) -> tuple[str, ...]:
        """What was saved goes to the store, where it outlives this machine, and not only there."""
        names = []
        for outputs in entry.get("outputs", {}).values():
            for one in (one for kind in outputs.values() if isinstance(kind, list) for one in kind):
                if isinstance(one, dict) and one.get("type") == "output":
                    name = "/".join(filter(None, (one["subfolder"], one["filename"])))
                    self._ledger.keep(job_id, name, self._comfyui.outputs / name)
                    names.append(name)
        return tuple(names)

    def _over(self, job: Job, result: Result) -> Result:
        self._ledger.close(job.id, result)
        for name in result.files:
            (self._comfyui.outputs / name).unlink(missing_ok=True)
        return result

    # -- what it asks ------------------------------------------------------------------------------------

    def _call(self, *given: Any) -> tuple[int, Any]:
        return self._comfyui.call(*given)

    def _view(self, job_id: str) -> Told | None:
        status, told = self._call("GET", f"/midrun/jobs/{job_id}")
        if status not in (200, 404):
            raise FleetError(f"Midrun does not tell of job {job_id}: {_message(told)}")
        return told if status == 200 else None

    def _entry(self, prompt_id: str, seconds: float = 0.0) -> Told | None:
        """In the history of ComfyUI, which forgets when it ends."""
        end = time.monotonic() + seconds
        while True:
            found = self._call("GET", f"/history/{prompt_id}")[1].get(prompt_id)
            if found is not None or time.monotonic() >= end:
                return found
            time.sleep(LOOK_S)

    def _forget_what_is_over(self) -> None:
        """What was left behind here and completed elsewhere would keep its recording for ever."""
        paused = self._call("GET", "/midrun/jobs?state=paused&limit=500")[1]["jobs"]
        for view in paused:
            if view["pause_reason"] in LEFT_BEHIND and self._ledger.result(view["job_id"]) is not None:
                self._call("DELETE", f"/midrun/jobs/{view['job_id']}")


def _message(told: Any) -> str:
    error = told.get("error") if isinstance(told, dict) else None
    return str(error.get("message", error) if isinstance(error, dict) else told)[:500]
