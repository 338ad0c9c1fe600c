"""Breakpoints: where they are met, what is none, and how a workflow carries them."""

from __future__ import annotations

from typing import Any

import pytest

from midrun.state.breakpoints.actions import Action
from midrun.state.breakpoints.breakpoints import (
    DEFAULT,
    OF_A_NODE,
    Breakpoint,
    BreakpointKind,
    Observation,
    hit,
    met,
    of_workflow,
    parsed,
)
from midrun.state.errors import BadRequest
from midrun.state.node import itself


@pytest.mark.parametrize(
    ("kind", "value", "seen", "expected"),
    [
        (BreakpointKind.STEP, 3, Observation(3, 1.0), True),
        (BreakpointKind.STEP, 3, Observation(6, 1.0), False),
        (BreakpointKind.EVERY, 3, Observation(6, 1.0), True),
        (BreakpointKind.EVERY, 3, Observation(7, 1.0), False),
        (BreakpointKind.SIGMA_BELOW, 2.0, Observation(1, 1.9), True),
        (BreakpointKind.SIGMA_BELOW, 2.0, Observation(2, 1.9, 2.0), True),
        (BreakpointKind.SIGMA_BELOW, 2.0, Observation(2, 1.8, 1.9), False),
        (BreakpointKind.SIGMA_BELOW, 2.0, Observation(2, 2.0, 3.0), False),
        (BreakpointKind.CHANGE_BELOW, 0.1, Observation(2, 1.0, 2.0, 0.05, 0.2), True),
        (BreakpointKind.CHANGE_BELOW, 0.1, Observation(2, 1.0, 2.0, 0.05, 0.06), False),
        (BreakpointKind.CHANGE_BELOW, 0.1, Observation(2, 1.0, 2.0, None, None), False),
        (BreakpointKind.NAN, None, Observation(2, 1.0), False),
    ],
)
def test_a_breakpoint_is_met_where_it_says(
    kind: BreakpointKind, value: Any, seen: Observation, expected: bool
) -> None:
    assert met(Breakpoint("a", kind, value), itself("3"), seen) is expected
    assert met(Breakpoint("a", kind, value, node_id="3"), itself("3"), seen) is expected
    assert not met(Breakpoint("a", kind, value, node_id="4"), itself("3"), seen)
    assert not met(Breakpoint("a", kind, value, enabled=False), itself("3"), seen)


def test_hits_are_counted_by_breakpoint() -> None:
    one, other = Breakpoint("a", BreakpointKind.NAN), Breakpoint("b", BreakpointKind.EVERY, 2)
    assert [breakpoint.hits for breakpoint in hit((one, other), [other])] == [0, 1]


def test_breakpoints_come_back_from_json_as_they_were() -> None:
    given = (
        *DEFAULT,
        Breakpoint("b", BreakpointKind.STEP, 2, "3:1", enabled=False, action=Action.LOG, hits=4),
    )
    assert parsed([breakpoint.to_json() for breakpoint in given]) == given
    (made,) = parsed([{"kind": "every", "value": 5}])
    assert made.id and (made.value, made.enabled, made.action) == (5, True, Action.PAUSE)


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        [5],
        [{"kind": "code", "value": "1 + 1"}],
        [{"kind": "step"}],
        [{"kind": "step", "value": 1.5}],
        [{"kind": "sigma_below", "value": 0}],
        [{"kind": "every", "value": float("nan")}],
        [{"kind": "every", "value": True}],
        [{"kind": "nan", "enabled": 1}],
        [{"kind": "nan", "id": 5}],
        [{"kind": "nan", "more": 5}],
        [{"kind": "nan", "id": "a"}, {"kind": "nan", "id": "a"}],
        [{"kind": "nan"}] * 101,
    ],
)
def test_what_is_no_breakpoint_is_refused(given: Any) -> None:
    with pytest.raises(BadRequest):
        parsed(given)


def test_nodes_of_a_workflow_carry_breakpoints_also_in_subgraphs() -> None:
    def node(number: int, kind: str, *given: Any) -> dict[str, Any]:
        return {"id": number, "type": kind, "properties": {OF_A_NODE: list(given)}}

    inner = {"id": "uuid", "nodes": [node(1, "KSampler", {"kind": "nan", "id": "in"}), node(2, "uuid")]}
    workflow = {
        "nodes": [
            node(3, "KSampler", {"kind": "step", "value": 2, "id": "out"}, {"kind": "?"}),
            node(7, "uuid"),
        ],
        "definitions": {"subgraphs": [inner, 5]},
    }
    found = of_workflow({"extra_pnginfo": {"workflow": workflow}})
    assert {(one.id, one.kind, one.node_id) for one in found} >= {("out", BreakpointKind.STEP, "3")}
    assert {one.node_id for one in found if one.id == "in"} <= {"7:" + "2:" * n + "1" for n in range(17)}
    for odd in ({}, {"extra_pnginfo": 5}, {"extra_pnginfo": {"workflow": {"nodes": [None, {"id": 1}]}}}):
        assert of_workflow(odd) == ()
