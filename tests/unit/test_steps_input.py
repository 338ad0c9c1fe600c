"""Which input says how many steps a node samples."""

from __future__ import annotations

from typing import Any

from graphs import base, custom, node
from midrun.state.workflow.steps_input import ends_before, steps_input


def test_it_is_the_sampler_s_own_or_of_the_one_node_that_makes_its_sigmas() -> None:
    assert steps_input(base(), "sampler") == ("sampler", "steps")
    apart = custom(base(watched=False))
    assert steps_input(apart, "sampler") == ("schedule", "steps")
    apart["split"] = node("SplitSigmas", sigmas=["schedule", 0], step=2)
    apart["sampler"]["inputs"]["sigmas"] = ["split", 1]
    assert steps_input(apart, "sampler") == ("schedule", "steps")
    apart["other"] = node("BasicScheduler", steps=4)
    apart["split"] = node("Joined", first=["schedule", 0], second=["other", 0])
    assert steps_input(apart, "sampler") is None, "which of the two is anybody's guess"


def test_a_connected_number_is_where_it_is_typed() -> None:
    graph: dict[str, Any] = base()
    graph["sampler"]["inputs"]["steps"] = ["number", 0]
    graph["number"] = node("PrimitiveInt", value=12)
    assert steps_input(graph, "sampler") == ("number", "value")
    graph["number"] = node("Computed", text="12")
    assert steps_input(graph, "sampler") is None
    assert steps_input(graph, "save") is None


def test_a_node_that_ends_within_its_schedule_is_known() -> None:
    graph = {"sampler": node("KSamplerAdvanced", steps=10, end_at_step=8)}
    assert ends_before(graph, "sampler", 12) == 8 and ends_before(graph, "sampler", 8) is None
    assert ends_before(base(), "sampler", 99) is None
