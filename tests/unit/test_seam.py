"""What is put in the way of torch while a node with a loop of its own runs, and is gone afterwards."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from in_process import use_comfyui

kept = use_comfyui()

import comfy.model_management as mm  # noqa: E402

from midrun.nodes.foreign.seam import Seam  # noqa: E402

Module = torch.nn.Module
TORCHS = Module.__call__


class Network(Module):
    def __init__(self, inner: Module | None = None) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in range(12))
        self.inner = inner
        self.calls: list[Any] = []

    def forward(self, x: Any, timestep: Any) -> Any:
        self.calls.append(Module.__call__)
        for layer in self.layers:
            x = layer(x)
        return x if self.inner is None else self.inner(x, timestep)


class Watched:
    """A seam that answers as ever, and who came by."""

    def __init__(self) -> None:
        self.asked: list[Module] = []
        self.elsewhere: list[Module] = []
        self.seam = Seam(self.answer, self.elsewhere.append)

    def answer(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.asked.append(module)
        return self.seam.as_ever(module, args, kwargs)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    made.seam.put()
    yield made
    made.seam.take_back()
    assert Module.__call__ is TORCHS


def test_only_the_outermost_call_of_a_network_is_one(watched: Watched) -> None:
    network = Network(Network())
    assert network(1, 2) == 1 and network(3, timestep=2) == 3 and torch.nn.Identity()(4) == 4
    assert watched.asked == [network, network]


def test_it_is_put_there_once_and_not_for_each_evaluation(watched: Watched) -> None:
    network = Network()
    ours = Module.__call__
    network(1, 2)
    assert ours is not TORCHS and network.calls == [ours] and Module.__call__ is ours


def test_a_network_that_fails_is_asked_again(watched: Watched) -> None:
    network = Network()
    with pytest.raises(TypeError):
        network(1, 2, 3)
    network(1, 2)
    assert watched.asked == [network, network]


def test_each_layer_of_a_network_at_work_heeds_an_interrupt(watched: Watched) -> None:
    network = Network()
    network.layers[5].register_forward_hook(lambda *given: mm.interrupt_current_processing(True))
    seen: list[int] = []
    network.layers[7].register_forward_hook(lambda *given: seen.append(7))
    with pytest.raises(mm.InterruptProcessingException):
        network(1, 2)
    assert seen == [] and not mm.processing_interrupted()


def test_another_thread_is_told_of_and_left_alone(watched: Watched) -> None:
    network = Network()
    thread = threading.Thread(target=network, args=(1, 2))
    thread.start()
    thread.join()
    assert watched.elsewhere == [network] and watched.asked == []


class Plain(Network):
    def forward(self, x: Any, timestep: Any) -> Any:
        for layer in self.layers:
            x = layer(x) + 1
        return x


@pytest.mark.parametrize("part", [False, True])
def test_a_network_that_the_node_compiles_is_one(watched: Watched, part: bool) -> None:
    """And torch traces what it traces without the seam: no break, no second graph."""
    graphs: list[Any] = []

    def backend(graph: Any, examples: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    network = Plain()
    inner: Any = torch.compile(network, backend=backend, fullgraph=True)
    asked: Any = Network(inner) if part else inner
    for _ in range(2):
        assert asked(torch.zeros(2), torch.ones(1)).tolist() == [12.0, 12.0]
    assert len(graphs) == 1 and watched.asked == [asked, asked]


def test_whoever_put_something_around_it_finds_that_it_only_passes_on() -> None:
    watched, network = Watched(), Network()
    watched.seam.put()
    ours = Module.__call__

    def around(module: Module, *args: Any, **kwargs: Any) -> Any:
        return ours(module, *args, **kwargs)

    Module.__call__ = around
    try:
        watched.seam.take_back()
        assert Module.__call__ is around and network(1, 2) == 1 and watched.asked == []
    finally:
        Module.__call__ = TORCHS


def test_layers_pass_by_the_frame_that_torch_puts_around_them(watched: Watched) -> None:
    depths: list[int] = []

    def told(*given: Any) -> None:
        depths.append(sum(frame.name == "_wrapped_call_impl" for frame in traceback.extract_stack()))

    network = Network()
    network.layers[5].register_forward_pre_hook(told)
    network(1, 2)
    watched.seam.take_back()
    network(1, 2)
    assert depths == [1, 2], "of the network, and of the layer where the seam is not in place"


def test_whoever_was_there_before_sees_each_layer() -> None:
    seen: list[Module] = []

    def before(module: Module, *args: Any, **kwargs: Any) -> Any:
        seen.append(module)
        return TORCHS(module, *args, **kwargs)

    watched, network = Watched(), Network()
    Module.__call__ = before
    try:
        watched.seam.put()
        assert network(1, 2) == 1 and seen == [network, *network.layers]
        watched.seam.take_back()
        assert Module.__call__ is before
    finally:
        Module.__call__ = TORCHS


def test_it_may_be_taken_back_while_a_network_is_at_work(watched: Watched) -> None:
    network = Network()
    network.layers[5].register_forward_hook(lambda *given: watched.seam.take_back())
    assert network(1, 2) == 1 and Module.__call__ is TORCHS
    network(1, 2)
    assert watched.asked == [network]
