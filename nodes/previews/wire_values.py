"""What stands on the wires where a job is paused, told of it: figures, words, and a picture of what is one.

Handed over on ComfyUI's worker thread, which waits for nothing; looked at on the preview thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ...state.job.job import Job
from ...state.job.warnings import NOT_PREVIEWED
from ...state.node import Node
from ...state.services.numbered_pictures import NumberedPictures
from ...state.wire import Value, WireKind, Wires
from ..comfyui.batches import count
from .decoders import evenly
from .describing import Standing, described
from .pictures import Picture, bounded, grid, webp
from .value_pictures import ValuePictures

MOST = 32  # wires
TILES = 9  # of a batch, evenly chosen
MAX_SIZE = 768  # pixels of the longer side
SHOWN = (WireKind.IMAGE, WireKind.LATENT, WireKind.MASK)


class WireValues:
    """Of all jobs."""

    def __init__(self, pictures: ValuePictures, files: NumberedPictures) -> None:
        self._pictures_of = pictures
        self._files = files

    def look(self, job: Job, prompt_id: str, node: Node, standing: Sequence[Standing]) -> None:
        """At what stands on the wires into that node, before which the job is paused in that run."""
        if standing:
            self._pictures_of.thread.then(partial(self._told, job, prompt_id, node, list(standing[:MOST])))

    # -- on the preview thread -------------------------------------------------------------------------

    def _told(self, job: Job, prompt_id: str, node: Node, standing: list[Standing]) -> None:
        values, pictures = [], {}
        for number, one in enumerate(standing, 1):
            value = _described(one)
            picture = self._picture(job, one, value) if value.kind in SHOWN else None
            if picture is not None:
                pictures[number] = webp(picture).picture
            values.append(replace(value, pictured=picture is not None))
        version = self._written(job, pictures) if pictures else ""
        if not version:
            values = [replace(value, pictured=False) for value in values]
        job.worker.stands(prompt_id, node, Wires(node.display_id, tuple(values), version))

    def _picture(self, job: Job, standing: Standing, value: Value) -> Picture | None:
        """None where it cannot be shown: of a latent of which nobody knows the model, say."""
        try:
            form = self._pictures_of.format_of(job, standing.value)
            if value.kind is WireKind.LATENT and not form:
                return None
            chosen = evenly(count(standing.value), TILES)
            tiles = [self._pictures_of.one(standing.value, at, form, MAX_SIZE) for at in chosen]
        except Exception:  # noqa: BLE001  what another pack puts on a wire may raise anything
            return None
        return Picture([bounded(grid([tile.still for tile in tiles]), MAX_SIZE)])

    def _written(self, job: Job, pictures: dict[int, bytes]) -> str:
        """The version of the pictures; "" where they cannot be written, which the job tells."""
        try:
            self._files.replace(job.job_id, pictures)
            job.unwarn(NOT_PREVIEWED)
        except OSError as error:
            job.warn(NOT_PREVIEWED, error)
            return ""
        return uuid.uuid4().hex[:12]


def _described(standing: Standing) -> Value:
    try:
        return described(standing)
    except Exception:  # noqa: BLE001  what another pack puts on a wire may raise anything
        kind = standing.type or type(standing.value).__name__
        return Value(standing.name, WireKind.OTHER, kind, standing.count)
