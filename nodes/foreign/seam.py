"""The one place that puts something in the way of torch: the call of a module, while one watched node runs.

On that node's thread alone; modules that other threads call meanwhile are called as ever. ComfyUI and the
packs stay as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_management as mm
import torch

from .networks import has_compiled_parts, is_compiled, is_network

Module = torch.nn.Module
Ask = Callable[[Module, tuple[Any, ...], dict[str, Any]], Any]


class Seam:
    """Between one node and the networks that it asks; in place from `put` to `take_back`."""

    def __init__(self, ask: Ask, elsewhere: Callable[[Module], object]) -> None:
        """`ask` answers for a network; `elsewhere` is told of one that another thread asks."""
        self._ask = ask
        self._elsewhere = elsewhere
        self._thread = 0
        self._of_torch: Any = None  # while ours is in its place
        self._watching: Any = None
        self._stopping: Any = None
        self._compiled: WeakKeyDictionary[Module, bool] = WeakKeyDictionary()

    def put(self) -> None:
        self._thread = threading.get_ident()
        self._of_torch = Module.__call__
        self._watching, self._stopping = self._watch(), _stopping(self._of_torch, self._thread)
        Module.__call__ = self._watching

    def take_back(self) -> None:
        """Whoever put something around ours meanwhile finds that it only passes on."""
        if self._of_torch is not None and Module.__call__ in (self._watching, self._stopping):
            Module.__call__ = self._of_torch
        self._of_torch = None

    @property
    def in_place(self) -> bool:
        return self._of_torch is not None

    def as_ever(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What torch answers, with its own call in place, or one that looks whether it is to stop."""
        if not self.in_place:  # it was taken back since the module was called
            return module(*args, **kwargs)
        if module not in self._compiled:
            self._compiled[module] = has_compiled_parts(module)
        with self._instead(self._of_torch if self._compiled[module] else self._stopping):
            return module(*args, **kwargs)

    # -- inside ----------------------------------------------------------------------------------------

    @contextmanager
    def _instead(self, call: Any) -> Iterator[None]:
        before, Module.__call__ = Module.__call__, call
        try:
            yield
        finally:
            if self.in_place:
                Module.__call__ = before

    def _watch(self) -> Any:
        of_torch, thread, seam = self._of_torch, self._thread, self

        def called(module: Module, *args: Any, **kwargs: Any) -> Any:
            if not seam.in_place:
                return of_torch(module, *args, **kwargs)
            if threading.get_ident() != thread:
                if is_network(module):
                    seam._elsewhere(module)
                return of_torch(module, *args, **kwargs)
            if is_network(module):
                return seam._ask(module, args, kwargs)
            if is_compiled(module):
                with seam._instead(of_torch):
                    return of_torch(module, *args, **kwargs)
            return of_torch(module, *args, **kwargs)

        return called


def _stopping(of_torch: Any, thread: int) -> Any:
    """Inside a network: each of its layers looks at ComfyUI's flag, as those of ComfyUI do by themselves.

    Without its lock first: a network has a thousand layers, and the flag is down.
    """
    of_comfyui = vars(mm)

    def called(module: Module, *args: Any, **kwargs: Any) -> Any:
        if of_comfyui.get("interrupt_processing", True) and threading.get_ident() == thread:
            mm.throw_exception_if_processing_interrupted()
        return of_torch(module, *args, **kwargs)

    return called
