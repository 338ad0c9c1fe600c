"""The pictures of what a job is to be chosen from: made and written before the job says that it waits.

Asked for on ComfyUI's worker thread, made on the preview thread.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm

from ...state.choice import MOST, Choice, Kind, Otherwise
from ...state.job.job import Job
from ...state.job.machine import utc
from ...state.job.warnings import NOT_PREVIEWED
from ...state.services.numbered_pictures import NumberedPictures
from ..comfyui.batches import count, kind_of
from .pictures import Picture, card, webp
from .value_pictures import ValuePictures, on_host

MAX_SIZE = 1024  # pixels of the longer side
LOOK_EVERY_S = 0.2  # whether the job is to end meanwhile


@dataclass(frozen=True)
class Terms:
    """What the node says of its choice. most: 0 is any number; wait_minutes: minutes, 0 is for ever"""

    most: int
    otherwise: Otherwise
    wait_minutes: float
    paints: bool


class ChoicePictures:
    """Of all jobs."""

    def __init__(self, pictures: ValuePictures, files: NumberedPictures) -> None:
        self._pictures_of = pictures
        self._files = files

    def offer(self, job: Job, node_id: str, values: Sequence[Any], terms: Terms) -> Choice:
        """What is on the wire, as it is to be chosen from. Waits until the pictures are on the disk."""
        held = [on_host(value) for value in values]
        version = self._awaited(job, self._pictures_of.thread.submit(partial(self._written, job, held)))
        until = utc(time.time() + 60.0 * terms.wait_minutes) if terms.wait_minutes > 0 else None
        kind, number = kind_of(values[0]), sum(map(count, values))
        paints = terms.paints and kind is not Kind.LATENT
        return Choice(node_id, kind, number, terms.most, terms.otherwise, until, paints, version)

    def _awaited(self, job: Job, made: Future[str]) -> str:
        """The version of the pictures; "" where they failed. An end of the job is not kept waiting."""
        prompt_id = job.prompt_id
        while not job.worker.must_leave(prompt_id) and not mm.processing_interrupted():
            try:
                return made.result(LOOK_EVERY_S)
            except FutureTimeout:
                continue
            except Exception as error:  # noqa: BLE001  it can be chosen by numbers all the same
                job.warn(NOT_PREVIEWED, error)
                return ""
        made.cancel()
        return ""

    # -- on the preview thread -------------------------------------------------------------------------

    def _written(self, job: Job, values: Sequence[Any]) -> str:
        """The version of the pictures; "" where they cannot be written, which the job tells."""
        try:
            made = enumerate(self._pictures(job, values), 1)
            self._files.replace(job.job_id, {number: webp(one).picture for number, one in made})
            job.unwarn(NOT_PREVIEWED)
        except OSError as error:
            job.warn(NOT_PREVIEWED, error)
            return ""
        return uuid.uuid4().hex[:12]

    def _pictures(self, job: Job, values: Sequence[Any]) -> Iterator[Picture]:
        for value in values:
            described = self._pictures_of.format_of(job, value)
            for index in range(min(count(value), MOST)):
                try:
                    yield self._pictures_of.one(value, index, described, MAX_SIZE)
                except Exception as error:  # noqa: BLE001  a latent format of another pack may raise anything
                    yield card(f"No preview: {error}.")
