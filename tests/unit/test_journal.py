"""What is noted is entered in order, on another thread, and what goes wrong with it is not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from midrun.nodes.engine import journal as module
from midrun.nodes.engine.journal import Journal
from midrun.state.worker import Worker

LONG_S = 30


class Entered:
    """What a journal entered: numbers, by which thread, and how many at once."""

    def __init__(self, later: Any) -> None:
        self.numbers: list[int] = []
        self.threads: list[str] = []
        self.batches: list[int] = []
        self.entered = threading.Event()
        self.journal = Journal(later, self._entered)

    def note(self, number: int) -> None:
        def enter() -> None:
            self.numbers.append(number)
            self.threads.append(threading.current_thread().name)

        self.journal.note(enter)

    def _entered(self) -> None:
        self.batches.append(len(self.numbers) - sum(self.batches))
        self.entered.set()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test-journal")
    yield worker
    worker.close()


@pytest.fixture
def in_a_long_while(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Entered:
    """Something was entered just now, and nothing is due for long."""
    monkeypatch.setattr(module, "A_WHILE_S", 10 * LONG_S)
    told = Entered(worker)
    told.note(0)
    told.journal.hand_over()
    assert told.entered.wait(LONG_S)
    return told


def test_what_was_noted_is_entered_in_order_beside_the_thread_that_noted_it(worker: Worker) -> None:
    told = Entered(worker)
    for number in range(100):
        told.note(number)
        told.journal.hand_over()
    worker.close()
    told.note(100)
    told.journal.settle()
    assert told.numbers == list(range(101)) and sum(told.batches) == 100
    assert set(told.threads[:100]) == {"test-journal"}
    assert told.threads[100] == threading.current_thread().name, "settled by whoever waits for it"


def test_the_next_evaluation_waits_while_entries_are_being_made(worker: Worker) -> None:
    told, entering, go_on, handed_over = (Entered(worker), *(threading.Event() for _ in range(3)))

    def enter() -> None:
        entering.set()
        go_on.wait(LONG_S)

    def next_evaluation() -> None:
        told.journal.hand_over()
        handed_over.set()

    told.journal.note(enter)
    told.journal.hand_over()
    assert entering.wait(LONG_S)
    thread = threading.Thread(target=next_evaluation)
    thread.start()
    assert not handed_over.wait(0.1)
    go_on.set()
    assert handed_over.wait(LONG_S)
    thread.join()


def test_what_may_wait_a_while_is_entered_at_once_with_what_may_not(in_a_long_while: Entered) -> None:
    told = in_a_long_while
    told.entered.clear()
    for number in range(1, 6):
        told.note(number)
        told.journal.hand_over(in_time=True)
    assert told.numbers == [0]
    told.note(6)
    told.journal.hand_over()
    assert told.entered.wait(LONG_S)
    assert told.numbers == list(range(7)) and told.batches == [1, 6]


def test_what_may_wait_is_entered_in_a_while_whether_or_not_anything_follows(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "A_WHILE_S", 0.01)
    told = Entered(worker)
    for number in range(3):
        told.entered.clear()
        told.note(number)
        told.journal.hand_over(in_time=True)
        assert told.entered.wait(LONG_S)
    assert told.numbers == [0, 1, 2]


def test_nothing_is_entered_behind_who_settles(in_a_long_while: Entered, worker: Worker) -> None:
    """A call that is over is told of nothing."""
    told = in_a_long_while
    told.note(1)
    told.journal.hand_over(in_time=True)
    told.note(2)
    told.journal.settle()
    worker.close()  # which waits for the thread that would have entered them
    assert told.numbers == [0, 1, 2] and told.batches == [1]
    assert told.threads[1:] == [threading.current_thread().name] * 2


@pytest.mark.parametrize("how", ["hand_over", "settle"])
def test_after_an_entry_that_failed_nothing_more_is_entered(how: str) -> None:
    told = Entered(lambda work: work())

    def fail() -> None:
        raise OSError("no space")

    told.journal.note(fail)
    told.note(1)  # of the same evaluation
    told.journal.hand_over()
    told.note(2)  # of the next one
    with pytest.raises(OSError, match="no space"):
        getattr(told.journal, how)()
    assert told.numbers == [] == told.batches
    told.note(3)  # of another attempt
    told.journal.settle()
    assert told.numbers == [3]
