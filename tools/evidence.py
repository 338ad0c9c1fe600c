"""What a server that was ended left on the disk: the latents it saved, and what a recording holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from harness import Comfy


def latents(comfy: Comfy, prompt_id: str) -> torch.Tensor:
    """All that the node `save` saved."""
    saved = comfy.wait_ended(prompt_id)["outputs"]["save"]["latents"]
    files = [comfy.base / "output" / one["subfolder"] / one["filename"] for one in saved]
    return torch.cat([load_file(file)["latent_tensor"] for file in files])


def on_record(place: Path) -> dict[str, Any]:
    """Where the job stands by the names and headers of its recording's files; nothing where there is none."""
    calls = {call: about(call / "inputs.safetensors") for call in place.glob("*") if any(call.iterdir())}
    if not calls:
        return {"evaluations": 0, "step": 0}
    newest = max(calls, key=lambda call: calls[call]["begun"])
    names = [file.name.removesuffix(".safetensors") for file in newest.iterdir() if file.suffix != ".tmp"]
    evaluations = sum(name.isdigit() for name in names)
    steps = [int(name[len("step-") :]) for name in names if name.startswith("step-")]
    told = {"evaluations": evaluations, "step": max(steps, default=0), "call": int(newest.suffix[1:])}
    if evaluations:
        told["sigma"] = about(newest / f"x-{evaluations - 1:06}.safetensors")["sigma"]
    return told | {"node_id": calls[newest]["node_id"]}


def about(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as opened:
        return json.loads(opened.metadata()["midrun"])["about"]
