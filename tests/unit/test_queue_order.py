"""The place of resumed runs in ComfyUI's queue: fair, distinct, and for ever."""

from __future__ import annotations

import heapq
import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from midrun.state.services.queue_order import Item, ResumedRuns, between


class Queue:
    """ComfyUI's: a heap, and a counter that gives whole numbers."""

    def __init__(self) -> None:
        self.waiting: list[Item] = []
        self.done: list[float] = []
        self.runs = ResumedRuns()
        self.counter = itertools.count()
        self.ids = itertools.count()

    def add(self, number: float | None = None) -> str:
        name = f"new-{next(self.ids)}"
        heapq.heappush(self.waiting, Item(next(self.counter) if number is None else number, name))
        return name

    def resume(self, since: int | None = None) -> str:
        name = f"resumed-{next(self.ids)}"
        numbers = self.runs.numbers(name, since, self.waiting, self.done, lambda: next(self.counter))
        moved = [Item(numbers.get(item.prompt_id, item.number), item.prompt_id) for item in self.waiting]
        self.waiting = [*moved, Item(numbers[name], name)]
        heapq.heapify(self.waiting)
        return name

    def run(self) -> str:
        item = heapq.heappop(self.waiting)
        self.done.append(item.number)
        return item.prompt_id

    def run_all(self) -> list[str]:
        return [self.run() for _ in range(len(self.waiting))]

    def is_sound(self) -> bool:
        numbers = [item.number for item in self.waiting]
        return len(set(numbers)) == len(numbers) and all(number >= 0 for number in numbers)


def test_resumed_runs_go_ahead_of_what_was_never_started_and_behind_each_other() -> None:
    queue = Queue()
    queue.add()
    queue.run()
    never = [queue.add(), queue.add()]
    resumed = [queue.resume() for _ in range(5)]
    assert queue.run_all() == [*resumed, *never]


def test_five_hundred_resumes_of_one_queue_have_five_hundred_numbers() -> None:
    queue = Queue()
    queue.add()
    queue.run()
    never = queue.add()
    for _ in range(500):  # each makes way for nobody, and is resumed again: the first that waits never runs
        queue.resume()
        queue.resume()
        assert queue.is_sound()
        queue.run()
    assert len(set(queue.done)) == len(queue.done) and queue.done == sorted(queue.done)
    assert queue.run_all()[-1] == never


def test_where_nothing_fits_what_was_never_started_moves_back_in_its_order() -> None:
    queue = Queue()
    queue.add(1.0)
    queue.run()
    never = [queue.add(1.0 + 2**-52), queue.add(1.0 + 2**-51)]
    resumed = [queue.resume(), queue.resume()]
    assert queue.is_sound() and queue.run_all() == [*resumed, *never]


def test_jobs_found_at_the_start_keep_to_their_age_whatever_the_order_of_their_resumes() -> None:
    queue = Queue()
    never = queue.add()
    queue.run()
    never = queue.add()
    ages = list(range(150))
    random.Random(3).shuffle(ages)
    names = {age: queue.resume(age) for age in ages}
    assert queue.run_all() == [*(names[age] for age in sorted(names)), never]


def test_what_was_queued_to_the_front_stays_there() -> None:
    queue = Queue()
    front = queue.add(-7)
    resumed = queue.resume()
    assert queue.run_all() == [front, resumed]


actions = st.one_of(
    st.just(("run", None)),
    st.tuples(st.just("add"), st.one_of(st.none(), st.floats(-10, 1e9), st.just(float("nan")))),
    st.tuples(st.just("resume"), st.one_of(st.none(), st.integers(0, 5))),
)


@given(st.lists(actions, max_size=60))
def test_whatever_happens_numbers_differ_and_resumed_runs_keep_their_order(chosen: list) -> None:
    queue = Queue()
    for action, value in chosen:
        if action == "run" and queue.waiting:
            queue.run()
        elif action == "add":
            queue.add(value)
        elif action == "resume":
            queue.resume(value)
            ours = [item for item in queue.waiting if item.prompt_id.startswith("resumed")]
            assert len({item.number for item in ours}) == len(ours)
            others = [item.number for item in queue.waiting if item not in ours and item.number > 0]
            assert all(item.number < min(others, default=float("inf")) for item in ours)


@given(st.integers(1, 50), st.floats(0, 1e12), st.floats(0, 1e12))
def test_numbers_between_two_are_between_them_and_ascend(count: int, above: float, below: float) -> None:
    found = between(count, above, below)
    assert found == [] or (len(found) == count and above < found[0] and found[-1] < below)
    assert found == sorted(set(found))
