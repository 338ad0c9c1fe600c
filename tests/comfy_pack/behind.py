"""A device that works behind who gives it work, but by a clock: its tensors are the CPU's."""

import sys
import time
from contextlib import contextmanager

import torch

midrun_remembers = False  # a clock: what is measured is a model without a patch
PROBED = 400  # pieces of work
EACH = 8  # so many columns and rows of a latent are asked about: there is to be nothing to compute
LARGE = torch.ones(16384)


def _give():
    """A kernel: a microsecond or two of Python, and some without the interpreter, as a driver takes them."""
    return [number for number in range(20)], torch.mul(LARGE, 1.0)


class Clocked:
    """giving_s: that giving it an evaluation takes where nothing is in the way"""

    def __init__(self, giving_s):
        self.done_at = 0.0
        for _ in range(2):  # the second time it is warm
            began = time.perf_counter()
            for _ in range(PROBED):
                _give()
        self._pieces = int(giving_s * PROBED / (time.perf_counter() - began))

    def evaluate(self, seconds):
        """Give it an evaluation that it computes in so long, from the first piece on."""
        self.done_at = max(self.done_at, time.perf_counter()) + seconds
        for _ in range(self._pieces):
            _give()
        self.done_at = max(self.done_at, time.perf_counter())

    def compute(self, model, x):
        """Give it that model's own work, which it computes at once. x: [B, C, H, W]"""
        answer = model(x[..., ::EACH, ::EACH].contiguous())
        self.done_at = time.perf_counter()
        return answer.repeat_interleave(EACH, -2).repeat_interleave(EACH, -1)

    def wait(self, until=None):
        """Until that moment, or until it is done with everything. Whether that was yet to come."""
        rest = (self.done_at if until is None else until) - time.perf_counter()
        if rest > 0:
            time.sleep(rest)
        return rest > 0

    @contextmanager
    def in_midrun(self):
        """Midrun takes the CPU for it, and torch gives it work with one thread."""
        asking, copies = (_module(f"nodes.engine.{name}") for name in ("asking", "copies"))
        kept = asking.works_behind, copies.Copies.of, copies.Copies.wait

        def copy(moment, tensor):
            moment.until = self.done_at
            return kept[1](moment, tensor)

        asking.works_behind = lambda device: True
        copies.Copies.of = copy
        copies.Copies.wait = lambda moment: self.wait(getattr(moment, "until", 0.0))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            asking.works_behind, copies.Copies.of, copies.Copies.wait = kept


def _module(ending):
    return next(kept for name, kept in sys.modules.copy().items() if name.endswith("." + ending))
