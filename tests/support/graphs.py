"""Workflows in API format for the tests: one base graph, varied by keyword."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]
# Of Midrun, on every server. Where ComfyUI has loops, MidrunOnce is there, too.
NODES = (
    "MidrunKSampler",
    "MidrunAttach",
    "MidrunBreakpoint",
    "MidrunChoose",
    "MidrunKept",
    "MidrunDemoModel",
)


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
    preview: dict[str, Any] | None = None,
) -> Graph:
    """Text to latent with MidrunKSampler; `watched=False` is the same with the stock KSampler."""
    midrun = {"pause_at_step": pause_at_step, "queue_policy": queue_policy} if watched else {}
    midrun |= {f"preview_{name}": value for name, value in (preview or {}).items()}
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
    default = {"key": "", "gates": "", "seconds": 0.0, "fail_at": 0, "out_of_memory": False}
    return default | {"deaf": False, "draws": False, "hollow": False} | given


def latent_inputs(**given: Any) -> dict[str, Any]:
    default = {"seed": 0, "size": 16, "batch": 1, "empty": True, "masked": False, "second": False}
    return default | given


def slow_decode(graph: Graph, key: str, seconds: float = 30.0, fails: bool = False) -> Graph:
    """The same graph with a node after the sampler that stands for a VAE decode."""
    graph = dict(graph)
    graph["decode"] = node("TestSlowLatent", samples=["sampler", 0], key=key, seconds=seconds, fails=fails)
    graph["save"] = node("SaveLatent", samples=["decode", 0], filename_prefix="latents/test")
    return graph


def advanced(graph: Graph, **inputs: Any) -> Graph:
    """KSamplerAdvanced instead of the sampler node; only for graphs with `watched=False`."""
    old = graph["sampler"]["inputs"]
    kept = ("model", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "latent_image")
    default = {"add_noise": "enable", "noise_seed": old["seed"], "start_at_step": 0, "end_at_step": 10000}
    default["return_with_leftover_noise"] = "disable"
    given = {name: old[name] for name in kept} | default | inputs
    return {**graph, "sampler": node("KSamplerAdvanced", **given)}


def custom(graph: Graph) -> Graph:
    """SamplerCustom instead of the sampler node."""
    old = graph["sampler"]["inputs"]
    given = {name: old[name] for name in ("model", "cfg", "positive", "negative", "latent_image")}
    given |= {
        "add_noise": True,
        "noise_seed": old["seed"],
        "sampler": ["choice", 0],
        "sigmas": ["schedule", 0],
    }
    return {**graph, **_choices(old), "sampler": node("SamplerCustom", **given)}


def double(graph: Graph, single: bool = False, strict: bool = False) -> Graph:
    """SamplerCustom with a sampler in double precision, whatever sampler was chosen."""
    return {**custom(graph), "choice": node("TestDoubleSampler", single=single, strict=strict)}


def custom_advanced(graph: Graph, guider: str = "CFGGuider") -> Graph:
    """SamplerCustomAdvanced with one of ComfyUI's guiders."""
    old = graph["sampler"]["inputs"]
    third = node("TestConditioning", seed=12)
    conds = {
        "CFGGuider": {"positive": ["positive", 0], "negative": ["negative", 0], "cfg": old["cfg"]},
        "BasicGuider": {"conditioning": ["positive", 0]},
        "DualCFGGuider": {
            "cond1": ["positive", 0],
            "cond2": ["third", 0],
            "negative": ["negative", 0],
            "cfg_conds": old["cfg"],
            "cfg_cond2_negative": 2.0,
            "style": "regular",
        },
        "PerpNegGuider": {
            "positive": ["positive", 0],
            "negative": ["negative", 0],
            "empty_conditioning": ["third", 0],
            "cfg": old["cfg"],
            "neg_scale": 1.5,
        },
    }[guider]
    return {
        **graph,
        **_choices(old),
        "third": third,
        "noise": node("RandomNoise", noise_seed=old["seed"]),
        "guider": node(guider, model=old["model"], **conds),
        "sampler": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["choice", 0],
            sigmas=["schedule", 0],
            latent_image=old["latent_image"],
        ),
    }


def _choices(old: dict[str, Any]) -> Graph:
    schedule = {"scheduler": old["scheduler"], "steps": old["steps"], "denoise": old["denoise"]}
    return {
        "choice": node("KSamplerSelect", sampler_name=old["sampler_name"]),
        "schedule": node("BasicScheduler", model=["probe", 0], **schedule),
    }


def behind_attach(graph: Graph, **options: Any) -> Graph:
    """Every use of the model by a sampler or guider goes through a Midrun Attach."""
    graph = {**graph, "attach": node("MidrunAttach", model=["probe", 0], **options)}
    for name in ("sampler", "guider"):
        if "model" in graph.get(name, {}).get("inputs", {}):
            given = {**graph[name]["inputs"], "model": ["attach", 0]}
            graph[name] = {**graph[name], "inputs": given}
    return graph


def area(graph: Graph) -> Graph:
    """A second positive prompt in the left half, and another for the first half of the steps."""
    return {
        **graph,
        "other": node("TestConditioning", seed=20),
        "left": node(
            "ConditioningSetArea", conditioning=["other", 0], width=64, height=128, x=0, y=0, strength=0.7
        ),
        "early": node("ConditioningSetTimestepRange", conditioning=["left", 0], start=0.0, end=0.5),
        "both": node("ConditioningCombine", conditioning_1=["positive", 0], conditioning_2=["early", 0]),
        "sampler": _with(graph["sampler"], positive=["both", 0]),
    }


def controlled(graph: Graph, end: float = 0.9) -> Graph:
    """A ControlNet on both prompts, up to `end` of the noise levels."""
    return {
        **graph,
        "net": node("TestControlNet", seed=3),
        "hint": node("TestHint", size=128),
        "apply": node(
            "ControlNetApplyAdvanced",
            positive=["positive", 0],
            negative=["negative", 0],
            control_net=["net", 0],
            image=["hint", 0],
            strength=0.8,
            start_percent=0.0,
            end_percent=end,
        ),
        "sampler": _with(graph["sampler"], positive=["apply", 0], negative=["apply", 1]),
    }


def packed(graph: Graph) -> Graph:
    """Two latents sampled together in one packed tensor."""
    return {
        **graph,
        "model": node("TestModel", kind="EPS", seed=1, packed=True),
        "latent": node("TestLatent", **latent_inputs(second=True)),
        "unpack": node("TestUnpack", samples=["sampler", 0]),
        "save": node("SaveLatent", samples=["unpack", 0], filename_prefix="latents/test"),
    }


def video(graph: Graph, frames: int = 81, width: int = 832, height: int = 480) -> Graph:
    """81 frames of 832x480. Only with a hollow probe: the model has no layers for it."""
    return {
        **graph,
        "model": node("TestModel", kind="FLOW", seed=1, packed=False, video=True),
        "latent": node("TestVideoLatent", frames=frames, width=width, height=height),
    }


def noted(graph: Graph, key: str, nan_from: int = 0, latent_format: str = "") -> Graph:
    """The same graph; what the sampler's callback is given is kept under `key` for /midrun_test/reference."""
    given = {"key": key, "nan_from": nan_from, "latent_format": latent_format}
    noted = node("TestReference", model=["probe", 0], **given)
    return {**graph, "noted": noted, "sampler": _with(graph["sampler"], model=["noted", 0])}


def image_to_image(graph: Graph, file: str, encoder: str = "VAEEncode") -> Graph:
    """Begins with a picture, and decodes its result with the same VAE."""
    mask = {"mask": ["load", 1], "grow_mask_by": 6} if encoder == "VAEEncodeForInpaint" else {}
    return {
        **graph,
        "vae": node("TestVAE", seed=3),
        "load": node("LoadImage", image=file),
        "latent": node(encoder, pixels=["load", 0], vae=["vae", 0], **mask),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="images/test"),
    }


def tiles(graph: Graph) -> Graph:
    """A third-party node that samples four times in one execution."""
    old = graph["sampler"]["inputs"]
    kept = ("model", "seed", "sampler_name", "positive", "negative", "latent_image")
    return {**graph, "sampler": node("TestTiles", steps=3, **{name: old[name] for name in kept})}


def expanding(graph: Graph, **inputs: Any) -> Graph:
    """A third-party node that becomes two KSamplers in series while it runs."""
    old = graph["sampler"]["inputs"]
    kept = ("model", "seed", "steps", "cfg", "sampler_name", "positive", "negative", "latent_image")
    return {**graph, "sampler": node("TestExpanding", **{name: old[name] for name in kept}, **inputs)}


def looped(graph: Graph, iterations: int = 3, name: str = "loop", cached: bool = False) -> Graph:
    """The sampler in the body of a loop of ComfyUI, each iteration from what the one before it made.

    Each saves a picture, `images/<name>`; at the end the latents of all are saved.
    """
    start = node("StartLoop", mode="simple", cache_iterations=cached, initial_iteration_value=["latent", 0])
    start["inputs"]["mode.num_iterations"] = iterations
    links = {"output_value": ["sampler", 0], "next_iteration_value": ["sampler", 0]}
    links["terminations.termination0"] = ["picture", 0]
    return {
        **graph,
        "start": start,
        "sampler": _with(graph["sampler"], latent_image=["start", 4], denoise=0.7),
        "vae": node("TestVAE", seed=3),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "picture": node("SaveImage", images=["decode", 0], filename_prefix=f"images/{name}"),
        "end": node("EndLoop", accumulate=True, **links),
        "save": node("SaveLatent", samples=["end", 0], filename_prefix="latents/test"),
    }


def nested(graph: Graph) -> Graph:
    """The loop of a looped graph in the body of another one, of two iterations."""
    outer = node("StartLoop", mode="simple", cache_iterations=False, initial_iteration_value=["latent", 0])
    outer["inputs"]["mode.num_iterations"] = 2
    inner = _with(graph["start"], initial_iteration_value=["outer", 4], parent_iteration=["outer", 0])
    links = {"output_value": ["end", 0], "next_iteration_value": ["end", 0]}
    return {
        **graph,
        "outer": outer,
        "start": inner,
        "end": _with(graph["end"], accumulate=False),
        "outer end": node("EndLoop", accumulate=True, **links),
        "save": node("SaveLatent", samples=["outer end", 0], filename_prefix="latents/test"),
    }


def varying(graph: Graph, key: str) -> Graph:
    """The same graph with a node before the sampler that may answer otherwise in each run."""
    given = {"samples": ["latent", 0], "conditioning": ["positive", 0]}
    given["seed"] = graph["sampler"]["inputs"]["seed"]
    links = {"latent_image": ["varying", 0], "positive": ["varying", 1], "seed": ["varying", 2]}
    graph = {**graph, "sampler": _with(graph["sampler"], **links)}
    return graph | {"varying": node("TestVarying", **given, key=key)}


def stubborn(graph: Graph, again: bool, at_the_end: bool = False) -> Graph:
    """A third-party node that catches ComfyUI's interrupt."""
    old = graph["sampler"]["inputs"]
    given = {name: old[name] for name in ("model", "seed", "steps", "positive", "negative", "latent_image")}
    if not at_the_end:
        return {**graph, "sampler": node("TestStubborn", again=again, **given)}
    graph = {name: graph[name] for name in graph if name != "save"}
    return {**graph, "sampler": node("TestStubbornEnd", again=again, **given)}


def in_series(graph: Graph, **inputs: Any) -> Graph:
    """A second sampler that goes on from the first one's latent; what the first one made is saved, too."""
    second = _with(graph["sampler"], latent_image=["sampler", 0], **({"denoise": 0.6} | inputs))
    first_save = node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/first")
    save = node("SaveLatent", samples=["second", 0], filename_prefix="latents/test")
    return {**graph, "second": second, "first_save": first_save, "save": save}


def listed(graph: Graph) -> Graph:
    """Three latents through one sampler."""
    latents = node("TestLatents", seed=7)
    return {**graph, "latent": latents}


def with_dice(graph: Graph, key: str, kept: bool = True) -> Graph:
    """A wildcard before the prompt: a number (which is kept), or a conditioning (which cannot be)."""
    dice = node("TestDice", key=key)
    if kept:
        return {**graph, "dice": dice, "positive": node("TestConditioning", seed=["dice", 0])}
    return {**graph, "dice": dice, "sampler": _with(graph["sampler"], positive=["dice", 1])}


def threaded(graph: Graph) -> Graph:
    """A third-party node that samples on a thread of its own."""
    old = graph["sampler"]["inputs"]
    kept = ("model", "seed", "steps", "positive", "negative", "latent_image")
    return {**graph, "sampler": node("TestThread", **{name: old[name] for name in kept})}


def _with(old: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    return {**old, "inputs": {**old["inputs"], **inputs}}


def remembering(graph: Graph, patch: str, before_probe: bool = False) -> Graph:
    """A patch that remembers on the model: one of TestRemembering's or of ComfyUI's nodes.

    before_probe: applied to the model first, so that its own wrappers go around the probe
    """
    given = {
        "EasyCache": {"reuse_threshold": 0.2, "start_percent": 0.05, "end_percent": 0.95, "verbose": False},
        "LazyCache": {"reuse_threshold": 0.2, "start_percent": 0.05, "end_percent": 0.95, "verbose": False},
        "APG": {"eta": 0.5, "norm_threshold": 5.0, "momentum": -0.5},
    }
    source = ["model", 0] if before_probe else ["probe", 0]
    own = {"model": source, "patch": patch}
    patched = node(patch, model=source, **given[patch]) if patch in given else node("TestRemembering", **own)
    if before_probe:
        return {**graph, "patch": patched, "probe": _with(graph["probe"], model=["patch", 0])}
    return {**graph, "patch": patched, "sampler": _with(graph["sampler"], model=["patch", 0])}


def keyframed(graph: Graph, count: int, guarantee_steps: int) -> Graph:
    """A LoRA hook on the positive prompt whose strength changes at the noise levels of keyframes."""
    given = {"count": count, "guarantee_steps": guarantee_steps}
    hooked = node("TestKeyframes", model=["model", 0], conditioning=["positive", 0], **given)
    return {**graph, "hooked": hooked, "sampler": _with(graph["sampler"], positive=["hooked", 0])}
