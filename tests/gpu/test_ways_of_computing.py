"""However ComfyUI uses its device, a job resumes to the same latent; each on a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from graphs import Graph
from harness import Comfy
from resuming import check, latent, run_stock
from rig import Rig, architectures, device_here, mig_devices

CUDA = "a CUDA device"
WAYS = {  # arguments of ComfyUI; those that its --cpu excludes need CUDA
    "deterministic": (("--deterministic",), ()),
    "channels last": (("--force-channels-last",), ()),
    "without dynamic VRAM": (("--disable-dynamic-vram",), ("a ComfyUI with --disable-dynamic-vram",)),
    "weights streamed": (("--novram",), (CUDA,)),
    "low VRAM": (("--lowvram",), (CUDA,)),
    "weights streamed by side streams": (("--novram", "--async-offload", "2"), (CUDA,)),
    "weights streamed by none": (("--novram", "--disable-async-offload"), (CUDA,)),
    "everything on the GPU": (("--gpu-only",), (CUDA,)),
    "fast": (("--fast",), (CUDA,)),
}


@contextmanager
def server(base: Path, *args: str, environ: dict[str, str] | None = None) -> Iterator[Rig]:
    device = device_here()
    comfy = Comfy(base, args=args, environ=environ, device=device).start()
    try:
        yield Rig(comfy, device, "real" if device == "cuda" else "tiny")
    finally:
        comfy.stop()


def make_of(rig: Rig, **more: Any) -> Any:
    return partial(rig.graph, scheduler="simple", inside=True, **more)


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.needs(*needs)) for way, (_, needs) in WAYS.items()]
)
def test_a_job_resumes_bit_identically(tmp_path: Path, way: str) -> None:
    with server(tmp_path, *WAYS[way][0]) as rig:
        assert check(rig.comfy, "way", make_of(rig), released=way != "everything on the GPU") is None


@pytest.mark.needs("--gpu", CUDA)
@pytest.mark.timeout(1800)
def test_with_highvram_it_resumes_and_the_memory_is_not_said_to_be_free(tmp_path: Path) -> None:
    with server(tmp_path, "--highvram") as rig:
        assert check(rig.comfy, "high", make_of(rig), released=False) is None


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("architecture", architectures("sdxl", "flux"))
def test_with_weights_in_fp8_it_resumes_bit_identically(rig: Rig, architecture: str) -> None:
    make = make_of(rig, architecture=architecture, dtype="fp8")
    assert check(rig.comfy, f"fp8-{architecture}", make) is None


@pytest.mark.needs("--gpu", CUDA)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["inductor", "cudagraphs"])
def test_a_compiled_model_resumes_bit_identically(tmp_path: Path, backend: str) -> None:
    """The second is CUDA graphs. What is compiled runs without ComfyUI's looks at the interrupt flag."""

    def make(watched: bool, key: str, gates: str, policy: str) -> Graph:
        made = rig.graph(watched, key, gates, policy, scheduler="simple")
        made["compiled"] = graphs.node("TorchCompileModel", model=["model", 0], backend=backend)
        made["waits"]["inputs"]["model"] = ["compiled", 0]
        del made["inside"]  # it would be compiled, too, and anew as what it counts changes
        return made

    with server(tmp_path, "--disable-cuda-malloc") as rig:  # with which CUDA graphs do not work
        rig.comfy.wait_ended(rig.comfy.queue(make(False, "compiling", "", "auto")), 1800)
        assert check(rig.comfy, f"compiled-{backend}", make) is None


@pytest.mark.needs("--gpu")
@pytest.mark.parametrize("architecture", architectures("sd15", "sdxl", "wan"))
def test_without_deterministic_kernels_a_resume_differs_no_more_than_stock_does(
    rig: Rig, architecture: str
) -> None:
    make = partial(rig.graph, architecture=architecture, scheduler="simple", steps=4)
    once, _ = run_stock(rig.comfy, make(False, f"once-{architecture}"), f"once-{architecture}")
    again, _ = run_stock(rig.comfy, make(False, f"again-{architecture}"), f"again-{architecture}")
    key = f"resumed-{architecture}"
    job_id = rig.comfy.queue(make(True, key, "3", "park"))
    rig.comfy.wait_at_gate(key, 3)
    rig.comfy.verb(job_id, "pause", query="?wait=30")
    rig.comfy.verb(job_id, "resume")
    resumed = latent(rig.comfy, rig.comfy.wait_for(job_id, "completed", timeout=600)["prompt_id"])
    stock, ours = (float((one.double() - once.double()).abs().max()) for one in (again, resumed))
    print(f"{architecture}: stock differs from itself by {stock:.3g}, a resume from stock by {ours:.3g}")
    assert torch.equal(resumed, once) if stock == 0 else ours <= 10 * stock


@pytest.mark.needs("--gpu", "two CUDA devices")
def test_a_job_goes_on_on_another_gpu_of_the_same_kind(tmp_path: Path) -> None:
    """Read and written for two of the same kind; on others the latents may differ."""
    with server(tmp_path, "--cuda-device", "0") as rig:
        expected, _ = run_stock(rig.comfy, rig.graph(False, "whole"), "whole")
        job_id = rig.comfy.queue(rig.graph(True, "moved", "3", "park"))
        rig.comfy.wait_at_gate("moved", 3)
        rig.comfy.verb(job_id, "pause", query="?wait=30")
    with server(tmp_path, "--cuda-device", "1") as rig:
        rig.comfy.verb(job_id, "resume")
        rig.comfy.wait_at_gate("moved", 3)
        rig.comfy.open_gate("moved", 3)
        job = rig.comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(rig.comfy, job["prompt_id"]), expected)


@pytest.mark.needs("--gpu", "MIG")
def test_on_a_slice_of_a_gpu_it_resumes_bit_identically(tmp_path: Path) -> None:
    with server(tmp_path, environ={"CUDA_VISIBLE_DEVICES": mig_devices()[0]}) as rig:
        assert check(rig.comfy, "slice", make_of(rig)) is None


@pytest.mark.needs("--gpu", CUDA)
def test_pictures_of_each_step_do_not_make_the_sampling_thread_wait(rig: Rig) -> None:
    """They are decoded on the GPU by another thread, in a stream of its own."""
    rig.comfy.post("/midrun_test/decoder?name=taesd_decoder&what=image")
    counts = []
    for watched in (False, True):
        key = f"pictures-{watched}"
        preview = {"method": "auto", "every": 1} if watched else None
        graph = rig.graph(watched, key, scheduler="simple", preview=preview)
        job_id = rig.comfy.queue(graph)
        rig.comfy.wait_ended(job_id, 300)
        counts.append([sum(counted.values()) for counted in rig.told(key)["waits"]])
    made = rig.comfy.get(f"/midrun/jobs/{job_id}/previews")["previews"]
    assert {one["method"] for one in made if one["kind"] == "step"} == {"taesd"}
    assert all(more - usual <= 1 for usual, more in zip(*counts, strict=True))
