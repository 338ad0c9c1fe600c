"""Workflows in API format for the tests: one base graph, varied by keyword."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def base(
    sampler: str = "euler",
    *,
    steps: int = 6,
    cfg: float = 4.0,
    seed: int = 5,
    denoise: float = 1.0,
    scheduler: str = "normal",
    watched: bool = True,
    key: str = "",
    gates: str = "",
    kind: str = "EPS",
    pause_at_step: int = 0,
    queue_policy: str = "auto",
    latent: dict[str, Any] | None = None,
    probe: dict[str, Any] | None = None,
) -> Graph:
    """Text to latent with MidrunKSampler; `watched=False` is the same with the stock KSampler."""
    midrun = {"pause_at_step": pause_at_step, "queue_policy": queue_policy} if watched else {}
    return {
        "model": node("TestModel", kind=kind, seed=1, packed=False),
        "probe": node("TestProbe", model=["model", 0], **probe_inputs(key=key, gates=gates, **(probe or {}))),
        "positive": node("TestConditioning", seed=10),
        "negative": node("TestConditioning", seed=11),
        "latent": node("TestLatent", **latent_inputs(**(latent or {}))),
        "sampler": node(
            "MidrunKSampler" if watched else "KSampler",
            model=["probe", 0],
            seed=seed,
            steps=steps,
            cfg=cfg,
            sampler_name=sampler,
            scheduler=scheduler,
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
            denoise=denoise,
            **midrun,
        ),
        "save": node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/test"),
    }


def probe_inputs(**given: Any) -> dict[str, Any]:
    default = {"key": "", "gates": "", "seconds_a_call": 0.0, "fail_at": 0, "deaf": False, "draws": False}
    return default | given


def latent_inputs(**given: Any) -> dict[str, Any]:
    default = {"seed": 0, "size": 16, "batch": 1, "empty": True, "masked": False, "second": False}
    return default | given


def attach(graph: Graph, **options: Any) -> Graph:
    """The same graph with a stock sampler node behind a Midrun Attach."""
    graph = dict(graph)
    graph["attach"] = node("MidrunAttach", model=["probe", 0], **options)
    sampler = graph["sampler"]
    graph["sampler"] = {**sampler, "inputs": {**sampler["inputs"], "model": ["attach", 0]}}
    return graph


def slow_decode(graph: Graph, key: str, seconds: float = 30.0, fails: bool = False) -> Graph:
    """The same graph with a node after the sampler that stands for a VAE decode."""
    graph = dict(graph)
    graph["decode"] = node("TestSlowLatent", samples=["sampler", 0], key=key, seconds=seconds, fails=fails)
    graph["save"] = node("SaveLatent", samples=["decode", 0], filename_prefix="latents/test")
    return graph
