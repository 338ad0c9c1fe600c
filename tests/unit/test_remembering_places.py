"""What patches remember is found wherever Python can keep something, and put back. Without ComfyUI."""

from __future__ import annotations

import functools
import itertools
import random
import sys
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from midrun.nodes.remembering import places
from midrun.nodes.remembering.keeper import Keeper
from midrun.nodes.remembering.kinds import PartKind, is_foreign, kind_of
from midrun.nodes.remembering.picture import Looking, checksum
from midrun.nodes.remembering.roots import Roots
from midrun.state.recording.disk import DiskRecordings
from midrun.state.recording.items import Evaluation
from midrun.state.recording.memory import in_memory
from midrun.state.recording.recording import Recording
from midrun.state.recording.remembered import start_of

CPU = torch.device("cpu")
COND = uuid.UUID(int=1)


@dataclass
class Cache:
    """As the patches of others have them."""

    buffers: dict[str, Any] = field(default_factory=dict)
    counters: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    count: int = 0
    newest: Any = None


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


in_a_global: Any = None


def sets_a_global(value: Any) -> None:
    global in_a_global
    in_a_global = value


def keeper_of(recording: Recording, limit: int = 10**9, **roots: Any) -> Keeper:
    return Keeper(recording, Roots(roots, ("a patch",), {COND: "positive.0"}), CPU, limit)


def answered(keeper: Keeper, evaluations: int) -> None:
    """That many are on record."""
    keeper.keep(evaluations)
    keeper.recording.append(Evaluation(torch.zeros(1)))


def closure() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    held: Any = None

    def remember(value: Any) -> None:
        nonlocal held
        held = value

    return remember, lambda: held


VALUES: dict[str, Callable[[], Any]] = {
    "a number": lambda: 0.1 + 0.2,
    "a text": lambda: "x",
    "not a number": lambda: numpy.float32(1.5),
    "a tensor": lambda: torch.arange(6.0).reshape(2, 3).T,
    "a half": lambda: torch.arange(3, dtype=torch.bfloat16),
    "an array": lambda: numpy.arange(6).reshape(2, 3)[:, ::2],
    "a tuple": lambda: (CPU, torch.float16, torch.Size([1, 2]), None, slice(1, 2)),
    "a list": lambda: [1, [torch.ones(2)], {"x": 2}],
    "a set": lambda: {1, "x"},
    "a deque": lambda: deque([1, 2], maxlen=3),
    "an ordered dict": lambda: OrderedDict([("b", 1), ("a", 2)]),
    "a default dict": lambda: defaultdict(list, {"x": [1]}),
    "a dataclass": lambda: Cache({"x": [torch.ones(1)]}, count=3),
    "slots": Slotted,
    "a namespace": lambda: types.SimpleNamespace(x=1),
    "a class": lambda: Cache,
    "a function of a module": lambda: answered,
    "a partial": lambda: functools.partial(int, base=8),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype is other.dtype and one.stride() == other.stride() and torch.equal(one, other)
    if isinstance(one, numpy.ndarray):
        return one.dtype == other.dtype and numpy.array_equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, functools.partial):
        return (one.func, one.args, one.keywords) == (other.func, other.args, other.keywords)
    if attributes := places.attributes_of(one) if kind_of(one) is PartKind.PLACE else None:
        return not callable(one) and same(attributes, places.attributes_of(other)) or one is other
    return bool(one == other)


@pytest.fixture(params=["in memory", "on disk"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Recording:
    if request.param == "in memory":
        return in_memory()
    return DiskRecordings(tmp_path, lambda *_: None, reserve=0).open("job-1", "sampler", 0)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_in_a_closure_comes_back_in_another_run(recording: Recording, name: str) -> None:
    make = VALUES[name]
    remember, _ = closure()
    keeper = keeper_of(recording, patch=remember)
    remember(make())
    answered(keeper, 1)
    remember(None)
    recording.save()
    again, held = closure()  # another process made it anew
    keeper_of(recording, patch=again).give_back(1)
    assert same(held(), make())


def test_an_attribute_comes_back_that_has_the_name_of_a_property() -> None:
    """As those of the polynomials with which TeaCache scales."""
    recording, holder = in_memory(), Cache(newest=numpy.poly1d([1.0, 2.0]))
    keeper = keeper_of(recording, holder=holder)
    holder.newest = numpy.poly1d([3.0, 4.0])
    answered(keeper, 1)
    again = Cache(newest=numpy.poly1d([1.0, 2.0]))
    keeper = keeper_of(recording, holder=again)
    keeper.give_back(1)
    assert again.newest(2.0) == 10.0 and keeper.opaque == []
    keeper.put_back()
    assert again.newest(2.0) == 4.0


def test_every_place_is_looked_into() -> None:
    def patched() -> dict[str, Any]:
        remember, held = closure()
        module = torch.nn.Sequential(torch.nn.Linear(2, 2))
        vars(module[0])["of_an_earlier_prompt"] = 4
        function: Any = lambda: None  # noqa: E731
        function.count = 0
        holder = Cache()
        return {
            "closure": remember,
            "module": module,
            "function": function,
            "method": holder.buffers.update,
            "bound": types.MethodType(lambda self: None, holder),
            "slots": Slotted(),
            "list": [1],
            "set": {1},
            "deque": deque([1]),
            "part": functools.partial(print, Cache()),
            "global": sets_a_global,
            "random": [torch.Generator().manual_seed(1), random.Random(1), numpy.random.default_rng(1)],
            "held": held,
            "buffer": [torch.zeros(3)],
        }

    def change(patch: dict[str, Any]) -> None:
        patch["closure"](2)
        patch["module"][0].cache = {"x": torch.ones(2)}
        vars(patch["module"][0]).pop("of_an_earlier_prompt", None)
        patch["function"].count = 2
        patch["bound"].__self__.counters["x"] += 2
        patch["slots"].value = 2
        patch["list"].append(2)
        patch["set"].add(2)
        patch["deque"].append(2)
        patch["part"].args[0].count = 2
        patch["global"](torch.ones(2))
        for generator in patch["random"][1:]:
            generator.random()
        torch.rand(1, generator=patch["random"][0])
        patch["buffer"][0].add_(2)

    def state(patch: dict[str, Any]) -> list[Any]:
        one, two, three = patch["random"]
        drawn = [torch.rand(1, generator=one), two.random(), three.random()]
        return [
            patch["held"](),
            dict(vars(patch["module"][0]).get("cache", {})),
            hasattr(patch["module"][0], "of_an_earlier_prompt"),
            patch["function"].count,
            dict(patch["bound"].__self__.counters),
            patch["slots"].value,
            list(patch["list"]),
            set(patch["set"]),
            list(patch["deque"]),
            patch["part"].args[0].count,
            in_a_global,
            drawn,
            patch["buffer"][0].clone(),
        ]

    sets_a_global(None)
    expected_before = state(patched())
    one = patched()
    change(one)
    expected = state(one)
    recording = in_memory()
    sets_a_global(None)
    one = patched()
    keeper = keeper_of(recording, **one)
    change(one)
    answered(keeper, 1)
    assert keeper.opaque == []
    change(one)  # an evaluation that is interrupted
    assert keeper.put_back() == []
    assert same(state(one), expected_before)
    other = patched()
    keeper_of(recording, **other).give_back(1)
    assert same(state(other), expected)
    sets_a_global(None)


def test_what_was_half_made_is_undone_in_the_same_objects() -> None:
    cache = Cache({"x": torch.zeros(2)})
    keeper = keeper_of(in_memory(), patch=cache)
    buffers = cache.buffers
    cache.buffers = {"y": 1}
    buffers["x"].add_(1)
    buffers["z"] = 1
    assert keeper.put_back() == []
    assert cache.buffers is buffers and list(buffers) == ["x"] and torch.equal(buffers["x"], torch.zeros(2))


def test_a_write_in_inference_mode_is_seen() -> None:
    with torch.inference_mode():
        cache = Cache(newest=torch.zeros(5000, 3))
        recording = in_memory()
        keeper = keeper_of(recording, patch=cache)
        cache.newest[4999, 2] = 1.0
        answered(keeper, 1)
        other = Cache(newest=torch.zeros(5000, 3))
        keeper_of(recording, patch=other).give_back(1)
        assert other.newest[4999, 2] == 1.0


def test_a_checksum_sees_what_is_moved_about() -> None:
    tensor = torch.randn(3, 5000)
    sums = [checksum(one) for one in (tensor, tensor.roll(1), tensor.roll(4096), tensor.flip(0), -tensor)]
    told = {tuple(total.tolist()) for total in sums if total is not None}
    assert len(told) == 5


def test_tensors_that_stay_are_on_record_once() -> None:
    recording, cache = in_memory(), Cache()
    keeper = keeper_of(recording, patch=cache)
    cache.newest = torch.ones(100)
    for number in range(1, 4):
        cache.count = number
        answered(keeper, number)
    assert [len(recording.remembered(number).tensors) for number in (1, 2, 3)] == [1, 0, 0]
    other = Cache()
    keeper_of(recording, patch=other).give_back(3)
    assert other.count == 3 and torch.equal(other.newest, torch.ones(100))


def test_what_begins_to_be_remembered_late_is_known_to_be_as_it_began_before() -> None:
    recording, cache = in_memory(), Cache()
    keeper = keeper_of(recording, patch=cache)
    for number in range(1, 6):
        cache.count = max(0, number - 2)
        answered(keeper, number)
    assert recording.memories() == [0, 3, 4, 5]
    assert [start_of(recording, end)[0] for end in range(6)] == [0, 1, 2, 3, 4, 5]
    other = Cache(count=7)
    keeper_of(recording, patch=other).give_back(2)
    assert other.count == 0


def test_beyond_the_limit_only_the_newest_are_kept() -> None:
    recording, cache = in_memory(), Cache()
    keeper = keeper_of(recording, 1000, patch=cache)
    for number in range(1, 6):
        cache.newest = torch.full((100,), float(number))
        answered(keeper, number)
    assert recording.memories() == [0, 4, 5]
    other = Cache()
    keeper_of(recording, patch=other).give_back(5)
    assert torch.equal(other.newest, cache.newest)


def test_a_cond_has_another_uuid_in_another_run() -> None:
    recording, cache = in_memory(), Cache()
    keeper = keeper_of(recording, patch=cache)
    cache.buffers[COND] = torch.ones(1)  # type: ignore[index]
    answered(keeper, 1)
    other, now = Cache(), uuid.UUID(int=2)
    Keeper(recording, Roots({"patch": other}, (), {now: "positive.0"}), CPU, 10**9).give_back(1)
    assert list(other.buffers) == [now]


def test_the_identity_of_an_object_is_another_number_in_another_run() -> None:
    recording, block = in_memory(), torch.nn.Linear(1, 1)
    cache = Cache()
    keeper = keeper_of(recording, patch=cache, block=block)
    cache.buffers[id(block)] = 1  # type: ignore[index]
    answered(keeper, 1)
    other, again = Cache(), torch.nn.Linear(1, 1)
    keeper_of(recording, patch=other, block=again).give_back(1)
    assert list(other.buffers) == [id(again)]


def test_what_cannot_be_copied_is_told() -> None:
    recording, cache = in_memory(), Cache(newest=itertools.count())
    keeper = keeper_of(recording, patch=cache)
    assert keeper.opaque == ["count at patch.newest"]
    assert recording.remembered(0).told["opaque"] == keeper.opaque


def test_a_cycle_and_a_crowd_do_no_harm() -> None:
    cache = Cache()
    cache.newest = [cache, cache.buffers]
    cache.buffers["self"] = cache.newest
    assert Looking({"patch": cache}).look().opaque == {}


def test_only_what_others_wrote_counts_as_a_patch() -> None:
    remember, _ = closure()
    assert is_foreign(remember) and is_foreign(functools.partial(remember)) and is_foreign([[remember]])
    assert not is_foreign(print) and not is_foreign(torch.nn.Linear(1, 1)) and not is_foreign({"x": 1.0})
    other: Any = types.FunctionType((lambda: None).__code__, {"__name__": "comfy.samplers"})
    assert other.__module__ == "comfy.samplers" and not is_foreign(other)
    wrapped = lambda: remember  # noqa: E731
    wrapped.__module__ = "comfy.model_patcher"  # as ComfyUI wraps functions of the old kind
    assert is_foreign(wrapped)


def test_a_pack_may_declare_that_it_remembers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    remember, _ = closure()
    monkeypatch.setattr(sys.modules[__name__], "midrun_remembers", False, raising=False)
    assert not is_foreign(remember)


def test_a_module_that_changed_nothing_is_not_compared_again_until_it_does() -> None:
    recording, block, steady = in_memory(), torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    keeper = keeper_of(recording, block=block, steady=steady)
    answered(keeper, 1)
    assert recording.memories() == []
    block.step = 1
    answered(keeper, 2)
    assert recording.memories() == [0, 2]
    assert keeper._looking.look().changed == (id(block),)
    block.register_forward_hook(lambda *given: None)
    answered(keeper, 3)
    assert recording.memories() == [0, 2, 3]
    assert keeper.put_back() == [] and not hasattr(block, "step")
    assert block._forward_hooks == {}, "what torch needs of a module stays"
