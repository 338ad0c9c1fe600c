"""What is otherwise here than where a job was computed, and what to do about it. Pure functions."""

from __future__ import annotations

from ..surroundings import Difference, ModelFile, Pack, Surroundings

TOLD = {  # value -> how a person calls it; a difference in one of these may change what the model answers
    "torch": "PyTorch",
    "device": "The device",
    "attention": "The attention function",
    "precision": "The precision of the model",
    "threads": "The number of CPU threads",
    "cpu": "The CPU's instruction set",
    "comfyui": "ComfyUI",
    "patches": "What patches the model",
    "weights": "What the model's weights are, in samples of them,",
}
BESIDE = {"midrun": "Midrun", "python": "Python"}  # which change nothing of that
ON_CPU = ("threads", "cpu")
ADVICE = {
    "torch": "For an exact result, resume with the same version.",
    "device": "For an exact result, resume on the same kind of device.",
    "attention": "For an exact result, start ComfyUI with the same options.",
    "precision": "For an exact result, start ComfyUI with the same options.",
    "threads": "For an exact result, set OMP_NUM_THREADS to the same number and restart ComfyUI.",
    "cpu": "For an exact result, resume on a CPU of the same kind.",
    "patches": "A node before the sampler patches it otherwise.",
    "weights": "Another file was loaded, or something changed them in memory.",
    "comfyui": "Samplers may have changed in between; for an exact result, resume with the same version.",
}
GB = 1000**3


def differences(then: Surroundings, now: Surroundings, lost: tuple[str, ...]) -> tuple[Difference, ...]:
    """`now`: of the same models, by folder and name. lost: files that the bundle did not carry"""
    return (
        *_missing(then, now, lost),
        *_of_models(then, now),
        *of_values(then.values, now.values),
        *_of_packs(then, now),
    )


def _missing(then: Surroundings, now: Surroundings, lost: tuple[str, ...]) -> list[Difference]:
    packs = {node: pack for pack in then.packs for node in pack.nodes}
    gone = [packs.get(node, Pack("", None, (node,))) for node in now.missing_nodes]
    found = []
    for pack in dict.fromkeys(gone):
        nodes = ", ".join(node for node in now.missing_nodes if node in pack.nodes)
        if pack.name:
            told = f"The node pack {pack.name}, which has {nodes}, is not installed or did not load here. "
            told += "Install it with ComfyUI-Manager and restart ComfyUI; without it the job cannot go on."
        else:
            told = f"This ComfyUI has no node {nodes}. Update it, or install the node pack that has the node."
        found.append(Difference("node_pack_missing", pack.name or nodes, pack.version, None, told))
    for name in now.missing_inputs:
        carried = " The bundle did not carry it." if name in lost else ""
        told = f"The file {name} is not in ComfyUI's input folder.{carried} Put it there, or choose another."
        found.append(Difference("input_missing", name, None, None, told))
    return found


def _of_models(then: Surroundings, now: Surroundings) -> list[Difference]:
    here = {(one.folder, one.name): one for one in now.models}
    found = []
    for model in then.models:
        other = here.get((model.folder, model.name))
        name = f"{model.folder}/{model.name}"
        if other is None or model.size is None:  # not in the graph any more, or known there as little as here
            continue
        if other.size is None:
            told = f"The model {name} ({_size(model)}{_sha(model)}) is not here. Put it into that folder of "
            told += "ComfyUI's models; without it the job cannot go on."
            found.append(Difference("model_missing", name, model.sha256, None, told))
        elif not _is_same(model, other):
            told = f"The model {name} is another file here ({_size(other)}{_sha(other)}) than where the job "
            told += f"was computed ({_size(model)}{_sha(model)}). Replace it, unless that is what you want."
            then_, now_ = model.sha256 or model.samples, other.sha256 or other.samples
            found.append(Difference("model", name, then_, now_, told, True))
    return found


def _is_same(one: ModelFile, other: ModelFile) -> bool:
    if one.size != other.size:
        return False
    if one.sha256 is not None and other.sha256 is not None:
        return one.sha256 == other.sha256
    return one.samples == other.samples


def of_values(then: dict[str, str], now: dict[str, str]) -> list[Difference]:
    """Of versions, the device and what else `TOLD` has; of what is known on one side alone, nothing."""
    found = []
    on_cpu = all(one.get("device", "").startswith("cpu") for one in (then, now))
    for name, told in (TOLD | BESIDE).items():
        was, is_ = then.get(name), now.get(name)
        if was == is_ or was is None or is_ is None or (name in ON_CPU and not on_cpu):
            continue
        sentence = f"{told} is {is_} here and was {was} where the job was computed."
        matters = name in TOLD
        more = f" {ADVICE[name]}" if matters else " That changes nothing of the result."
        found.append(Difference(name, told, was, is_, sentence + more, matters))
    return found


def _of_packs(then: Surroundings, now: Surroundings) -> list[Difference]:
    here = {pack.name: pack for pack in now.packs}
    found = []
    for pack in then.packs:
        other = here.get(pack.name)
        if other is None:
            continue
        if other.version != pack.version and None not in (other.version, pack.version):
            told = f"The node pack {pack.name} is {other.version} here and was {pack.version} where the job "
            told += "was computed. For an exact result, install that version."
            found.append(Difference("node_pack", pack.name, pack.version, other.version, told, True))
        elif other.code != pack.code and None not in (other.code, pack.code):
            told = f"The code of the node pack {pack.name} is not what it was where the job was computed, "
            told += "although its version is the same. For an exact result, restore it."
            found.append(Difference("node_pack", pack.name, pack.code, other.code, told, True))
    return found


def _size(model: ModelFile) -> str:
    size = model.size or 0
    return f"{size / GB:.2f} GB" if size >= GB / 10 else f"{size:,} bytes"


def _sha(model: ModelFile) -> str:
    return f", SHA-256 {model.sha256[:16]}…" if model.sha256 else ""
