"""Which parts of Midrun take the time between two evaluations: clocks around its functions, on demand."""

import functools
import sys
import threading
import time
from collections import defaultdict

midrun_remembers = False  # clocks: what is measured is a model without a patch

WAITING = "waiting for the device"  # which computes the answer meanwhile
PARTS = {
    "nodes.engine.call": {
        "copies to the host": ("Copies.of",),
        WAITING: ("Copies.wait",),
        "the wrapper itself": ("SamplingCall.predict_noise", "SamplingCall._evaluate"),
        "the callback itself": ("SamplingCall.on_step",),
    },
    "nodes.engine.asking": {"generators": ("capture_rng",), "asking": ("Asking.ask",)},
    "nodes.engine.tape": {"the tape": ("Tape.next", "Tape.passed")},
    "nodes.engine.journal": {"the journal": ("Journal.note", "Journal.hand_over", "Journal.settle")},
    "nodes.engine.brownian": {"draws to keep": ("Draws.serve",)},
    "state.job.call_side": {
        "the job": tuple(
            f"CallSide.{name}" for name in ("may_stop_at", "begin_evaluation", "end_evaluation")
        ),
    },
}


class OwnTime:
    """Of one thread. A part does not count what another one within it takes. parts: as PARTS"""

    def __init__(self, parts=PARTS):
        self._parts = parts
        self._thread = threading.get_ident()
        self._open = []  # seconds that parts within took, of each function that is being called
        self._seconds = defaultdict(float)  # part -> since the evaluation before
        self._put_back = []
        self.told = []  # an evaluation each: part -> seconds

    def __enter__(self):
        for module_name, parts in self._parts.items():
            module = next(
                kept for name, kept in sys.modules.copy().items() if name.endswith("." + module_name)
            )
            for part, paths in parts.items():
                for path in paths:
                    self._put_clock(module, path, part)
        return self

    def __exit__(self, *_):
        for owner, name, function in reversed(self._put_back):
            setattr(owner, name, function)

    def evaluated(self):
        """The next evaluation begins. What went before it is one line of `told`."""
        self.told.append(dict(self._seconds))
        self._seconds.clear()

    def _put_clock(self, module, path, part):
        *owners, name = path.split(".")
        owner = (
            functools.reduce(getattr, owners, module) if all(hasattr(module, one) for one in owners) else None
        )
        function = getattr(owner, name, None)
        if function is not None:
            self._put_back.append((owner, name, function))
            setattr(owner, name, self.clock(function, part))

    def clock(self, function, part):
        """`function` with a clock; without a part its time is nobody's."""

        @functools.wraps(function)
        def timed(*args, **kwargs):
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._open.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - began
                inner = self._open.pop()
                if part is not None:
                    self._seconds[part] += took - inner
                if self._open:
                    self._open[-1] += took

        return timed
