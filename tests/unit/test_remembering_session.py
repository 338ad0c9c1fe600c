"""What a sampling call does about memory: of a loop that only its own node can run. Without ComfyUI."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NoReturn, cast

import pytest
import torch

from midrun.nodes.remembering.roots import of_network
from midrun.nodes.remembering.session import Session, Wishes
from midrun.state.exactness import Exactness
from midrun.state.job.job import Job
from midrun.state.job.view import JobView
from midrun.state.recording.items import Evaluation
from midrun.state.recording.memory import MemoryRecording, in_memory
from midrun.state.states import State
from midrun.state.surroundings import Checked


class Told:
    """A job as far as a session speaks to it."""

    def __init__(self) -> None:
        self.call = self.worker = self
        self.evaluation_s = 1.0
        self.warned: list[str] = []
        self.noted: list[str] = []
        self.exactness = Exactness()

    def tell_exactness(self, exactness: Exactness) -> None:
        self.exactness = exactness

    def warn(self, warning: tuple[str, str], *gaps: Any) -> None:
        self.warned.append(warning[0])

    def note(self, kind: str, detail: Any) -> None:
        self.noted.append(kind)

    def taken(self) -> bool:
        return False

    def tell_checked(self, checked: Checked) -> None:
        self.noted.append("verified")

    def view(self) -> JobView:
        return JobView("", ("",), State.RUNNING, "", "")


class Network(torch.nn.Module):
    def __init__(self, hidden: bool = False) -> None:
        super().__init__()
        self.count, self.kept = 0, torch.zeros(2)
        self.hidden: Any = itertools.count() if hidden else None

    def forward(self, timestep: Any) -> None:
        self.count += 1
        self.kept += 1
        self.residual = torch.full((1,), float(self.count))
        if self.hidden is not None:
            next(self.hidden)

    @property
    def state(self) -> tuple[int, list[float], float | None]:
        residual = self.__dict__.get("residual")
        return self.count, self.kept.tolist(), None if residual is None else float(residual)


def session_of(recording: MemoryRecording, told: Told, of_others: int = 0, **wishes: Any) -> Session:
    return Session(cast(Job, told), recording, Wishes(**wishes), lambda: of_others, torch.device("cpu"))


def cannot(index: int) -> NoReturn:
    raise AssertionError(f"evaluation {index} cannot be asked from here")


def live(session: Session, recording: MemoryRecording, network: Network) -> None:
    session.before_live(cannot)
    network(1)
    if session.notices():
        session.answered(len(recording) + 1)
    recording.append(Evaluation(torch.zeros(1)))
    session.recorded()


def replayed(session: Session, recording: MemoryRecording, network: Network) -> list[int]:
    """Those that were asked again."""
    again = []
    for index in range(len(recording)):
        if session.asks_again(index):
            network(1)
            session.asked_again(index, 0.0)
            again.append(index)
        session.replayed_to(index + 1)
    return again


@pytest.mark.parametrize(("of_others", "kept"), [(0, [0, 1, 2, 3, 4]), (2000, [0, 3, 4])])
def test_the_limit_is_that_of_the_job(of_others: int, kept: list[int]) -> None:
    recording, network = in_memory(), Network()
    session = session_of(recording, Told(), of_others, limit=1500)
    session.join(of_network(network, 0))
    for _ in range(4):
        live(session, recording, network)
    assert recording.memories() == kept


def test_an_evaluation_that_was_dropped_leaves_nothing() -> None:
    recording, told, network = in_memory(), Told(), Network()
    session = session_of(recording, told)
    session.join(of_network(network, 0))
    for number in range(3):
        session.before_live(cannot)
        network(1)  # half of it, and it is dropped
        session.left()
        assert network.state == (0, [0.0, 0.0], None), "as it was when the node began"
        session.begin_again()
        live(session, recording, network)
        assert network.state == (number + 1, [number + 1.0] * 2, number + 1.0)
    assert told.warned == [] and told.exactness == Exactness(because="Network")


def test_all_that_networks_remember_is_there_after_a_replay_in_another_process() -> None:
    recording, told = in_memory(), Told()
    first, second = Network(), Network()
    session = session_of(recording, told)
    session.join(of_network(first, 0))
    live(session, recording, first)
    session.join(of_network(second, 1))
    live(session, recording, second)
    live(session, recording, first)
    again, later = Network(), Network()
    session = session_of(recording, told)
    session.join(of_network(again, 0))
    assert not session.asks_again(0)
    session.replayed_to(1)
    session.join(of_network(later, 1))
    for number in (1, 2):
        assert not session.asks_again(number)
        session.replayed_to(number + 1)
    assert again.state == first.state and later.state == second.state
    session.before_live(cannot)


def test_what_an_earlier_prompt_left_over_is_there_in_another_process() -> None:
    """A patch that finds nothing of its own begins anew; one that finds it goes on."""
    recording, told = in_memory(), Told()
    used, fresh = Network(), Network()
    used.distance, used.earlier, used.begun = 0.0, torch.ones(2), True  # which nothing changes any more
    session = session_of(recording, told)
    session.join(of_network(used, 0))
    live(session, recording, used)
    session = session_of(recording, told)
    session.join(of_network(fresh, 0))
    assert not session.asks_again(0)
    session.replayed_to(1)
    assert (fresh.distance, fresh.begun, fresh.count) == (0.0, True, 1)
    assert torch.equal(fresh.earlier, torch.ones(2)) and told.warned == []


def test_what_is_kept_is_put_on_record_in_order_by_whoever_is_asked_to() -> None:
    recording, network = in_memory(), Network()
    writes: list[Callable[[], object]] = []
    beside = lambda: 0, torch.device("cpu"), writes.append
    session = Session(cast(Job, Told()), recording, Wishes(), *beside)
    session.join(of_network(network, 0))
    for number in (1, 2):
        session.before_live(cannot)
        network(1)
        assert session.notices()
        session.answered(number)
    assert recording.memories() == []
    for number, of_it in ((1, 2), (2, 1)):
        for _ in range(of_it):
            writes.pop(0)()
        recording.append(Evaluation(torch.zeros(1)))
        assert recording.memories() == [*range(number + 1)]
    assert writes == []
    again = Network()
    session = session_of(recording, Told())
    session.join(of_network(again, 0))
    session.replayed_to(2)
    assert again.state == network.state


def test_a_network_that_is_asked_later_begins_as_it_did() -> None:
    """A rewind may lead to before it was asked, and it has what it remembered at the end."""
    recording, told = in_memory(), Told()
    first, second = Network(), Network()
    session = session_of(recording, told)
    session.join(of_network(first, 0))
    live(session, recording, first)
    session.join(of_network(second, 1))
    live(session, recording, second)
    recording.truncate(1)
    session = session_of(recording, told)
    session.join(of_network(first, 0))
    assert replayed(session, recording, first) == [] and first.state == (1, [1.0, 1.0], 1.0)
    session.join(of_network(second, 1))
    assert second.state == (0, [0.0, 0.0], None) and told.warned == []


@pytest.mark.parametrize(
    ("wishes", "asked", "kind"),
    [({}, [0, 1], "recomputes"), ({"quick": True}, [], "inexact"), ({"verify": True}, [0, 1], "recomputes")],
)
def test_what_cannot_be_seen_is_asked_again_while_the_node_replays(
    wishes: dict[str, bool], asked: list[int], kind: str
) -> None:
    recording, told, network = in_memory(), Told(), Network(hidden=True)
    session = session_of(recording, told, **wishes)
    session.join(of_network(network, 0))
    live(session, recording, network)
    live(session, recording, network)
    assert told.exactness.kind == kind
    again = Network(hidden=True)
    session = session_of(recording, told, **wishes)
    session.join(of_network(again, 0))
    assert replayed(session, recording, again) == asked
    session.before_live(cannot)
    assert again.state == network.state, "what can be seen is there in any case"
    assert next(again.hidden) == len(asked)


def test_the_newest_is_asked_again_where_the_user_wants_a_resume_verified() -> None:
    recording, told, network = in_memory(), Told(), Network()
    session = session_of(recording, told, verify=True)
    session.join(of_network(network, 0))
    for _ in range(3):
        live(session, recording, network)
    again = Network()
    session = session_of(recording, told, verify=True)
    session.join(of_network(again, 0))
    assert replayed(session, recording, again) == [2] and told.noted == ["verified"]
    session.before_live(cannot)
    assert again.state == network.state and told.warned == []


def test_what_the_node_itself_sets_between_is_not_undone() -> None:
    """As FramePack begins each section with counters of its own."""
    recording, told, network = in_memory(), Told(), Network()
    session = session_of(recording, told, verify=True)
    session.join(of_network(network, 0))
    for _ in range(2):
        live(session, recording, network)
    network.count = 7
    live(session, recording, network)
    again = Network()
    session = session_of(recording, told, verify=True)
    session.join(of_network(again, 0))
    for index in range(3):
        if index == 2:
            again.count = 7
        if session.asks_again(index):
            assert again.state == (7, [2.0, 2.0], 2.0)
            again(1)
        session.replayed_to(index + 1)
    assert again.state == network.state == (8, [3.0, 3.0], 8.0)


def test_one_that_goes_on_unwatched_is_left_as_it_is() -> None:
    recording, told, network = in_memory(), Told(), Network()
    session = session_of(recording, told)
    session.join(of_network(network, 0))
    live(session, recording, network)
    session.let_be()
    session.left()
    assert network.state == (1, [1.0, 1.0], 1.0)
