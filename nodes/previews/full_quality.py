"""A step through the workflow's own VAE, for a paused job that holds its place in the queue.

Asked for on the event loop, done by the job's own worker thread, which waits meanwhile: ComfyUI's model
management is not made for two threads, and while that one waits no other prompt runs. A parked job has none.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import comfy.model_management as mm
import execution
import torch
from comfy.sd import VAE
from latent_preview import preview_to_image

from ...state.errors import IllegalTransition, NoPreview
from ...state.job.job import Job
from ...state.pictures.previews import Shown, Wanted
from ...state.recording.disk import DiskRecordings
from ...state.recording.items import Damaged
from ...state.states import State
from ...state.workflow import graph
from ..comfyui import gpu
from ..comfyui.latents import restore, unpacked
from .pictures import FULL_QUALITY, webp
from .previewer import MOST_FRAMES, put_together

log = logging.getLogger(__name__)
VERB = "fully decode"
PARKED = (
    "it has made way for other prompts, so its VAE is not loaded. Resume it with the queue policy hold, "
    "and pause it again."
)
NO_VAE = "none of its workflow's VAEs is loaded yet. Only a VAE that a node before the sampler uses is."
WENT_ON = "it was resumed or aborted in the meantime."


class FullQuality:
    """The jobs that hold, and what was asked of them."""

    def __init__(self, recordings: DiskRecordings) -> None:
        self._recordings = recordings
        self._lock = threading.Lock()
        self._asked: dict[str, deque[tuple[Wanted, Future[Shown]]]] = {}  # by the jobs that hold

    async def picture(self, job: Job, wanted: Wanted) -> Shown:
        """Raises IllegalTransition."""
        return await asyncio.wrap_future(self._ask(job, wanted))

    @contextmanager
    def held(self, job: Job) -> Iterator[None]:
        """The job's worker thread waits inside, and calls `serve` now and then."""
        with self._lock:
            self._asked[job.job_id] = deque()
        try:
            yield
        finally:
            with self._lock:
                left = self._asked.pop(job.job_id)
            for _, future in left:
                if future.set_running_or_notify_cancel():
                    future.set_exception(_refused(job, WENT_ON))

    def serve(self, job: Job) -> None:
        """Decode one that was asked for. A Cancel meanwhile stays for the caller to see."""
        with self._lock:
            asked = self._asked[job.job_id]
            wanted, future = asked.popleft() if asked else (None, None)
        if wanted is None or future is None or not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._decoded(job, wanted))
        except mm.InterruptProcessingException:
            mm.interrupt_current_processing(True)
            future.set_exception(_refused(job, WENT_ON))
        except (IllegalTransition, NoPreview) as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001  another pack's VAE must not harm the job
            log.exception("Midrun could not decode a step of job %r in full quality", job.job_id)
            future.set_exception(_refused(job, f"its VAE failed: {error}"))

    def _ask(self, job: Job, wanted: Wanted) -> Future[Shown]:
        view = job.view()
        if view.state is not State.PAUSED:
            hint = " Pause it first." if view.state in (State.QUEUED, State.RUNNING, State.PAUSING) else ""
            raise _refused(job, f"it is {view.state.value}.{hint}")
        future: Future[Shown] = Future()
        with self._lock:
            asked = self._asked.get(job.job_id)
            if asked is None:
                raise _refused(job, PARKED)
            asked.append((wanted, future))
        return future

    # -- the job's worker thread -----------------------------------------------------------------------

    def _decoded(self, job: Job, wanted: Wanted) -> Shown:
        recording = self._recordings.find(job.job_id, wanted.node_id or "")
        steps = [] if recording is None else recording.steps()
        number = wanted.step if wanted.step is not None else max(steps, default=None)
        try:
            inputs = None if recording is None else recording.inputs
            step = None if recording is None or number is None else recording.step(number)
        except (Damaged, KeyError, IndexError) as error:
            raise NoPreview(job.job_id, f"step {number} is not on record: {error}.") from error
        if inputs is None or step is None or step.denoised is None:
            raise NoPreview(job.job_id, "no step is done yet.")
        vae = _vae(job, inputs.display_id)
        latent_format = restore(inputs.latent_format)
        try:
            x0 = unpacked(step.denoised, inputs.latent_format).to(torch.float32)
            decoded = vae.decode(latent_format.process_out(x0))
        finally:
            gpu.release()
        images = [_frames(image) for image in decoded.to("cpu", torch.float32)]
        content = webp(put_together(images, MOST_FRAMES), FULL_QUALITY).picture
        return Shown(content, hashlib.sha256(content).hexdigest()[:16], step.number)


def _frames(image: torch.Tensor) -> list[Any]:
    """image: [H, W, 3] or [T, H, W, 3], from 0 to 1."""
    frames = image if image.ndim == 4 else image[None]
    return [preview_to_image(frame[..., :3], do_scale=False) for frame in frames]


def _vae(job: Job, node_id: str) -> VAE:
    """The first of the workflow's VAEs that ComfyUI has in its cache."""
    outputs = [executor.caches.outputs for executor in _executors()]
    for node, slot in graph.vae_links(job.request.prompt, node_id):
        for cached in outputs:
            # `get` is a coroutine where caches can be asked from outside, and `get_local` is what it was.
            entry = getattr(cached, "get_local", cached.get)(node)
            values = getattr(entry, "outputs", None)
            value = values[slot][0] if values and slot < len(values) and values[slot] else None
            if isinstance(value, VAE):
                return value
    raise _refused(job, NO_VAE)


def _executors() -> list[Any]:
    """ComfyUI keeps its executor to itself."""
    return [found for found in gc.get_objects() if type(found) is execution.PromptExecutor]


def _refused(job: Job, because: str) -> IllegalTransition:
    return IllegalTransition(VERB, job.job_id, job.state, because)
