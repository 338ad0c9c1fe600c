"""Short evaluations of a device that works behind are asked for one ahead, long ones are not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from in_process import use_comfyui

kept = use_comfyui()

from midrun.nodes.engine import asking, copies  # noqa: E402
from midrun.nodes.engine.asking import Asking  # noqa: E402
from midrun.nodes.engine.journal import Journal  # noqa: E402
from midrun.state.job.transitions import Directive  # noqa: E402

HOST = torch.device("cpu")


class Told:
    """A sampling call of which each evaluation takes so long, and what happened in it."""

    def __init__(self, seconds: float, monkeypatch: pytest.MonkeyPatch, behind: bool = True) -> None:
        self.events: list[str] = []
        self.seconds, self.asked = seconds, 0
        self.by_device: float | None = None
        self.yet_to_come = True  # what is waited for
        call = SimpleNamespace(begin_evaluation=lambda: Directive.GO, end_evaluation=self.end)
        job: Any = SimpleNamespace(call=call)
        self.entered = threading.Event()
        entries: Any = SimpleNamespace(void=False)
        self.journal = Journal(lambda work: threading.Thread(target=work).start(), self.enter)
        self.asking = Asking(job, self.journal, entries)
        monkeypatch.setattr(asking, "works_behind", lambda device: behind)
        told = self

        class Counted(copies.Copies):
            def __init__(self, number: int) -> None:
                super().__init__()
                self.number, self.told = number, told.by_device

            def begin(self, device: torch.device) -> None:
                pass

            @property
            def seconds(self) -> float | None:
                return self.told

            def wait(self) -> bool:
                told.events.append(f"wait for {self.number}")
                return told.yet_to_come

        self.copies = Counted

    def end(self, outcome: Any) -> tuple[bool, float]:
        return False, self.seconds

    def enter(self) -> None:
        self.events.append("the journal")
        self.entered.set()

    def ask(self, **how: bool) -> list[str]:
        """What happened in the next one."""
        self.asked += 1
        number = self.asked
        self.events.clear()

        def model() -> torch.Tensor:
            self.events.append(f"the model is given {number}")
            return torch.full((1,), float(number))

        self.entered.clear()
        given, pending = self.asking.ask(model, HOST, self.copies(number), **how)
        assert self.entered.wait(30)
        assert torch.equal(given, pending.kept) and given is not pending.kept
        happened = list(self.events)
        self.asking.seconds_of(pending)
        return happened

    def waits(self, **how: bool) -> list[str]:
        return [event for event in self.ask(**how) if event != "the journal"]


def test_a_short_one_is_waited_for_once_the_next_has_been_given(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(0.01, monkeypatch)
    assert told.waits() == ["the model is given 1", "wait for 1"], "nobody knows how long it takes"
    assert told.waits() == ["the model is given 2", "wait for 1"]
    assert told.waits() == ["the model is given 3", "wait for 2"]
    assert told.waits(alone=True) == ["the model is given 4", "wait for 4"]


@pytest.mark.parametrize(("seconds", "behind"), [(5.0, True), (0.01, False)])
def test_a_long_one_is_waited_for_at_once_and_so_is_one_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, seconds: float, behind: bool
) -> None:
    told = Told(seconds, monkeypatch, behind)
    for number in (1, 2, 3):
        assert told.waits() == [f"the model is given {number}", f"wait for {number}"]


def test_other_threads_work_once_the_device_has_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SHORT_S", 60.0)
    told = Told(0.01, monkeypatch)
    told.ask()
    for number in (2, 3, 4):
        happened = told.ask()
        assert happened.index("the journal") > happened.index(f"the model is given {number}")


def test_other_threads_do_not_wait_for_a_model_that_takes_long_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that is loaded again, or that another pack stops."""
    told = Told(0.01, monkeypatch)
    told.ask()
    told.entered.clear()
    worked: list[bool] = []

    def model() -> torch.Tensor:
        worked.append(told.entered.wait(30))
        return torch.zeros(1)

    told.asking.ask(model, HOST, told.copies(2))
    assert worked == [True]


@pytest.mark.parametrize("behind", [True, False])
def test_other_threads_come_between_less_often_where_the_device_waits_for_its_work(
    monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    told, in_time = Told(0.01, monkeypatch, behind), []
    hand_over = told.journal.hand_over

    def counted(wait: Any, later: bool) -> None:
        in_time.append(later)
        hand_over(wait, later)

    monkeypatch.setattr(told.journal, "hand_over", counted)
    for yet_to_come in (True, True, False, False, True, True):
        told.yet_to_come = yet_to_come
        told.ask()
    assert in_time == [False, False, False, behind, behind, False], "as the one before it was"


def test_the_device_tells_what_it_took_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is ahead, or did something else meanwhile."""
    told = Told(5.0, monkeypatch)
    told.by_device = 0.01
    assert told.waits() == ["the model is given 1", "wait for 1"]
    assert told.waits() == ["the model is given 2", "wait for 1"], "it took the device little"
    _, pending = told.asking.ask(lambda: torch.zeros(1), HOST, told.copies(3))
    assert (told.asking.seconds_of(pending), pending.seconds) == (0.01, 5.0)
