"""Bit-identical also where patches of the model remember something from one evaluation to the next."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest
from resuming import check

import graphs
from graphs import Graph
from harness import Comfy

FULL = bool(os.environ.get("MIDRUN_FULL"))
SAMPLERS = ("euler", "dpmpp_2m_sde", "heun", "uni_pc")
PATCHES = ("EasyCache", "LazyCache", "APG", "closure", "attribute", "holder")
CASES: dict[str, Callable[[Graph], Graph]] = {
    name: partial(graphs.remembering, patch=name) for name in PATCHES
}
CASES |= {
    f"{count} keyframes, {guaranteed} guaranteed": partial(
        graphs.keyframed, count=count, guarantee_steps=guaranteed
    )
    for count in (1, 2, 3, 5)
    for guaranteed in (0, 1, 3)
}


def made(
    watched: bool, key: str, gates: str, policy: str, *, case: str, sampler: str, steps: int = 8
) -> Graph:
    graph = graphs.base(sampler, steps=steps, watched=watched, key=key, gates=gates, queue_policy=policy)
    return CASES[case](graph)


@pytest.mark.parametrize("case", CASES)
def test_what_patches_remember_is_kept(comfy: Comfy, case: str) -> None:
    faults = {
        sampler: check(comfy, f"{case}-{sampler}", partial(made, case=case, sampler=sampler))
        for sampler in SAMPLERS
    }
    assert {name: fault for name, fault in faults.items() if fault} == {}
