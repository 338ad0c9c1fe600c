"""Pictures that a client asks for: what is stored, else what can be made of the recording.

ComfyUI's event loop; files are read on other threads, and latents decoded on the preview thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ...state.errors import MidrunError, NoPreview
from ...state.job.job import Job
from ...state.node import Node, itself
from ...state.pictures.previews import (
    Method,
    Preview,
    PreviewKind,
    PreviewOptions,
    Quality,
    Shown,
    Wanted,
    options_from,
    settled,
)
from ...state.recording.disk import DiskRecordings
from ...state.recording.items import Damaged, Inputs, Step
from ...state.recording.recording import Recording
from ...state.services.preview_files import PreviewFiles
from ...state.workflow import graph
from .full_quality import FullQuality
from .previewer import Made
from .previews import Previews, unmade
from .source_image import as_one, source_of

log = logging.getLogger(__name__)
OFF = "its preview_method is none."
TOO_EARLY = "no step is done yet, or its recording is gone."


class Gallery:
    """Of all jobs."""

    def __init__(
        self,
        previews: Previews,
        recordings: DiskRecordings,
        full: FullQuality,
        settings: Callable[[], dict[str, Any]],
    ) -> None:
        self._previews = previews
        self._files: PreviewFiles = previews.files
        self._recordings = recordings
        self._full = full
        self._settings = settings

    async def listed(self, job: Job) -> list[Preview]:
        return await asyncio.to_thread(self._files.listed, job.job_id)

    async def picture(self, job: Job, wanted: Wanted) -> Shown:
        """Raises NoPreview, and IllegalTransition for what cannot be had in full quality now."""
        node_id = await asyncio.to_thread(self._node_called, job, wanted.node_id, wanted.iteration)
        wanted = replace(wanted, node_id=node_id)
        if wanted.quality is Quality.FULL:
            return await self._full.picture(job, wanted)
        found = await asyncio.to_thread(self._stored, job, wanted)
        if found is None:
            made = await self._made(job, wanted)
            found = await asyncio.to_thread(self._read, job, made, wanted)
        if found is None:
            raise NoPreview(job.job_id, "its file is gone.")
        return found

    async def _made(self, job: Job, wanted: Wanted) -> Preview:
        try:
            return await asyncio.wrap_future(
                self._previews.thread.submit(partial(self._developed, job, wanted))
            )
        except MidrunError:
            raise
        except Exception as error:
            log.exception("Midrun could not make a preview of job %r", job.job_id)
            raise NoPreview(job.job_id, f"it could not be made: {error}.") from error

    # -- on a thread of its own ------------------------------------------------------------------------

    def _node_called(self, job: Job, name: str | None, iteration: int | None) -> str | None:
        """The id of the node that sampled and has that name; by default, of the one that sampled last."""
        view = job.view()
        if iteration is None:
            if name is None or (view.node is not None and view.node.is_called(name)):
                return view.node_id
        elif (name := view.display_node_id if name is None else name) is None:
            return None
        recording = self._recordings.find(job.job_id, name, iteration)
        origin = None if recording is None else recording.origin
        if origin is not None:
            return origin.node.node_id
        found = self._files.node_called(job.job_id, name, iteration)
        return name if found is None and iteration is None else found

    def _stored(self, job: Job, wanted: Wanted) -> Shown | None:
        """What is there already and as good as can be."""
        preview = self._files.find(job.job_id, wanted.node_id, *_where(wanted))
        if preview is None:
            return None
        step = wanted.step
        rough = preview.method == Method.LATENT2RGB.value and preview.digest != wanted.version
        method = self._options(job, preview.display_node_id).method
        if rough and step is not None and method is not Method.LATENT2RGB:
            return None
        return self._read(job, preview, wanted)

    def _read(self, job: Job, preview: Preview, wanted: Wanted) -> Shown | None:
        content = self._files.read(job.job_id, preview, wanted.still)
        step = None if preview.kind is PreviewKind.SOURCE else preview.step
        return None if content is None else Shown(content, preview.digest, step)

    # -- on the preview thread -------------------------------------------------------------------------

    def _developed(self, job: Job, wanted: Wanted) -> Preview:
        """As good as can be, else what is stored."""
        try:
            return self._decoded(job, wanted)
        except NoPreview:
            stored = self._files.find(job.job_id, wanted.node_id, *_where(wanted))
            if stored is None:
                raise
            return stored

    def _decoded(self, job: Job, wanted: Wanted) -> Preview:
        node_id = wanted.node_id
        recording = None if node_id is None else self._recordings.find(job.job_id, node_id)
        origin = None if recording is None else recording.origin
        node = itself(node_id or "") if origin is None else origin.node
        options = self._options(job, node.display_id)
        if node_id is not None and options.method is Method.NONE:
            raise NoPreview(job.job_id, OFF)
        if recording is None:
            raise NoPreview(job.job_id, TOO_EARLY)
        ordinal = int(recording.shelf.directory.name.rpartition(".")[2])
        if wanted.kind is PreviewKind.SOURCE and (made := self._source(job, node, recording, options)):
            return self._keep(job, unmade(node, ordinal, PreviewKind.SOURCE, 0, None), made)
        step = 1 if wanted.kind is PreviewKind.SOURCE else wanted.step
        stored = self._files.find(job.job_id, node.node_id, PreviewKind.STEP, step)
        inputs, found = self._recorded(job, recording, step)
        method = self._method(inputs, options)
        if stored is not None and stored.method == method.value:
            return stored
        made = self._make(found.denoised, inputs, method, options)
        return self._keep(job, unmade(node, ordinal, PreviewKind.STEP, found.number, found.sigma), made)

    def _recorded(self, job: Job, recording: Recording, number: int | None) -> tuple[Inputs, Step]:
        steps = recording.steps()
        if not steps or (number is not None and number not in steps):
            raise NoPreview(job.job_id, TOO_EARLY if number is None else f"step {number} is not on record.")
        try:
            inputs, step = recording.inputs, recording.step(steps[-1] if number is None else number)
        except (Damaged, KeyError, IndexError) as error:
            raise NoPreview(job.job_id, f"its recording cannot be read: {error}") from error
        if inputs is None or step.denoised is None:
            raise NoPreview(job.job_id, TOO_EARLY)
        return inputs, step

    def _source(self, job: Job, node: Node, recording: Recording, options: PreviewOptions) -> Made | None:
        """None for a job that began from nothing: then its first step stands for it."""
        try:
            inputs = recording.inputs
        except Damaged as error:
            raise NoPreview(job.job_id, f"its recording cannot be read: {error}") from error
        if inputs is None:
            raise NoPreview(job.job_id, TOO_EARLY)
        found = source_of(job.request.prompt, node.display_id, inputs, options.max_size)
        if found is None or isinstance(found, Made):
            return found
        alone = replace(inputs, latent_format=as_one(inputs.latent_format))
        return self._make(found, alone, self._method(inputs, options), options)

    def _method(self, inputs: Inputs, options: PreviewOptions) -> Method:
        if options.method is Method.LATENT2RGB:
            return options.method
        return self._previews.previewer.best(inputs.latent_format).method

    def _make(self, latent: Any, inputs: Inputs, method: Method, options: PreviewOptions) -> Made:
        return self._previews.previewer.make(latent, inputs.latent_format, method, options.max_size)

    def _keep(self, job: Job, preview: Preview, made: Made) -> Preview:
        preview = self._previews.store(job, preview, made)
        self._files.save(job.job_id)
        return preview

    def _options(self, job: Job, node_id: str | None) -> PreviewOptions:
        """Of the Midrun node in the job's graph that is this one or, as far as can be told, before it."""
        prompt = job.request.prompt
        all_inputs = (graph.inputs(prompt, node) for node in (node_id or "", *prompt))
        given = next((given for given in all_inputs if "preview_method" in given), {})
        return settled(options_from(given), self._settings())


def _where(wanted: Wanted) -> tuple[PreviewKind, int | None]:
    return wanted.kind, None if wanted.kind is PreviewKind.SOURCE else wanted.step
