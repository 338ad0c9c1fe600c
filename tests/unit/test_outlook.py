"""How long what is left of a job will take: its steps and its nodes, as far as anybody knows."""

from __future__ import annotations

from typing import Any

import pytest

from midrun.state.job.job import Job
from midrun.state.job.node_times import NodeTimes, Task
from midrun.state.job.request import Request
from midrun.state.job.runs import CANCELLED
from midrun.state.job.transitions import Event
from midrun.state.job.view import JobView, Moment, Timing
from midrun.state.states import AbortMode, State
from test_job import World, enter, seen

LOAD, SAMPLE, DECODE, SAVE = (
    Task(node_id, node_id, kind)
    for node_id, kind in (("1", "Loader"), ("3", "KSampler"), ("8", "Decode"), ("9", "Save"))
)


def node(kind: str, *sources: str) -> dict[str, Any]:
    return {"class_type": kind, "inputs": {f"in{n}": [source, 0] for n, source in enumerate(sources)}}


PROMPT = {
    "1": node("Loader"),
    "3": node("KSampler", "1"),
    "8": node("Decode", "3"),
    "9": node("Save", "8"),
}


class Server(World):
    """Whose jobs share what is known of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.times = NodeTimes()

    def made(self, job_id: str = "j", **fields: Any) -> Job:
        view = JobView(job_id, (job_id,), fields.pop("state", State.QUEUED), "t", "t", **fields)
        clock = lambda: self.now  # noqa: E731
        request = Request(PROMPT, {}, outputs=("9",))
        return Job(view, request, self.flag, self.keep, clock, clock, self.timer, times=self.times)

    def learns(self, **seconds: float) -> None:
        for task in (LOAD, SAMPLE, DECODE, SAVE):
            if task.kind in seconds:
                self.times.learn(None, task, seconds[task.kind])

    def at_step(self, job: Job, step: int, total: int = 10, seconds: float = 0.0) -> None:
        """In its sampler, whose steps took that long in all."""
        job.runs.start("j")
        job.worker.node_begins("j", SAMPLE, (DECODE, SAVE))
        enter(job, "j", "3", total)
        job.call.recorded(step, 1.0, True, seconds)
        job.call.stepped(seen(step), True, 0)


def left(job: Job) -> tuple[float | None, bool]:
    timing = job.view().timing
    return timing.eta_s, timing.eta_rough


def test_means_are_of_the_node_then_of_its_class_and_are_bounded() -> None:
    times = NodeTimes(most=3)
    times.learn("w", DECODE, 10.0)
    assert times.expected("w", DECODE) == 10 == times.expected("other", Task("5", "5", "Decode"))
    times.learn("w", Task("5", "5", "Decode"), 20.0)
    assert times.expected("w", DECODE) == 10 and times.expected("other", DECODE) == 13
    times.learn("w", DECODE, 20.0)
    assert times.expected("w", DECODE) == 13
    version = times.version
    times.learn("w", SAVE, 1.0)
    assert times.version != version and times.expected("w", SAVE) == 1
    assert times.expected("w", Task("5", "5", "Decode")) == times.expected("w", DECODE), "by class alone"


def test_nothing_is_told_where_nothing_is_known_and_what_is_missing_is_rough() -> None:
    server = Server()
    job = server.made()
    assert left(job) == (None, False)
    server.learns(Decode=2.0)
    assert left(job) == (2.0, True)
    server.learns(Loader=5.0, KSampler=8.0, Save=0.5)
    assert left(job) == (15.5, False), "a job in the queue knows of what others taught"
    assert job.view().to_json()["timing"]["eta_s"] == 15.5


def test_while_it_samples_the_steps_that_are_left_count_and_the_nodes_after_it() -> None:
    server = Server()
    server.learns(Loader=5.0, KSampler=100.0, Decode=2.0, Save=0.5)
    job = server.made()
    job.runs.start("j")
    job.worker.node_begins("j", LOAD, (SAMPLE, DECODE, SAVE))
    server.now += 1
    assert left(job) == (4 + 102.5, False)
    server.now += 9
    assert left(job) == (102.5, False), "it takes longer than ever, and no less than nothing"
    job.worker.node_ends("j", "1")
    job.worker.node_begins("j", SAMPLE, (DECODE, SAVE))
    enter(job, "j", "3", 10)
    server.now += 10
    assert left(job) == (90 + 2.5, False), "no step is done"
    job.call.recorded(4, 1.0, True, 12.0)
    job.call.stepped(seen(4), True, 0)
    assert left(job) == (6 * 12 + 2.5, False)
    job.call.leave()
    job.worker.node_ends("j", "3")
    assert left(job) == (2.5, False)
    job.worker.node_begins("j", DECODE, (SAVE,))
    server.now += 0.5
    assert left(job) == (2.0, False)
    job.runs.end("j", Event.COMPLETE)
    assert left(job) == (None, False)


def test_a_node_that_was_never_seen_counts_nothing_and_is_told() -> None:
    server = Server()
    job = server.made()
    server.at_step(job, 4, seconds=8.0)
    assert left(job) == (48.0, True)
    server.learns(Decode=2.0, Save=1.0)
    assert left(job) == (51.0, False)


def test_paused_parked_and_queued_again_it_tells_the_same_and_another_step_tells_more() -> None:
    server = Server()
    server.learns(Loader=5.0, KSampler=100.0, Decode=2.0, Save=0.5)
    job = server.made()
    server.at_step(job, 4, seconds=4.0)
    job.pause()
    job.worker.stopped(True, {})
    server.now += 100
    assert left(job) == (6 * 4 + 2.5, False)
    job.worker.park()
    job.call.leave()
    job.runs.end("j", Event.ABORT)
    assert left(job) == (26.5, False)
    job.resume()
    job.runs.queue("r2")
    assert (job.state, left(job)) == (State.QUEUED, (26.5, False))
    job.runs.start("r2")
    job.worker.node_begins("r2", LOAD, (SAMPLE, DECODE, SAVE))
    assert left(job) == (5 + 26.5, False), "what has to run again counts, and its steps do not count twice"
    job.abort(AbortMode.STOP, CANCELLED)
    assert left(job) == (None, False)
    job.runs.end("r2", Event.ABORT)
    job.reserve("rewind")
    job.rewind(Moment("3", 1, 1, 10, 1.0, 0, "3"), lambda edit: False)
    assert left(job) == (9 * 4 + 2.5, False)


def test_of_a_job_of_an_earlier_server_what_comes_after_its_sampler_counts() -> None:
    server = Server()
    where = {"node_id": "3", "display_node_id": "3", "step": 4, "total_steps": 10}
    job = server.made(state=State.PAUSED, timing=Timing(mean_step_s=2.0), **where)
    assert left(job) == (12.0, True)
    server.learns(Loader=5.0, Decode=2.0, Save=0.5)
    assert left(job) == (14.5, False)


@pytest.mark.parametrize("how", ["live", "replayed", "paused"])
def test_time_is_taken_of_live_work_only(how: str) -> None:
    server = Server()
    job = server.made()
    server.at_step(job, 4, seconds=4.0)
    server.now += 7
    if how == "replayed":
        job.call.recorded(2, 1.0, False)
    if how == "paused":
        job.pause()
        job.worker.stopped(True, {})
        job.resume()
    job.call.leave()
    job.worker.node_ends("j", "3")
    assert server.times.expected(None, SAMPLE) == (7.0 if how == "live" else None)
    job.worker.node_ends("j", "8")  # from the cache: it never began
    assert server.times.expected(None, DECODE) is None


def test_a_node_that_expands_is_timed_as_a_whole_and_counted_once() -> None:
    server = Server()
    job = server.made()
    job.runs.start("j")
    inner = Task("3.0.0.1", "3", "Inner")
    job.worker.node_begins("j", SAMPLE, (DECODE,))
    job.worker.node_begins("j", inner, (SAMPLE, DECODE))
    server.now += 3
    job.worker.node_ends("j", inner.node_id)
    job.worker.node_ends("j", "3")
    assert server.times.expected(None, SAMPLE) == 3 == server.times.expected(None, inner)
    server.learns(Decode=2.0)
    assert left(job) == (2.0, False)
    job.worker.node_begins("another run", LOAD, (SAMPLE,))
    assert left(job) == (2.0, False)


def test_an_evaluation_sums_up_no_nodes() -> None:
    server = Server()
    server.learns(Decode=2.0)
    job = server.made()
    server.at_step(job, 1, seconds=1.0)
    asked = []
    server.times.expected = lambda *of: asked.append(of)  # type: ignore[method-assign]
    job.view()
    asked.clear()
    for step in range(2, 9):
        job.call.recorded(step, 1.0, True, 1.0)
        job.call.stepped(seen(step), True, 0)
        job.view()
    assert asked == []
