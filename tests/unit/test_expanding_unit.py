"""The two names of a node that another put in its place, and the iterations of a loop."""

from __future__ import annotations

import pytest

from midrun.state.breakpoints.breakpoints import Breakpoint, BreakpointKind, parsed
from midrun.state.errors import BadRequest
from midrun.state.node import Node, is_past, itself, node_of
from test_expanding import FIRST, SECOND

EXPANDED = Node(FIRST, "sampler")
SECOND_ROUND = Node("5.0.0.1_6", "6", (("5", 2),))


def test_a_node_is_called_by_both_its_names() -> None:
    assert EXPANDED.is_called("sampler") and EXPANDED.is_called(FIRST)
    assert not any(EXPANDED.is_called(name) for name in (None, "", "sampl", "sampler.0", SECOND))
    assert not Node("sampler2.0.0.1", "other").is_called("sampler2")  # shown as another one
    assert node_of(SECOND_ROUND.to_json()) == SECOND_ROUND


def test_a_breakpoint_is_about_the_node_and_the_iteration_that_it_names() -> None:
    assert Breakpoint("a", BreakpointKind.STEP, 1, "sampler").is_about(EXPANDED)
    assert Breakpoint("a", BreakpointKind.STEP, 1, FIRST).is_about(EXPANDED)
    assert not Breakpoint("a", BreakpointKind.STEP, 1, SECOND).is_about(EXPANDED)
    assert Breakpoint("a", BreakpointKind.STEP, 1, "6").is_about(SECOND_ROUND)
    assert Breakpoint("a", BreakpointKind.STEP, 1, "6", iteration=2).is_about(SECOND_ROUND)
    assert Breakpoint("a", BreakpointKind.NAN, iteration=2).is_about(SECOND_ROUND)
    assert not Breakpoint("a", BreakpointKind.STEP, 1, "6", iteration=1).is_about(SECOND_ROUND)
    assert not Breakpoint("a", BreakpointKind.NAN, iteration=1).is_about(itself("6"))
    (one,) = parsed([{"kind": "step", "value": 1, "node_id": "6", "iteration": 2}])
    assert one.iteration == 2 and parsed([one.to_json()]) == (one,)
    for odd in (0, -1, 1.5, True, "2"):
        with pytest.raises(BadRequest):
            parsed([{"kind": "nan", "iteration": odd}])


def test_what_runs_in_a_later_iteration_or_behind_the_loop_is_past_an_iteration() -> None:
    def node(*loops: tuple[str, int], name: str = "6") -> Node:
        return Node(f"{name} in {loops}", name, loops)

    needs = {"behind": {"end", "behind"}, "beside": {"beside"}, "inside": {"inner end"}}
    outer, inner, ends = ("5", 2), ("5.0.0.1_7", 1), ["end", "inner end"]

    def past(other: Node, *loops: tuple[str, int]) -> bool:
        return is_past(other, node(*loops), ends, lambda name: needs.get(name, set()))

    assert past(node(("5", 3)), outer) and past(node(("5", 3), inner), outer, inner)
    assert past(node(outer, ("5.0.0.1_7", 2)), outer, inner)
    assert not past(node(outer), outer, inner) and not past(node(outer), outer)
    assert not past(node(("5", 1), ("5.0.0.0_7", 9)), outer, inner)
    assert not past(node(("9", 3)), outer) and not past(node(), outer)
    assert past(node(name="behind"), outer) and past(node(("9", 1), name="behind"), outer)
    assert not past(node(name="beside"), outer)
    assert past(node(outer, name="inside"), outer, inner) and not past(node(outer, name="inside"), outer)
