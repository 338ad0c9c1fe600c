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
    """Between one node and the networks that it asks; in place from `put` to `take_back`.

    It stays there while a network is at work, and lets its layers through: to put another function on a class
    that has a thousand subclasses takes longer than all else that Midrun does for an evaluation.
    """

    def __init__(self, ask: Ask, elsewhere: Callable[[Module], object]) -> None:
        """`ask` answers for a network; `elsewhere` is told of one that another thread asks."""
        self._ask = ask
        self._elsewhere = elsewhere
        self._of_torch: Any = None  # while ours is in its place
        self._ours: Any = None
        self._at_work = False  # a network is, on the node's thread
        self._compiled: WeakKeyDictionary[Module, bool] = WeakKeyDictionary()

    def put(self) -> None:
        self._of_torch = Module.__call__
        self._ours = self._watch(self._of_torch, threading.get_ident())
        Module.__call__ = self._ours

    def take_back(self) -> None:
        """Whoever put something around ours meanwhile finds that it only passes on."""
        if self._of_torch is not None and Module.__call__ is self._ours:
            Module.__call__ = self._of_torch
        self._of_torch = None

    @property
    def in_place(self) -> bool:
        return self._of_torch is not None

    def as_ever(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What torch answers; each layer looks whether it is to stop, but for what torch compiled."""
        if not self.in_place:  # it was taken back since the module was called
            return module(*args, **kwargs)
        compiled = self._compiled.get(module)
        if compiled is None:
            compiled = self._compiled[module] = has_compiled_parts(module)
        if compiled:
            with self._torchs_own():
                return module(*args, **kwargs)
        self._at_work = True
        try:
            return self._of_torch(module, *args, **kwargs)
        finally:
            self._at_work = False

    # -- inside ----------------------------------------------------------------------------------------

    @contextmanager
    def _torchs_own(self) -> Iterator[None]:
        """In its place: torch traces what a compiled module calls."""
        before, Module.__call__ = Module.__call__, self._of_torch
        try:
            yield
        finally:
            if self.in_place:
                Module.__call__ = before

    def _watch(self, of_torch: Any, thread: int) -> Any:
        """What is called in the place of torch's. A network has a thousand layers: for them it is quick.

        It does then what torch's own does, instead of calling that. Those of ComfyUI look at its flag by
        themselves; the flag is read without its lock, as it is down.
        """
        seam, of_comfyui, is_traced = self, vars(mm).get, torch.compiler.is_dynamo_compiling
        may_pass_by = _only_passes_on(of_torch)

        def called(module: Module, *args: Any, **kwargs: Any) -> Any:
            if is_traced():  # a module that the node itself compiles has this one for its call
                return of_torch(module, *args, **kwargs)
            if seam._at_work:
                if of_comfyui("interrupt_processing", True) and threading.get_ident() == thread:
                    mm.throw_exception_if_processing_interrupted()
                if may_pass_by and module._compiled_call_impl is None:
                    return module._call_impl(*args, **kwargs)
                return of_torch(module, *args, **kwargs)
            if not seam.in_place:
                return of_torch(module, *args, **kwargs)
            if threading.get_ident() != thread:
                if is_network(module):
                    seam._elsewhere(module)
                return of_torch(module, *args, **kwargs)
            if is_network(module):
                return seam._ask(module, args, kwargs)
            if is_compiled(module):
                with seam._torchs_own():
                    return of_torch(module, *args, **kwargs)
            return of_torch(module, *args, **kwargs)

        return called


def _only_passes_on(call: Any) -> bool:
    """Whether that is torch's own, and does no more than to ask for what torch compiled, if it did."""
    code = getattr(call, "__code__", None)
    known = {"_compiled_call_impl", "_call_impl"}
    torchs = call is getattr(Module, "_wrapped_call_impl", None)
    return torchs and code is not None and set(code.co_names) == known
