"""How long nodes took on this server, by the workflow's node and by class. In memory, bounded; any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

MOST = 4096  # means that are kept, those learned last
WEIGHT = 0.3  # of the newest time in a mean


@dataclass(frozen=True)
class Task:
    """A node that runs, or is to. node_id: under which it executes; display_id: as a person knows it"""

    node_id: str
    display_id: str
    kind: str


class NodeTimes:
    """Of all jobs."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._means: OrderedDict[tuple[str | None, ...], float] = OrderedDict()
        self._lock = threading.Lock()
        self.version = 0  # another whenever something was learned

    def learn(self, workflow_id: str | None, task: Task, seconds: float) -> None:
        """It ran that long, and nothing of it was replayed or in a cache."""
        with self._lock:
            for key in _keys(workflow_id, task):
                mean = self._means.get(key, seconds)
                self._means[key] = mean + WEIGHT * (seconds - mean)
                self._means.move_to_end(key)
            while len(self._means) > self._most:
                self._means.popitem(last=False)
            self.version += 1

    def expected(self, workflow_id: str | None, task: Task) -> float | None:
        """Seconds; of its class where that node was never seen, None where neither was."""
        means = (self._means.get(key) for key in _keys(workflow_id, task))
        return next((mean for mean in means if mean is not None), None)


def _keys(workflow_id: str | None, task: Task) -> tuple[tuple[str | None, ...], ...]:
    return (workflow_id, task.display_id, task.kind), (task.kind,)
