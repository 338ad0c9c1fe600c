"""What is noted is entered in order, on another thread, and what goes wrong with it is not lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from midrun.nodes.engine.journal import Journal
from midrun.state.worker import Worker


def test_what_was_noted_is_entered_in_order_beside_the_thread_that_noted_it() -> None:
    worker = Worker("test-journal")
    journal, entered = Journal(worker), []
    for number in range(100):
        journal.note(lambda number=number: entered.append((number, threading.current_thread().name)))
        journal.hand_over()
    journal.note(lambda: entered.append((100, threading.current_thread().name)))
    journal.settle()
    worker.close()
    assert [number for number, _ in entered] == list(range(101))
    assert {name for _, name in entered[:100]} == {"test-journal"}
    assert entered[100][1] == threading.current_thread().name, "settled by whoever waits for it"


def test_only_what_happened_since_one_evaluation_is_on_the_way() -> None:
    waiting: list[Any] = []
    journal, done = Journal(waiting.append), threading.Event()
    journal.hand_over()

    def next_evaluation() -> None:
        journal.hand_over()
        done.set()

    thread = threading.Thread(target=next_evaluation)
    thread.start()
    assert not done.wait(0.1), "it waits until the first was entered"
    waiting.pop()()
    thread.join(10)
    assert done.is_set() and len(waiting) == 1


@pytest.mark.parametrize("how", ["hand_over", "settle"])
def test_after_an_entry_that_failed_nothing_more_is_entered(how: str) -> None:
    journal, entered = Journal(lambda work: work()), []

    def fail() -> None:
        raise OSError("no space")

    journal.note(fail)
    journal.note(lambda: entered.append("of the same evaluation"))
    journal.hand_over()
    journal.note(lambda: entered.append("of the next one"))
    with pytest.raises(OSError, match="no space"):
        getattr(journal, how)()
    assert entered == []
    journal.note(lambda: entered.append("of another attempt"))
    journal.settle()
    assert entered == ["of another attempt"]
