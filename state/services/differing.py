"""What is otherwise here than where a job from a bundle was computed, before it is resumed. Event loop."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..bundles.comparing import differences
from ..job.job import Job
from ..states import State
from ..surroundings import Difference, Surroundings
from ..workflow.edits import pending, with_edits
from ..workflow.graph import Prompt

STANDING = (State.PAUSED, State.FAILED)
SIGNED_IN = Difference(
    "signed_in",
    "Comfy.org",
    None,
    None,
    "This job was queued with a Comfy.org sign-in, which no bundle carries. Nodes that need it will fail; if "
    "you need them, sign in and queue the workflow as a new job.",
)


class Here(Protocol):
    """What this ComfyUI computes with. May read large files."""

    def again(self, then: Surroundings, prompt: Prompt, thoroughly: bool) -> Surroundings: ...


class Differing:
    def __init__(self, here: Here) -> None:
        self._here = here

    async def look(self, job: Job, thoroughly: bool = False) -> Job:
        """Bring what the job tells to what is so now. thoroughly: read models that nobody read yet"""
        view = job.view()
        imported = view.imported
        if imported is None or view.state not in STANDING:
            return job
        prompt = with_edits(job.request.prompt, pending(view.edits))
        now = await asyncio.to_thread(self._here.again, imported.then, prompt, thoroughly)
        found = differences(imported.then, now, imported.lost)
        if imported.signed_in:
            found = (SIGNED_IN, *found)
        job.runs.tell_differences(found)
        return job
