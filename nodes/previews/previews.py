"""Previews of all jobs: what the sampling thread hands over, made into pictures, stored and told.

The sampling thread meets CallPreviews; everything behind it happens on the preview thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from ...state.job.job import Job
from ...state.job.machine import utc
from ...state.job.warnings import DECODER_MISSING, DECODER_UNUSABLE, NAN_LATENT, NOT_PREVIEWED
from ...state.node import Node
from ...state.pictures.preview_interval import AFFORDABLE_S, SHARE, SHARE_OF_CPU, Pace
from ...state.pictures.previews import InForce, Method, Preview, PreviewKind, PreviewOptions, source_url
from ...state.recording.items import Inputs
from ...state.services.preview_files import PreviewFiles
from .pictures import Picture, webp
from .preview_thread import PreviewThread
from .previewer import LIVE_FRAMES_S, MOST_FRAMES, Best, Made, Previewer

ON_CPU = "TAESD would take the sampler's processor, so it is used only at pauses and on demand."
TOO_SLOW = "TAESD is too slow to follow the sampler, so it is used only at pauses and on demand."
Announce = Callable[[Job, Preview, Picture], None]


@dataclass(frozen=True)
class Shot:
    """A step to be shown. latent: its `denoised`, on the CPU, which nobody writes into."""

    step: int
    sigma: float
    latent: torch.Tensor


class Previews:
    """`announce` tells the world of a new picture."""

    def __init__(self, files: PreviewFiles, announce: Announce) -> None:
        self.files = files
        self.thread = PreviewThread()
        self.previewer = Previewer()
        self.announce = announce

    def call(self, job: Job, ordinal: int, inputs: Inputs, options: PreviewOptions) -> CallPreviews:
        """Of a sampling call that begins."""
        return CallPreviews(self, job, ordinal, inputs, options)

    def store(self, job: Job, preview: Preview, made: Made) -> Preview:
        """The preview with what is known of its picture. On the preview thread."""
        content = webp(made.picture)
        width, height = made.picture.still.size
        preview = replace(
            preview,
            width=width,
            height=height,
            frames=len(made.picture.frames),
            method=made.method,
            digest=hashlib.sha256(content.picture).hexdigest()[:16],
            created_at=utc(time.time()),
            reason=made.reason,
        )
        if not made.finite and NAN_LATENT[0] not in job.view().warnings:
            job.warn(NAN_LATENT, made.reason, preview.step)
        try:
            self.files.add(job.job_id, preview, content)
            job.unwarn(NOT_PREVIEWED)
        except OSError as error:
            job.warn(NOT_PREVIEWED, error)
        return preview


def unmade(node: Node, ordinal: int, kind: PreviewKind, step: int, sigma: float | None) -> Preview:
    """A preview whose picture is yet to be made."""
    nothing = 0, 0, 1, Method.NONE.value, "", "", None
    return Preview(node.node_id, ordinal, kind, step, sigma, *nothing, node.display_id, node.iteration)


class CallPreviews:
    """Of one sampling call."""

    def __init__(
        self,
        previews: Previews,
        job: Job,
        ordinal: int,
        inputs: Inputs,
        options: PreviewOptions,
    ) -> None:
        self._previews = previews
        self._job = job
        self._node, self._ordinal = inputs.node, ordinal
        self._node_id = inputs.node_id
        self._described = inputs.latent_format
        self._options = options
        device = previews.previewer.live_device
        self._pace = Pace(options.every, share=SHARE_OF_CPU if device is None else SHARE)
        self._newest: Shot | None = None
        self._due: Shot | None = None  # what waits to be handed over
        self._handed: Shot | None = None  # to the preview thread
        self._latent_image: torch.Tensor | None = inputs.latent_image  # until it was looked at
        self._published = False
        self._first: int | None = None  # step that was not replayed, until older pictures of it went
        self._went_on = False  # to that step
        self._best: Best | None = None
        self._tiny_s: list[float] = []  # what decodes by TAESD took while it sampled
        self._frame_s = 0.0  # that a frame takes
        previews.thread.then(self._prepare)

    # -- the sampling thread ---------------------------------------------------------------------------

    def stepped(self, step: int, sigma: float, latent: torch.Tensor, live: bool) -> None:
        """A step ended, with that `denoised` on the CPU. While live, it is shown if it is time for it."""
        if self._options.method is Method.NONE:
            return
        self._newest = Shot(step, sigma, latent)
        if not live:
            return
        if not self._went_on:
            self._went_on, self._first = True, step
        if self._pace.due(step):
            self._due = self._newest

    def hand_over(self) -> None:
        """The model is about to work: what the preview thread does then keeps nobody waiting."""
        due, self._due = self._due, None
        if due is not None:
            self._handed = due
            self._previews.thread.show(partial(self._show, due))
        elif self._first is not None:
            self._previews.thread.then(self._prepare)

    def paused(self) -> None:
        """The step it stopped at is shown as well as can be, and no decoder is left on the GPU."""
        self._due = None
        self._previews.thread.show(None)
        if self._newest is not None:
            self._handed = self._newest
            self._previews.thread.then(partial(self._show_exactly, self._newest))
        if self._previews.previewer.live_device is not None:
            self._previews.previewer.rest()

    def ended(self) -> None:
        """The call is over: the newest step it computed is shown whether or not it is time for it."""
        if self._went_on and self._newest is not None and self._newest is not self._handed:
            self._previews.thread.then(partial(self._show, self._newest))
        self._previews.thread.then(self._rest)

    # -- the preview thread ----------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Before anything is shown: a picture may overtake what was to be done before it."""
        latent_image, self._latent_image = self._latent_image, None
        if latent_image is not None:
            self._begin(latent_image)
        first, self._first = self._first, None
        if first is not None:
            self._previews.files.forget_from(self._job.job_id, self._node_id, first)

    def _begin(self, latent_image: torch.Tensor) -> None:
        """The present call of the node, whatever was shown of others, and what it is shown with."""
        if self._options.method is Method.NONE:
            self._previews.files.begin(self._job.job_id, self._node_id, self._ordinal)
            self._tell(previews=InForce(Method.NONE, Method.NONE, 0))
            return
        if self._options.method is not Method.LATENT2RGB:
            best = self._best = self._previews.previewer.best(self._described)
            if self._options.method is Method.TAESD and best.missing:
                self._job.warn(DECODER_MISSING, best.missing)
            elif best.broken or (self._options.method is Method.TAESD and best.reason):
                self._job.warn(DECODER_UNUSABLE, best.broken or best.reason)
        told: dict[str, Any] = {"previews": self._in_force()}
        from_nothing = not bool(latent_image.any())
        told["source_url"] = None if from_nothing else source_url(self._job.job_id, self._node_id)
        self._tell(**told)

    def _tell(self, **fields: Any) -> None:
        self._job.tell_of_call(self._node_id, self._ordinal, **fields)

    def _rest(self) -> None:
        self._previews.previewer.rest()
        self._previews.files.save(self._job.job_id)

    def _show(self, shot: Shot) -> None:
        self._prepare()
        method, _ = self._live_method()
        began, busy = time.perf_counter(), time.thread_time()
        device = self._previews.previewer.live_device
        made = self._make(shot, method, self._most_frames(), device)
        took = time.perf_counter() - began
        self._publish(shot, made)
        busy = time.thread_time() - busy  # with storing and telling it, without waiting for the disk
        self._pace.took(busy if device is None else max(took, busy))
        self._frame_s = took / len(made.picture.frames)
        if made.method == Method.TAESD.value:
            self._tiny_s.append(took)
            del self._tiny_s[:-3]

    def _show_exactly(self, shot: Shot) -> None:
        self._prepare()
        self._publish(shot, self._make(shot, self._exact_method(), MOST_FRAMES, None))
        self._previews.files.save(self._job.job_id)

    def _make(self, shot: Shot, method: Method, frames: int, device: torch.device | None) -> Made:
        max_size = self._options.max_size
        return self._previews.previewer.make(shot.latent, self._described, method, max_size, frames, device)

    def _publish(self, shot: Shot, made: Made) -> None:
        preview = unmade(self._node, self._ordinal, PreviewKind.STEP, shot.step, shot.sigma)
        preview = self._previews.store(self._job, preview, made)
        job_id = self._job.job_id
        if not self._published:  # until now clients may have asked for the last picture of the call before
            self._previews.files.begin(job_id, self._node_id, self._ordinal)
            self._published = True
        self._tell(previews=self._in_force(), preview_url=preview.url(job_id))
        self._previews.announce(self._job, preview, made.picture)

    def _exact_method(self) -> Method:
        return Method.LATENT2RGB if self._best is None else self._best.method

    def _live_method(self) -> tuple[Method, str | None]:
        """What running jobs are shown with, and why not with TAESD where that is at hand."""
        best = self._best
        if best is None or best.method is not Method.TAESD:
            return Method.LATENT2RGB, None if best is None else best.reason
        if self._options.method is Method.TAESD and self._options.every:
            return Method.TAESD, None  # as it was asked for
        if self._previews.previewer.live_device is None:
            return Method.LATENT2RGB, ON_CPU
        if len(self._tiny_s) > 1 and min(self._tiny_s) > AFFORDABLE_S:  # the first one loads it
            return Method.LATENT2RGB, TOO_SLOW
        return Method.TAESD, None

    def _most_frames(self) -> int:
        return max(1, min(MOST_FRAMES, int(LIVE_FRAMES_S / self._frame_s))) if self._frame_s else MOST_FRAMES

    def _in_force(self) -> InForce:
        live, reason = self._live_method()
        return InForce(live, self._exact_method(), self._options.every, self._pace.interval_s, reason)
