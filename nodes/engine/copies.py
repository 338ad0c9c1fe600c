"""Copies on the host of what a device computed, without making the device wait. Plain torch; any thread.

A GPU works behind the thread that gives it work. To copy from it in the ordinary way makes that thread wait
until all that was given is done; meanwhile it gives nothing, and then the GPU waits. So the copies of one
moment are given to the device like all other work, and whoever reads them first waits for that moment:

- `of` queues the copy in the device's current stream, which is the one the sampler and the model use. So it
  reads what the tensor holds at that point, and whatever is done to the tensor afterwards, in place or by
  freeing it, comes later in the same queue. A stream of its own would need the sampler's stream to wait for
  it before the tensor may be written into, and to gain what? A latent is copied in microseconds, one of a
  video in a millisecond of a step of seconds.
- The copy lies in pinned memory, without which a driver copies at once and waits. torch gives such memory to
  nobody else before the copy is done, even if the copy is forgotten.
- `of` records an event behind the copy, and `wait` waits for that alone, not for what was given later: while
  the model works, another thread can wait for what the model was asked.

On the CPU a copy is there at once. So it is on devices other than CUDA's and ROCm's, whose queues and pinned
memory nobody has tried with this.
"""

from __future__ import annotations

from typing import Any

import torch

HOST = torch.device("cpu")
IN_QUEUES = frozenset({"cuda"})  # the devices whose copies are queued; torch calls ROCm's so, too


def host_copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU with the same dtype and strides, sharing no memory; waits for the device."""
    return _plain(tensor).to(HOST, copy=True)


def works_behind(device: torch.device) -> bool:
    """Whether that device does its work after a thread has given it."""
    return device.type in IN_QUEUES


class Copies:
    """Of one moment: more can be added until somebody waits."""

    def __init__(self) -> None:
        self._events: dict[torch.device, Any] = {}  # the end of the newest copy from each device
        self._begun: tuple[torch.device, Any] | None = None

    def begin(self, device: torch.device) -> None:
        """The device itself times what it is given from here on."""
        if works_behind(device):
            self._begun = device, _now_on(device)

    @property
    def seconds(self) -> float | None:
        """From `begin` to the newest copy, once that was waited for. None where the device does not tell."""
        if self._begun is None or self._begun[0] not in self._events:
            return None
        device, begun = self._begun
        return begun.elapsed_time(self._events[device]) / 1000

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """As `host_copy` makes it. It may be read after `wait`, and not before."""
        if not works_behind(tensor.device):
            return host_copy(tensor)
        try:
            copy = _plain(tensor).to(HOST, non_blocking=True, copy=True)
        except RuntimeError:  # there is no more pinned memory, as under WSL; what else it is, is raised again
            return host_copy(tensor)
        self._events[tensor.device] = _now_on(tensor.device, self._events.get(tensor.device))
        return copy

    def wait(self) -> bool:
        """Until all of them can be read; the interpreter works on meanwhile. Whether any was yet to come."""
        due = [event for event in self._events.values() if not event.query()]
        for event in due:
            event.synchronize()
        return bool(due)


def _now_on(device: torch.device, event: Any = None) -> Any:
    """An event behind all that the device was given. Whoever waits for it sleeps, and takes no processor."""
    module = getattr(torch, device.type)
    if event is None:
        event = module.Event(enable_timing=True, blocking=True)
    event.record(module.current_stream(device))
    return event


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach() if tensor.requires_grad else tensor
