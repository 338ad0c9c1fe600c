"""A network in which nothing changed is looked at in a tenth of the time; every change is seen."""

from __future__ import annotations

import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from midrun.nodes.remembering.keeper import Keeper
from midrun.nodes.remembering.picture import Looking
from midrun.nodes.remembering.places import Part
from midrun.nodes.remembering.roots import of_network
from midrun.state.recording.items import Evaluation
from midrun.state.recording.memory import in_memory

variable: Any = None


def remembers_in_a_variable(value: Any) -> None:
    global variable
    variable = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Sized:
    def __init__(self) -> None:
        self.value = 0

    def __len__(self) -> int:
        return 0


class Config(dict[str, int]):
    """As diffusers has them."""

    more = 0


class Odd(dict[str, int]):
    def __len__(self) -> int:
        return 0


def network() -> Any:
    """One that holds something of every kind."""
    made: Any = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    made.number, made.nothing = 0, None
    made.plain, made.ordered = {"a": None}, OrderedDict(a=1)
    made.default, made.config = defaultdict(list, a=[1]), Config(a=1)
    made.config.more = 0
    made.odd, made.empty = Odd(a=1), {}
    made.list, made.set, made.deque = [1, 2], {1}, deque([1], maxlen=3)
    made.slotted, made.sized, made.space = Slotted(), Sized(), SimpleNamespace(value=0)
    made.tensor = torch.zeros(2)
    made.nested = (made.space, [3])
    made.part = Part({"a": 1, "b": 2}, only=frozenset("a"))
    return made


CHANGES: dict[str, Callable[[Any], Any]] = {
    "an attribute": lambda made: setattr(made, "number", 1),
    "another attribute": lambda made: setattr(made, "more", 1),
    "an attribute for another": lambda made: (delattr(made, "nothing"), setattr(made, "other", None)),
    "a part's attribute": lambda made: setattr(made[1], "number", 1),
    "a hook": lambda made: made[0].register_forward_hook(lambda *given: None),
    "an item": lambda made: made.plain.update(a=1),
    "a key for another": lambda made: (made.plain.pop("a"), made.plain.update(b=None)),
    "a default": lambda made: (made.default.pop("a"), made.default["b"]),
    "an ordered item": lambda made: made.ordered.update(b=1),
    "an item of a subclass": lambda made: made.config.update(a=2),
    "an attribute of a subclass": lambda made: setattr(made.config, "more", 1),
    "an item of an odd one": lambda made: made.odd.update(b=1),
    "an item where there was none": lambda made: made.empty.update(a=None),
    "a list": lambda made: made.list.append(3),
    "a list's item": lambda made: made.list.__setitem__(0, 3),
    "a set": lambda made: made.set.add(3),
    "a deque": lambda made: made.deque.append(3),
    "a slot": lambda made: setattr(made.slotted, "value", 1),
    "what has a length": lambda made: setattr(made.sized, "value", 1),
    "a namespace": lambda made: setattr(made.space, "value", 1),
    "what is written into": lambda made: made.tensor.add_(1),
    "another tensor": lambda made: setattr(made, "tensor", torch.zeros(2)),
    "a list in a tuple": lambda made: made.nested[1].append(4),
    "a variable": lambda made: made.part.values.update(a=2),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("inference", [False, True])
def test_every_change_is_seen_and_put_back(name: str, inference: bool) -> None:
    recording = in_memory()
    with torch.inference_mode(inference):
        made = network()
        keeper = Keeper(recording, of_network(made, 0), torch.device("cpu"), 10**9)
        assert not keeper.notices()
        CHANGES[name](made)
        assert keeper.notices()
        keeper.keep(1)
        recording.append(Evaluation(torch.zeros(1)))
        assert recording.memories() == [0, 1] and keeper.remembers
        assert keeper.put_back() == []
        again = Keeper(in_memory(), of_network(made, 0), torch.device("cpu"), 10**9)
        assert not again.notices()


def test_nothing_is_made_anew_where_nothing_changed() -> None:
    looking = Looking({"network": network()})
    first = looking.look()
    assert first.places is looking.first.places and looking.look().places is first.places


def test_an_equal_number_is_no_change() -> None:
    made = network()
    made.number, made.shape = int("1000"), (int("1000"), 2)
    looking = Looking({"network": made})
    made.number, made.shape = int("1000"), (int("1000"), 2)
    assert looking.look().changed == ()
    made.shape = (1001, 2)
    assert looking.look().changed == (id(made),)


def test_what_changed_once_is_on_record_after_each_evaluation() -> None:
    recording, made = in_memory(), network()
    keeper = Keeper(recording, of_network(made, 0), torch.device("cpu"), 10**9)
    for number in range(1, 4):
        made.more, made.tensor = 1000 * 1000, made.tensor if number > 1 else torch.ones(2)
        assert keeper.notices()
        keeper.keep(number)
        recording.append(Evaluation(torch.zeros(1)))
    assert recording.memories() == [0, 1, 2, 3]
    again = network()
    Keeper(recording, of_network(again, 0), torch.device("cpu"), 10**9).give_back(3)
    assert again.more == 1000 * 1000 and torch.equal(again.tensor, torch.ones(2))


def test_what_was_replaced_may_leave_the_memory() -> None:
    recording, made = in_memory(), network()
    keeper = Keeper(recording, of_network(made, 0), torch.device("cpu"), 10**9)
    gone = [weakref.ref(made.tensor)]
    for number in range(1, 4):
        made.tensor = torch.full((2,), float(number))
        keeper.keep(number)
        recording.append(Evaluation(torch.zeros(1)))
        gone.append(weakref.ref(made.tensor))
    assert [one() for one in gone[:-1]] == [None, None, None]
    keeper.give_back(2)
    assert made.tensor.tolist() == [2.0, 2.0]
    assert keeper.put_back() == [] and made.tensor.tolist() == [0.0, 0.0]


def test_what_is_made_since_and_shared_is_one_thing_again() -> None:
    """Whichever of its places changed first."""
    recording, made = in_memory(), network()
    keeper = Keeper(recording, of_network(made, 0), torch.device("cpu"), 10**9)
    shared = [1]
    made.space.value = shared
    keeper.keep(1)
    recording.append(Evaluation(torch.zeros(1)))
    made.plain["a"] = made[1].held = shared
    keeper.keep(2)
    recording.append(Evaluation(torch.zeros(1)))
    again = network()
    Keeper(recording, of_network(again, 0), torch.device("cpu"), 10**9).give_back(2)
    assert again.plain["a"] is again.space.value is again[1].held
    assert again.space.value == [1]


def test_the_variables_of_a_patch_may_come_to_more() -> None:
    recording, made = in_memory(), network()
    made.forward = remembers_in_a_variable
    keeper = Keeper(recording, of_network(made, 0), torch.device("cpu"), 10**9)
    assert not keeper.notices()
    remembers_in_a_variable(5)
    assert keeper.notices()
    keeper.keep(1)
    recording.append(Evaluation(torch.zeros(1)))
    remembers_in_a_variable(6)
    keeper.give_back(1)
    assert variable == 5
    assert keeper.put_back() == [] and variable is None
