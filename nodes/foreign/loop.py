"""A node with a sampling loop of its own, while it runs: what it asks goes through here, and the ways out.

On ComfyUI's worker thread.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

import comfy.model_management as mm
import torch

from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.job.view import JobError, Moment
from ...state.job.warnings import NEVER_HELD, OTHER_THREAD, RECORDING_DAMAGED, UNRECORDABLE
from ...state.node import Node
from ...state.states import QueuePolicy
from ..comfyui import gpu
from ..engine.call_services import CallServices
from ..engine.frame_room import with_room
from ..engine.hold import end_prompt
from ..engine.live import Unwound
from ..engine.run_watch import follow, outputs_of
from ..engine.runtime import Options, Runtime
from ..engine.tape import InputsChanged, Tape
from . import generators
from .beginning import inputs_of, recorded_rng
from .call import Asked, LoopCall
from .networks import asked
from .seam import Seam
from .showing import latent_format
from .trees import Unrecordable, first_device
from .whereabouts import Whereabouts


class Loop:
    """Of one node, from its start to its end; the seam is in place as long as that."""

    def __init__(
        self, runtime: Runtime, job: Job, prompt_id: str, node: Node, options: Options, sources: list[str]
    ) -> None:
        """sources: the nodes from which it is given something"""
        self.runtime, self.job, self.prompt_id, self.node = runtime, job, prompt_id, node
        self.options = options.settled(runtime.settings())
        self.seam = Seam(self._ask, self._elsewhere)
        self.call: LoopCall | None = None  # from its first evaluation on
        self._ending = threading.Lock()
        recorded = recorded_rng(runtime.recordings, job.job_id, node.node_id)
        if recorded is not None:
            generators.restore(recorded, gpu.device())
        self.rng = generators.capture(gpu.device())
        self.whereabouts = Whereabouts(outputs_of(sources).values())
        self.at_work = Whereabouts(())  # where they were when the job was paused
        self.seam.put()

    def end(self, done: bool) -> None:
        """The node is over; done: it came to its end. Any thread; once more, and it does nothing."""
        with self._ending:
            self.seam.take_back()
            self.whereabouts = self.at_work = Whereabouts(())  # nobody is kept from unloading them
            call, self.call = self.call, None
            if call is not None:
                with torch.inference_mode():  # else what was made in it cannot be written into
                    call.end(done)

    def moved(self, value: float, total: float) -> None:
        """The node moved its progress bar."""
        if self.call is not None and self.seam.in_place:
            self.call.moved(value, total)

    # -- what the node asks ----------------------------------------------------------------------------

    def _ask(self, network: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        question = asked(network, args, kwargs)
        call = None if question is None else self.call or self._begin()
        ask = partial(self.seam.as_ever, network, args, kwargs)
        if call is None or question is None:
            return ask()
        device = first_device(args, kwargs) or gpu.device()
        try:
            return self._answer(call, Asked(network, *question, partial(with_room, ask), device))
        except InputsChanged as error:
            self._set_back(error)
            raise
        except mm.InterruptProcessingException:
            self.job.cancel(self.prompt_id)  # which one that parked has no need of
            self.end(done=False)
            raise
        except Unrecordable as unknown:
            self.job.warn(UNRECORDABLE, self._name, unknown)
            call.let_be()
            self.end(done=False)
            return unknown.given

    def _answer(self, call: LoopCall, put: Asked) -> Any:
        while True:
            try:
                return call.answer_to(put)
            except Unwound:
                self._pause(call)

    def _pause(self, call: LoopCall) -> None:
        """Returns where the job goes on at once; else the prompt ends here."""
        call.left()
        call.journal.settle()
        call.tape.recording.save()
        directive = self.job.worker.directive()
        if directive is Directive.PAUSE:
            self.seam.take_back()  # who is told of the pause finds everything as it was
            call.services.previews.paused()
            directive = self.runtime.holding.wait_while_paused(self.job, self._release)
        if directive is not Directive.GO:
            end_prompt()
        if not self.seam.in_place:
            self.at_work.bring_back()
            self.seam.put()
        call.again()

    def _release(self) -> gpu.Released:
        """The node's networks are not among the models of ComfyUI."""
        self.at_work = self.whereabouts.bring_back()
        return replace(gpu.release(), others=True)

    def _set_back(self, error: InputsChanged) -> None:
        self.job.worker.pause_after_failure(
            JobError(type(error).__qualname__, str(error), self.node.display_id)
        )
        self.end(done=False)

    def _elsewhere(self, network: torch.nn.Module) -> None:
        self.job.warn(OTHER_THREAD, self._name)

    # -- inside ----------------------------------------------------------------------------------------

    def _begin(self) -> LoopCall | None:
        """The job follows from the first evaluation on. None where it does not."""
        if self.job.worker.must_leave(self.prompt_id):
            self.seam.take_back()
            end_prompt()
        follow(self.job, self.prompt_id, self.node.display_id, self.runtime.keep)
        ordinal = self.job.call.enter(self.prompt_id, self.node, QueuePolicy.PARK, own_loop=True)
        if ordinal is None:
            self.seam.take_back()
            return None
        try:
            self.call = self._entered(ordinal)
        except InputsChanged as error:
            self._set_back(error)
            raise
        finally:
            if self.call is None:
                self.job.call.leave()
        if self.options.queue_policy is QueuePolicy.HOLD:
            self.job.warn(NEVER_HELD, self._name)
        return self.call

    def _entered(self, ordinal: int) -> LoopCall:
        job, node, runtime = self.job, self.node, self.runtime
        recording = runtime.recordings.open(job.job_id, node.node_id, ordinal)
        recording.forget_begun()
        inputs = inputs_of(job, node, ordinal, recording, self.rng, latent_format())
        where = node.node_id, 0, len(recording), None, None, ordinal
        job.call.begin(Moment(*where, node.display_id, node.loops))
        tape = Tape(recording, partial(job.warn, RECORDING_DAMAGED))
        shown = runtime.previews.call(job, ordinal, inputs, self.options.previews)
        elsewhere = partial(runtime.recordings.remembered_elsewhere, job.job_id, node.node_id, ordinal)
        beside = runtime.holding, _draws_again, runtime.later, elsewhere, self.options.wishes
        services = CallServices(shown, *beside)
        pause_at = self.options.pause_at_step if ordinal == 0 else 0
        return LoopCall(job, tape, inputs, pause_at, services)

    @property
    def _name(self) -> str:
        return f"Node {self.node.display_id}"


def _draws_again(frame: FrameType) -> None:
    """What a loop draws is not remembered: it draws it again."""
