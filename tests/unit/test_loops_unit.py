"""The parts of watching a loop of another: what is a network, its answers, its steps, the generators."""

from __future__ import annotations

import random
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
import torch

from midrun.nodes.foreign import generators
from midrun.nodes.foreign.networks import asked, has_compiled_parts, is_network
from midrun.nodes.foreign.steps import Steps
from midrun.nodes.foreign.trees import (
    Unrecordable,
    digest_of,
    moment_of,
    question_of,
    time_in,
    tree_of,
    value_of,
)
from midrun.nodes.foreign.whereabouts import Whereabouts, modules_in
from midrun.state.recording.item_file import about_of, decode_evaluation, tensors_of
from midrun.state.recording.items import Evaluation
from midrun.state.recording.tensor_file import encode, read

CPU = torch.device("cpu")
Pair = namedtuple("Pair", "first second")


@dataclass
class Told:
    sample: torch.Tensor
    more: Any = None


class Big(torch.nn.Module):
    """Of the size of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(9))

    def forward(self, x: Any, context: Any = None, timestep: Any = None) -> Any:
        return x


class Small(torch.nn.Module):
    """As the embedding of a time step is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, sample: Any, timestep: Any) -> Any:
        return sample


class Compiled(torch.nn.Module):
    """As torch.compile makes one: what it is of is called thus."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self._orig_mod = module


def test_a_network_is_what_is_asked_at_a_time_step_and_has_parts() -> None:
    assert is_network(Big()) and not is_network(Small())
    assert not is_network(torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(20))))
    assert is_network(Compiled(Big()))
    assert asked(Big(), ("x", "words", 3), {}) == ("x", 3)
    assert asked(Big(), ("x",), {"timestep": 4}) == ("x", 4)
    assert asked(Big(), ("x",), {}) is None, "a part of a VAE that may be given a time step, and was not"
    compiled = Big()
    compiled.layers[3] = Compiled(compiled.layers[3])
    assert has_compiled_parts(compiled) and not has_compiled_parts(Big())


def answers() -> dict[str, Any]:
    tensor = torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2)
    return {
        "tensor": tensor,
        "nested": (
            [tensor, None],
            {"a": (1, 2.5, "b", True)},
            OrderedDict(x=torch.tensor(3)),
        ),
        "dataclass": Told(tensor.to(torch.bfloat16), {"deep": [Told(tensor)]}),
        "expanded": [torch.tensor(7).expand(1), torch.ones(2, 1).expand(2, 3)],
        "named tuple": Pair(tensor, (float("inf"), torch.empty(0))),
    }


@pytest.mark.parametrize("kind", answers())
def test_an_answer_is_the_same_after_it_was_on_the_disk(tmp_path: Any, kind: str) -> None:
    answer = answers()[kind]
    evaluation = Evaluation(tree_of(answer), (), generators.capture(CPU), "what")
    (tmp_path / "file").write_bytes(encode(tensors_of(evaluation), about_of(evaluation)))
    again = decode_evaluation(*read(tmp_path / "file"))
    assert again.question == "what" and again.rng is not None and evaluation.rng is not None
    assert all(torch.equal(one, again.rng.others[name]) for name, one in evaluation.rng.others.items())
    made = value_of(again.answer, CPU)  # type: ignore[arg-type]
    assert type(made) is type(answer) and digest_of(tree_of(made)) == digest_of(tree_of(answer))
    if kind == "tensor":
        assert made.stride() == answer.stride() and made.data_ptr() != answer.data_ptr()


def test_a_tensor_that_is_given_twice_is_given_twice_again() -> None:
    tensor = torch.ones(2)
    first, second = value_of(tree_of([tensor, tensor]), CPU)
    assert first is second and first is not tensor


def test_what_cannot_be_kept_is_named() -> None:
    @dataclass
    class Local:
        """Not to be found again."""

        x: int

    class Bare:
        pass

    for answer in (Local(1), Bare(), {Bare(): 1}, [torch.zeros(2).to_sparse()]):
        with pytest.raises(Unrecordable):
            tree_of(answer)
    tree = tree_of(Told(torch.ones(1)))
    with pytest.raises(Unrecordable, match="gone"):
        value_of(type(tree)({"class": ["gone", "Told"], "fields": []}, {}), CPU)
    with pytest.raises(Unrecordable):  # only what holds values is made, nothing that does anything
        value_of(type(tree)({"class": ["os", "system"], "fields": []}, {}), CPU)


def test_questions_differ_in_each_bit_of_the_sample_and_in_the_time() -> None:
    x = torch.zeros(3)
    y = x.clone()
    y[1] = -0.0
    questions = [(x, 1.0), (y, 1.0), (x, 0.5), ([x], 1.0), (object(), 1.0)]
    assert len({digest_of(question_of(one)) for one in questions}) == 5
    assert digest_of(question_of((x, 1.0))) == digest_of(question_of((x.clone(), 1.0)))


TIMES = [
    3,
    3.5,
    torch.tensor([1.0]),
    torch.tensor([2.0]),
    torch.tensor([1]),
    torch.zeros(1, 5),
    torch.ones(1, 5),
]
TIMES += [
    [torch.ones(1), 3],
    [torch.ones(1), 4],
    (torch.ones(1), torch.zeros(1)),
    (torch.zeros(1), torch.ones(1)),
]


def test_moments_are_equal_where_time_steps_are() -> None:
    def moment(sample: Any, time: Any) -> Any:
        return moment_of(time_in(question_of((sample, time))))

    found = [moment(torch.zeros(2), time) for time in TIMES]
    assert found == [moment(torch.ones(3), time) for time in TIMES]
    for number, one in enumerate(found):
        assert [one == other for other in found].index(True) == number


def test_all_generators_are_captured_and_restored() -> None:
    random.gauss(0, 1)
    numpy.random.standard_normal()
    state, seen = generators.capture(CPU), generators.see(CPU)

    def draw() -> list[float]:
        drawn = [random.gauss(0, 1), random.random(), numpy.random.standard_normal(), numpy.random.rand()]
        return [*drawn, torch.rand(()).item()]

    first = draw()
    assert not generators.is_same(seen, generators.see(CPU))
    generators.restore(state, CPU)
    assert generators.is_same(seen, generators.see(CPU)) and draw() == first
    gauss = numpy.random.standard_normal  # each second one takes no further word
    for one in (random.random, numpy.random.rand, lambda: torch.rand(()), gauss, gauss, gauss):
        before = generators.see(CPU)
        one()
        assert not generators.is_same(before, generators.see(CPU))


def steps_of(steps: Steps, times: list[str], on_record: int = 0, moves: tuple[int, ...] = ()) -> list[int]:
    """The evaluations after which a step ended; moves: before which evaluations the bar was moved"""
    ended = []
    for number, at in enumerate([*times, None]):
        if number in moves:
            steps.bar(1, len(moves))
        if steps.ended(number, on_record, at):
            ended.append(number)
    return ended


def test_a_step_is_what_is_asked_at_one_time_step() -> None:
    assert steps_of(Steps({}), ["9", "9", "5", "5", "1", "1"]) == [2, 4, 6]
    assert steps_of(Steps({}), []) == []


def test_the_progress_bar_knows_better() -> None:
    steps = Steps({}, clock=iter(range(100)).__next__)  # a second between two looks
    assert steps_of(steps, ["9", "8", "5", "4"], moves=(2, 4)) == [1, 2, 4]
    assert (steps.number, steps.total) == (3, 2)
    quick = Steps({}, clock=lambda: 0.0)  # which ComfyUI does not tell all
    assert steps_of(quick, ["9", "5", "1"], moves=(1,)) == [1, 2, 3]


def test_what_is_on_record_is_as_it_was() -> None:
    assert steps_of(Steps({3: 1, 4: 2}), ["9", "9", "5", "5", "1"], on_record=4) == [3, 4, 5]


def test_an_evaluation_that_is_asked_once_more_ends_no_step() -> None:
    steps = Steps({})
    assert [steps.ended(0, 0, "9"), steps.ended(1, 1, "5"), steps.ended(1, 1, "5")] == [False, True, False]
    assert steps.number == 1


class Tensor:
    """Stands for one on a device that this machine lacks: it is there, or it is on the host."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    @property
    def data(self) -> Tensor:
        return self

    @data.setter
    def data(self, other: Tensor) -> None:
        self.device = other.device

    def to(self, device: torch.device) -> Tensor:
        return Tensor(str(device))


class Held(Big):
    """A network whose weights are stand-ins."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        self.weights = {f"{number}": Tensor(device) for number, device in enumerate(devices)}

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        return iter(self.weights.items())

    def named_buffers(self, *args: Any, **kwargs: Any) -> Any:
        return iter(())

    def on(self, device: str) -> None:
        for tensor in self.weights.values():
            tensor.device = torch.device(device)

    @property
    def devices(self) -> list[str]:
        return [tensor.device.type for tensor in self.weights.values()]


def test_networks_are_found_in_what_nodes_hand_on() -> None:
    class Patcher:
        def __init__(self, model: Any) -> None:
            self.model, self.name, self.itself = model, "wan", self

    networks = [Big(), Big(), Big()]
    given = [
        {"model": Patcher(networks[0])},
        [(networks[1],)],
        Patcher({"transformer": networks[2]}),
        3,
        None,
    ]
    assert modules_in(given) == networks


def test_weights_are_brought_back_to_where_they_were_when_the_node_began() -> None:
    network, mixed, empty = Held("cpu", "cpu"), Held("cpu", "cuda"), Held("meta")
    where = Whereabouts([network, mixed, empty])
    for one in (network, mixed, empty):
        one.on("cuda")
    at_work = where.bring_back()
    assert (network.devices, mixed.devices, empty.devices) == (["cpu", "cpu"], ["cpu", "cuda"], ["cpu"])
    at_work.bring_back()
    assert network.devices == mixed.devices == ["cuda", "cuda"] and empty.devices == ["cuda"]


def test_a_network_that_is_offloaded_by_others_is_left_to_them() -> None:
    network = Held("cpu")
    network.layers[2]._hf_hook = object()  # type: ignore[assignment]
    where = Whereabouts([network])
    network.on("cuda")
    where.bring_back()
    assert network.devices == ["cuda"]
