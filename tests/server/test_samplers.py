"""Whatever is sampled, and however, resumes bit-identically: holding the queue worker, or parked and queued
again, each interrupted inside its first evaluation, at half and inside its last; see interruption_points."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch

import graphs
from graphs import Graph
from harness import ROOT, Comfy
from resuming import check, run_interrupted, run_stock

SAMPLERS = ("euler", "dpmpp_2m_sde", "dpm_adaptive", "euler_ancestral_cfg_pp", "uni_pc")


def simple(watched: bool, key: str, gates: str, policy: str, **options: object) -> Graph:
    """MidrunKSampler, or the stock one."""
    return graphs.base(watched=watched, key=key, gates=gates, queue_policy=policy, **options)


def attached(
    watched: bool, key: str, gates: str, policy: str, *, change: Callable[[Graph], Graph], **options: object
) -> Graph:
    """A stock sampler node, behind a Midrun Attach or not."""
    graph = change(graphs.base(watched=False, key=key, gates=gates, **options))
    return graphs.behind_attach(graph, queue_policy=policy) if watched else graph


IMAGE = {"empty": False, "seed": 4}
VARIATIONS = {
    "denoise below 1": partial(simple, denoise=0.6, latent=IMAGE),
    "inpaint mask": partial(simple, denoise=0.8, latent=IMAGE | {"masked": True}),
    "batch": partial(simple, latent={"batch": 3}),
    "cfg 1": partial(simple, cfg=1.0),
    "a model that draws random numbers": partial(simple, probe={"draws": True}),
    "v-prediction": partial(simple, kind="V_PREDICTION"),
    "flow": partial(simple, kind="FLOW", scheduler="simple"),
    "KSampler": partial(attached, change=lambda graph: graph),
    "area": partial(attached, change=graphs.area),
    "ControlNet": partial(attached, change=graphs.controlled),
    "add_noise disabled": partial(
        attached, change=partial(graphs.advanced, add_noise="disable", start_at_step=2), latent=IMAGE
    ),
    "leftover noise": partial(
        attached, change=partial(graphs.advanced, return_with_leftover_noise="enable", end_at_step=4)
    ),
    "SamplerCustom": partial(attached, change=graphs.custom),
    "CFGGuider": partial(attached, change=graphs.custom_advanced),
    "DualCFGGuider": partial(attached, change=partial(graphs.custom_advanced, guider="DualCFGGuider")),
    "PerpNegGuider": partial(attached, change=partial(graphs.custom_advanced, guider="PerpNegGuider")),
    "BasicGuider": partial(attached, change=partial(graphs.custom_advanced, guider="BasicGuider")),
    "packed latents": partial(attached, change=lambda graph: graphs.packed(graph)),
    "double precision": partial(attached, change=graphs.double),
    "double precision shown as single": partial(attached, change=partial(graphs.double, single=True)),
    "many calls in one node": partial(attached, change=graphs.tiles),
}


def all_samplers(comfy: Comfy) -> list[str]:
    options = comfy.get("/object_info/KSampler")["KSampler"]["input"]["required"]["sampler_name"]
    names = options[0] if isinstance(options[0], list) else options[1]["options"]
    return [name for name in names if name != "ar_video"]  # samples only autoregressive video models


@pytest.mark.timeout(900)
def test_every_sampler_resumes_bit_identically(comfy: Comfy) -> None:
    names = all_samplers(comfy)
    assert len(names) >= 42
    faults = {
        name: check(comfy, f"all-{name}", partial(simple, sampler=name), policies(number))
        for number, name in enumerate(names)
    }
    print(f"{list(faults.values()).count(None)} of {len(names)} samplers resume bit-identically")
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_a_sampler_that_midrun_never_heard_of_is_among_them(comfy: Comfy) -> None:
    """A newer ComfyUI has others: nothing but its own list says which there are."""
    names = all_samplers(comfy)
    assert "midrun_unheard_of" in names  # of the test pack
    files = [file for file in ROOT.glob("**/*.py") if file.relative_to(ROOT).parts[0] in ("nodes", "state")]
    files += [file for file in ROOT.glob("*.py") if file.name != "dev.py"]
    constants = {
        (file.name, node.value)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    assert constants == set()
    scripts = [file.read_text(encoding="utf-8") for file in (ROOT / "web").glob("**/*.js")]
    assert [name for name in names if any(f'"{name}"' in script for script in scripts)] == []


def policies(number: int) -> tuple[str, ...]:
    """Both with MIDRUN_FULL=1; in an ordinary run one after the other."""
    return ("hold", "park") if os.environ.get("MIDRUN_FULL") else ("hold", "park")[number % 2 :][:1]


def chosen(variation: str) -> list[str]:
    """All five with MIDRUN_FULL=1; in an ordinary run one, another one for each variation."""
    number = list(VARIATIONS).index(variation) % len(SAMPLERS)
    return list(SAMPLERS) if os.environ.get("MIDRUN_FULL") else [SAMPLERS[number]]


@pytest.mark.parametrize("variation", VARIATIONS)
def test_every_kind_of_sampling_resumes_bit_identically(comfy: Comfy, variation: str) -> None:
    make = VARIATIONS[variation]
    among = list(VARIATIONS).index(variation)
    faults = {
        name: check(comfy, f"{variation}-{name}", partial(make, sampler=name), policies(among + number))
        for number, name in enumerate(chosen(variation))
    }
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_a_resumed_sampler_draws_hardly_more_than_an_uninterrupted_one(comfy: Comfy, policy: str) -> None:
    drawn = [comfy.probe()["drawn"]]
    options = {"sampler": "dpmpp_2m_sde", "steps": 8, "queue_policy": policy}
    expected, _ = run_stock(comfy, graphs.base(watched=False, key="drawn", **options), "drawn")
    drawn.append(comfy.probe()["drawn"])
    key = f"drawn-{policy}"
    latent, _ = run_interrupted(comfy, graphs.base(key=key, gates="3,7", **options), key, [3, 7])
    drawn.append(comfy.probe()["drawn"])
    assert torch.equal(latent, expected)
    stock, watched = (after - before for before, after in pairwise(drawn))
    assert (stock, watched) == (7, 7 + 2), "once more for each resume, to prove the tree"
