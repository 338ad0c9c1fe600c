"""One job on this machine, without Ray: for queues that start a process for each job and retry it.

The same name is the same job, wherever it is started: it goes on with what the store has of it.
"""

from __future__ import annotations

import signal
import sys
import time
import uuid

from .jobs import End, Job, Prompt, Result, Setup
from .worker import Worker

AGAIN_S = 2.0  # until another server that still has the job is asked again
ENDED_BY_SIGTERM = 143


def run_alone(setup: Setup, name: str, prompt: Prompt) -> Result:
    """Until it ends; a SIGTERM pauses it, sends it to the store and leaves. Raises FleetError."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED_BY_SIGTERM))
    job = Job(str(uuid.uuid5(uuid.NAMESPACE_URL, name)), name, prompt)
    worker = Worker(setup, "alone")
    try:
        while True:
            result = worker.add_and_run(job)
            if result.end is not End.ELSEWHERE:
                return result
            time.sleep(AGAIN_S)
    finally:
        worker.stop()
