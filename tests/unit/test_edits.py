"""Edits and verdicts over plain graphs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midrun.state.workflow.edits import (
    Edit,
    applied,
    changed,
    difference,
    from_json,
    pending,
    summary,
    taken_back,
    to_json,
    with_edits,
    without_pending,
)
from midrun.state.workflow.input_values import Definition, refusal
from midrun.state.workflow.verdicts import Progress, Sampled, VerdictKind, ancestors, verdict

LATER = {"from_step": 8, "in_node": None, "chosen": False}
CFG = ("3", "cfg")


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


LINKS = {"model": ["2", 0], "positive": ["4", 0]}
GRAPH = {
    "1": node("CheckpointLoaderSimple", ckpt_name="a"),
    "2": node("LoraLoaderModelOnly", model=["1", 0], strength_model=1.0),
    "4": node("CLIPTextEncode", clip=["1", 1], text="a cat"),
    "5": node("EmptyLatentImage", width=512),
    "6": node("PrimitiveInt", value=20),
    "3": node(
        "KSampler", model=["2", 0], positive=["4", 0], latent_image=["5", 0], cfg=7.0, steps=["6", 0], seed=1
    ),
    "12:7": node("LatentUpscale", samples=["3", 0], width=1024),
    "13": node(
        "KSampler", model=["2", 0], positive=["4", 0], latent_image=["12:7", 0], cfg=5.0, steps=4, seed=2
    ),
    "8": node("VAEDecode", samples=["13", 0], vae=["1", 2]),
    "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
    "20": node("ThirdPartySampler", thing=["21", 0], strange=["22", 0], cfg=3.0, power=1.0),
    "21": node("MakesModel", x=1),
    "22": node("MakesSomething", y=1),
}
TYPES = {("ThirdPartySampler", "thing"): "MODEL", ("ThirdPartySampler", "strange"): "WIDGET"}


@pytest.mark.parametrize(
    ("node_id", "name", "sampler", "finished", "kind"),
    [
        ("3", "cfg", "3", False, VerdictKind.LIVE),
        ("2", "strength_model", "3", False, VerdictKind.LIVE),
        ("4", "text", "3", False, VerdictKind.LIVE),
        ("1", "ckpt_name", "3", False, VerdictKind.LIVE),
        ("6", "value", "3", False, VerdictKind.SCHEDULE),
        ("3", "seed", "3", False, VerdictKind.CONSUMED),
        ("5", "width", "3", False, VerdictKind.CONSUMED),
        ("12:7", "width", "3", False, VerdictKind.DOWNSTREAM),
        ("13", "cfg", "3", False, VerdictKind.DOWNSTREAM),
        ("9", "filename_prefix", "3", False, VerdictKind.DOWNSTREAM),
        # in the second sampler
        ("3", "cfg", "13", False, VerdictKind.CONSUMED),
        ("6", "value", "13", False, VerdictKind.CONSUMED),
        ("12:7", "width", "13", False, VerdictKind.CONSUMED),
        ("2", "strength_model", "13", False, VerdictKind.LIVE),
        ("13", "steps", "13", False, VerdictKind.SCHEDULE),
        # after it
        ("13", "cfg", "13", True, VerdictKind.CONSUMED),
        ("2", "strength_model", "13", True, VerdictKind.CONSUMED),
        ("1", "ckpt_name", "13", True, VerdictKind.DOWNSTREAM),  # its VAE decodes
        ("8", "x", "13", True, VerdictKind.DOWNSTREAM),
        # the first is finished, the second has not begun
        ("4", "text", "3", True, VerdictKind.DOWNSTREAM),
        ("5", "width", "3", True, VerdictKind.CONSUMED),
        # nothing has sampled
        ("5", "width", None, False, VerdictKind.LIVE),
        # nodes that another one put in its place
        ("3", "cfg", "3.0.1", False, VerdictKind.LIVE),
        # unknown samplers
        ("21", "x", "20", False, VerdictKind.LIVE),
        ("20", "cfg", "20", False, VerdictKind.LIVE),
        ("22", "y", "20", False, VerdictKind.CAUTION),
        ("20", "power", "20", False, VerdictKind.CAUTION),
    ],
)
def test_a_verdict_follows_the_links(
    node_id: str, name: str, sampler: str | None, finished: bool, kind: VerdictKind
) -> None:
    progress = Progress.DONE if finished else Progress.GOING
    sampled = () if sampler is None else (Sampled(sampler, progress),)
    found = verdict(GRAPH, node_id, name, sampled, lambda *key: TYPES.get(key))
    assert found.kind is kind and found.reason
    assert found.used_by == (sampled[0] if kind is VerdictKind.CONSUMED else None)


@pytest.mark.parametrize(
    ("node_id", "name", "first", "second", "kind", "used_by"),
    [
        # the second samples, the first is done
        ("3", "cfg", Progress.DONE, Progress.GOING, VerdictKind.CONSUMED, "3"),
        ("3", "seed", Progress.DONE, Progress.GOING, VerdictKind.CONSUMED, "3"),
        ("5", "width", Progress.DONE, Progress.GOING, VerdictKind.CONSUMED, "3"),
        ("12:7", "width", Progress.DONE, Progress.GOING, VerdictKind.CONSUMED, "13"),
        ("13", "seed", Progress.DONE, Progress.GOING, VerdictKind.CONSUMED, "13"),
        ("13", "cfg", Progress.DONE, Progress.GOING, VerdictKind.LIVE, None),
        ("4", "text", Progress.DONE, Progress.GOING, VerdictKind.LIVE, None),
        # the second has computed nothing
        ("3", "cfg", Progress.DONE, Progress.BEGUN, VerdictKind.CONSUMED, "3"),
        ("5", "width", Progress.DONE, Progress.BEGUN, VerdictKind.CONSUMED, "3"),
        ("4", "text", Progress.DONE, Progress.BEGUN, VerdictKind.LIVE, None),
        ("13", "seed", Progress.DONE, Progress.BEGUN, VerdictKind.LIVE, None),
        ("12:7", "width", Progress.DONE, Progress.BEGUN, VerdictKind.LIVE, None),
        # both are done
        ("4", "text", Progress.DONE, Progress.DONE, VerdictKind.CONSUMED, "3"),
        ("13", "cfg", Progress.DONE, Progress.DONE, VerdictKind.CONSUMED, "13"),
        ("9", "filename_prefix", Progress.DONE, Progress.DONE, VerdictKind.DOWNSTREAM, None),
        # a schedule that was made to end goes on, and nothing else does
        ("13", "steps", Progress.DONE, Progress.CUT, VerdictKind.SCHEDULE, None),
        ("13", "cfg", Progress.DONE, Progress.CUT, VerdictKind.CONSUMED, "13"),
        # nothing is computed
        ("5", "width", Progress.BEGUN, Progress.BEGUN, VerdictKind.LIVE, None),
    ],
)
def test_what_was_used_up_names_the_earliest_sampler_that_used_it(
    node_id: str, name: str, first: Progress, second: Progress, kind: VerdictKind, used_by: str | None
) -> None:
    sampled = Sampled("3", first), Sampled("13", second)
    found = verdict(GRAPH, node_id, name, sampled, lambda *key: TYPES.get(key))
    assert found.kind is kind
    assert (found.used_by and found.used_by.node_id) == used_by


def test_a_graph_that_runs_in_circles_has_verdicts() -> None:
    graph = {"1": node("A", x=["2", 0]), "2": node("B", x=["1", 0])}
    sampled = (Sampled("2", Progress.GOING),)
    assert verdict(graph, "1", "x", sampled, lambda *key: None).kind is VerdictKind.CAUTION


def test_an_edit_is_pending_then_applied_then_followed_by_the_next() -> None:
    history = changed({}, CFG, Edit(7.0, 4.0))
    history = changed(history, CFG, Edit(7.0, 5.0))
    assert pending(history) == {CFG: Edit(7.0, 5.0)}
    history = applied(history, pending(history), 8)
    assert pending(history) == {}
    history = changed(history, CFG, Edit(5.0, 2.0))
    assert summary(history) == {"3": {"cfg": {"from": 5.0, "to": 2.0, "from_step": None}}}
    assert to_json(without_pending(history)) == {"3": {"cfg": [{"from": 7.0, "to": 5.0} | LATER]}}
    assert from_json(to_json(history)) == history


def test_an_edit_back_to_what_is_in_force_is_none() -> None:
    history = changed({}, CFG, Edit(7.0, 4.0))
    assert changed(history, CFG, Edit(7.0, 7.0)) == {}


def test_an_edit_made_while_another_is_taken_into_a_run_stays_pending() -> None:
    history = changed({}, CFG, Edit(7.0, 4.0))
    taken = pending(history)
    history = applied(changed(history, CFG, Edit(7.0, 2.0)), taken, 8)
    assert summary(history)["3"]["cfg"] == {"from": 7.0, "to": 2.0, "from_step": None}
    assert to_json(history)["3"]["cfg"][0] == {"from": 7.0, "to": 4.0} | LATER


def test_an_edit_that_was_never_pending_follows_those_that_were_applied() -> None:
    """As a whole graph that takes the place of the job's makes them."""
    history = applied({}, {CFG: Edit(8.0, 5.0)}, 2)
    history = applied(history, {CFG: Edit(5.0, 3.0)}, 4)
    assert [edit.after for edit in history["3"]["cfg"]] == [5.0, 3.0]
    assert taken_back(history, lambda edit: True) == ({}, {CFG: Edit(3.0, 8.0)})


def test_edits_are_made_in_a_copy() -> None:
    edited = with_edits(GRAPH, {CFG: Edit(7.0, 4.0)})
    assert edited["3"]["inputs"]["cfg"] == 4.0 and GRAPH["3"]["inputs"]["cfg"] == 7.0


def test_the_difference_of_two_graphs_knows_links_and_converted_widgets() -> None:
    after = with_edits(GRAPH, {CFG: Edit(7.0, ["6", 0])})
    del after["9"]
    del after["3"]["inputs"]["seed"]
    after["30"] = node("New", x=1)
    assert difference(GRAPH, after) == {CFG: Edit(7.0, ["6", 0]), ("3", "seed"): Edit(1, None)}


@pytest.mark.parametrize(
    ("definition", "good", "bad"),
    [
        (Definition("INT", min=1, max=10), [1, 10], [0, 11, 1.5, "1", True, None, float("nan"), [1], {}]),
        (
            Definition("FLOAT", min=0.0),
            [0, 2.5],
            [-0.1, "2", False, float("nan"), float("inf"), 10**400, ["3", 0]],
        ),
        (Definition("STRING"), ["", "x" * 10**6], [1, None, True]),
        (Definition("BOOLEAN"), [True, False], [0, "true", None]),
        (Definition("COMBO", ("a", "b")), ["a"], ["c", None, 3, ["a"]]),
    ],
)
def test_values_are_refused_in_a_sentence(definition: Definition, good: list[Any], bad: list[Any]) -> None:
    assert [refusal(definition, value) for value in good] == [None] * len(good)
    assert all(refusal(definition, value) for value in bad)


NAMES = ("model", "positive", "latent_image", "sigmas", "cfg", "samples", "x")


@given(st.data())
def test_what_a_verdict_says_of_any_graph_is_true(data: Any) -> None:
    """downstream: no way leads to the sampler but to what is used up; consumed: no other way does."""
    size = data.draw(st.integers(2, 8))
    graph: dict[str, Any] = {}
    for number in range(size):
        names = data.draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
        links = {name: [str(data.draw(st.integers(0, max(0, number - 1)))), 0] for name in names if number}
        graph[str(number)] = node("N", value=1, **links)
    sampler, edited = (str(data.draw(st.integers(0, size - 1))) for _ in range(2))
    sampled = (Sampled(sampler, Progress.GOING),)
    found = verdict(graph, edited, "value", sampled, lambda *key: None).kind
    slots = {
        name
        for name, value in graph[sampler]["inputs"].items()
        if isinstance(value, list) and edited in ancestors(graph, value[0])
    }
    consumed = {"latent_image", "samples"}
    if edited == sampler:
        assert found is VerdictKind.CAUTION
    elif found is VerdictKind.DOWNSTREAM:
        assert slots <= consumed
    elif found is VerdictKind.CONSUMED:
        assert slots and slots <= consumed
    else:
        assert slots - consumed
