"""What the tests of tests/gpu run on: a CUDA device and models of real size, or `aside` and tiny ones."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import torch

import graphs
from graphs import Graph
from harness import Comfy, comfyui_path

GB = 1024**3
REAL_GB = {"sd15": 4, "sdxl": 10, "flux": 32, "wan": 12}  # memory that a real one takes, with its latents


@dataclass(frozen=True)
class Rig:
    """A server on a device. size: of the architectures, real or tiny"""

    comfy: Comfy
    device: str
    size: str

    def told(self, key: str = "") -> dict[str, Any]:
        return self.comfy.get(f"/midrun_test/device?key={quote(key)}")

    def fill(self, **how: int) -> dict[str, Any]:
        query = "&".join(f"{name}={size}" for name, size in how.items())
        return self.comfy.post(f"/midrun_test/fill?{query}")

    def unload(self) -> None:
        """ComfyUI misses what is asked just after a prompt, while it collects garbage: ask again."""
        self.comfy.post("/free", {"unload_models": True, "free_memory": True})

    def graph(
        self,
        watched: bool,
        key: str,
        gates: str = "",
        policy: str = "auto",
        *,
        architecture: str = "sd15",
        dtype: str = "",
        inside: bool = False,
        stays: bool = False,
        shape: str = "",
        counts: bool = True,
        **more: Any,
    ) -> Graph:
        """As graphs.base, with a model of that architecture.

        inside: the gates are within its network; counts: what makes its thread wait, which takes time on CUDA
        """
        outer = "" if inside else gates
        made = graphs.base(watched=watched, key=key, gates=outer, queue_policy=policy, **more)
        given = {"architecture": architecture, "size": self.size, "dtype": dtype, "seed": 1}
        made["model"] = graphs.node("TestArchitecture", stays=stays, shape=shape, **given)
        made["inside"] = graphs.node("TestInside", model=["model", 0], key=key, gates=gates if inside else "")
        if counts:
            made["waits"] = graphs.node("TestWaits", model=["inside", 0], key=key)
        made["probe"]["inputs"]["model"] = ["waits" if counts else "inside", 0]
        links = {"positive": ["model", 1], "negative": ["model", 2]}
        made["sampler"]["inputs"] |= links | {"latent_image": ["model", 3]}
        for name in ("positive", "negative", "latent"):
            del made[name]
        return made


def architectures(*names: str) -> list[Any]:
    """Parameters of a test. Each needs as much memory as it takes; tiny ones take none."""
    return [
        pytest.param(name, marks=pytest.mark.needs(f"{REAL_GB[name]} GB of GPU memory")) for name in names
    ]


def device_here() -> str:
    return "cuda" if torch.cuda.is_available() else "aside"


def lacks(need: str, asked_for: bool) -> str | None:
    """Why a test that needs this cannot run here. asked_for: whether --gpu was given"""
    if need == "--gpu":
        return None if asked_for else "needs --gpu: python dev.py test --gpu"
    if need == "a CUDA device":
        met = torch.cuda.is_available()
    elif need == "two CUDA devices":
        met = torch.cuda.device_count() > 1
    elif need == "MIG":
        met = bool(mig_devices())
    elif found := re.fullmatch(r"(\d+) GB of GPU memory", need):
        met = not torch.cuda.is_available() or torch.cuda.mem_get_info()[1] > int(found[1]) * GB * 0.95
    elif found := re.fullmatch(r"a ComfyUI with (--[\w-]+)", need):
        met = found[1] in (comfyui_path() / "comfy" / "cli_args.py").read_text(encoding="utf-8")
    else:
        raise ValueError(f"nobody knows whether there is {need}")
    return None if met else f"needs {need}"


@functools.cache
def mig_devices() -> list[str]:
    """UUIDs, as CUDA_VISIBLE_DEVICES takes them."""
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    return re.findall(r"UUID: (MIG-[\w/-]+)", listed)
