"""What is put into a prompt graph on its way to the queue comes out again, and touches nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midrun.state.workflow.instrument import break_before, once, plain, watch_all

TYPES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "Loader": ({"name": "STRING"}, ("MODEL", "CLIP", "VAE")),
    "Lora": ({"model": "MODEL"}, ("MODEL",)),
    "KSampler": ({"model": "MODEL", "latent": "LATENT"}, ("LATENT",)),
    "MidrunKSampler": ({"model": "MODEL", "latent": "LATENT"}, ("LATENT",)),
    "DualGuider": ({"model": "MODEL", "second": "MODEL"}, ("GUIDER",)),
    "MidrunAttach": ({"model": "MODEL"}, ("MODEL",)),
    "Decode": ({"samples": "LATENT", "vae": "VAE"}, ("IMAGE",)),
    "WanLoader": ({}, ("WANVIDEOMODEL", "WANTEXTEMBEDS")),
    "WanSampler": ({"model": "WANVIDEOMODEL", "text": "WANTEXTEMBEDS", "vae": "VAE"}, ("LATENT",)),
    "Upscale": ({"upscale_model": "UPSCALE_MODEL", "image": "IMAGE"}, ("IMAGE",)),
}


def types_of(kind: str) -> tuple[dict[str, str], tuple[str, ...]]:
    return TYPES.get(kind, ({}, ()))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "1": node("Loader", name="a"),
    "2": node("Lora", model=["1", 0]),
    "2:3": node("KSampler", model=["2", 0], latent=["9", 0], cfg=5.0),
    "4": node("MidrunKSampler", model=["2", 0], latent=["2:3", 0]),
    "5": node("DualGuider", model=["2", 0], second=["1", 0]),
    "6": node("MidrunAttach", model=["2", 0]),
    "7": node("KSampler", model=["6", 0], latent=["4", 0]),
    "8": node("Decode", samples=["7", 0], vae=["1", 2]),
}


def test_every_sampler_and_guider_gets_its_models_watched_once() -> None:
    before = copy.deepcopy(GRAPH)
    made = watch_all(GRAPH, types_of)
    assert before == GRAPH
    new = {node_id: made[node_id]["inputs"]["model"] for node_id in made.keys() - GRAPH.keys()}
    assert new == {"midrun-watch-2-0": ["2", 0], "midrun-watch-1-0": ["1", 0]}
    assert made["2:3"]["inputs"] == {"model": ["midrun-watch-2-0", 0], "latent": ["9", 0], "cfg": 5.0}
    assert made["5"]["inputs"] == {"model": ["midrun-watch-2-0", 0], "second": ["midrun-watch-1-0", 0]}
    assert [made[node_id] for node_id in ("2", "4", "6", "7", "8")] == [
        GRAPH[node_id] for node_id in ("2", "4", "6", "7", "8")
    ]
    assert plain(made) == GRAPH


def test_a_break_is_on_one_link_and_waits_for_the_others() -> None:
    made = break_before(GRAPH, ["8", "nobody", "1", "8"])
    first, last = "midrun-break-8-samples", "midrun-break-8-vae"
    assert made.keys() - GRAPH.keys() == {first, last}
    assert made["8"]["inputs"] == {"samples": ["7", 0], "vae": [last, 0]}
    assert made[first]["inputs"] == {"value": ["7", 0], "before": "8", "stops": False}
    stopping = {"value": ["1", 2], "before": "8", "stops": True, "after": [first, 0], "of": "{}"}
    assert made[last]["inputs"] == stopping
    assert plain(made) == GRAPH


def test_a_break_does_not_wait_for_lazy_links() -> None:
    made = break_before(GRAPH, ["8"], lambda kind: frozenset({"vae"}))
    assert made.keys() - GRAPH.keys() == {"midrun-break-8-samples"}
    made = break_before(GRAPH, ["8"], lambda kind: frozenset({"vae", "samples"}))
    assert made.keys() - GRAPH.keys() == {"midrun-break-8-samples"}


def test_a_node_that_the_user_put_there_stays() -> None:
    assert plain(GRAPH) is GRAPH
    assert plain({"midrun-x": node("Loader", name="a")}) == {"midrun-x": node("Loader", name="a")}


@pytest.mark.parametrize("odd", [{}, {"1": 5}, {"1": {"class_type": "KSampler", "inputs": []}}])
def test_a_graph_that_is_none_is_left_as_it_is(odd: Any) -> None:
    assert watch_all(odd, types_of) == break_before(odd, ["1"]) == plain(odd) == odd


@given(st.data())
def test_what_was_put_in_comes_out_again(data: Any) -> None:
    graph: dict[str, Any] = {}
    for number in range(data.draw(st.integers(1, 7))):
        kind = data.draw(st.sampled_from(sorted(TYPES)))
        given = {
            name: 1 if number == 0 else [str(data.draw(st.integers(0, number - 1))), 0]
            for name in TYPES[kind][0]
        }
        graph[str(number)] = node(kind, **given)
    chosen = data.draw(st.lists(st.sampled_from(sorted(graph))))
    assert plain(break_before(watch_all(graph, types_of), chosen)) == graph
    assert plain(watch_all(break_before(graph, chosen), types_of)) == graph


LOOP = {
    "start": node("StartLoop", first=["9", 0]),
    "sampler": node("KSampler", latent=["start", 4]),
    "decode": node("Decode", samples=["sampler", 0], vae=["1", 2]),
    "kept": node("SaveImage", images=["decode", 0], name="a"),
    "used": node("SaveImage", images=["decode", 0]),
    "end": node(
        "EndLoop", output_value=["used", 0], **{"terminations.0": ["kept", 0], "terminations.1": ["used", 0]}
    ),
    "after": node("SaveImage", images=["end", 0]),
}


def saves(kind: str) -> bool:
    return kind == "SaveImage"


def test_what_a_loop_saves_is_put_between_what_keeps_it_from_being_saved_twice() -> None:
    made = once(LOOP, lambda kind: kind == "EndLoop", saves)
    before, behind = "midrun-once-kept-images", "midrun-once-end-terminations.0"
    assert made.keys() - LOOP.keys() == {before, behind}, "not around what is wanted, nor after the loop"
    assert made["kept"]["inputs"] == {"images": [before, 0], "name": "a"}
    assert made[before]["inputs"] == {"value": ["decode", 0], "blocks": True}
    assert made["end"]["inputs"]["terminations.0"] == [behind, 0]
    assert made[behind]["inputs"] == {"value": ["kept", 0], "blocks": False}
    assert plain(made) == LOOP
    assert once(LOOP, lambda kind: False, saves) == LOOP


def test_a_node_that_samples_a_model_of_another_pack_is_watched_through_that_wire_alone() -> None:
    graph = {
        "1": node("WanLoader"),
        "2": node("WanSampler", model=["1", 0], text=["1", 1], vae=["9", 2]),
        "3": node("Upscale", upscale_model=["8", 0], image=["2", 0]),
    }
    made = watch_all(graph, types_of)
    assert made["midrun-watch-1-0"]["inputs"] == {"model": ["1", 0]} and len(made) == 4
    assert made["2"]["inputs"] == {"model": ["midrun-watch-1-0", 0], "text": ["1", 1], "vae": ["9", 2]}
    assert plain(made) == graph
