"""Nodes and routes that let a test stop a run at an exact place and count what was computed."""

import os
import sys
import threading
import time
import uuid
import zlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import comfy.model_management as mm
import comfy.patcher_extension
import comfy.sample
import execution
import nodes
import torch
import torchsde
from aiohttp import web
from server import PromptServer

midrun_remembers = False  # what is counted here is no memory of a model
LOCK = threading.Lock()
BEGAN = defaultdict(list)  # key -> time.monotonic() when each evaluation began
DONE = defaultdict(int)  # key -> evaluations that ended
AT_GATE = {}  # key -> number of the evaluation that waits at a gate
OPENED = defaultdict(set)  # key -> gates that were passed or hit already
DRAWN = [0]  # increments of Brownian trees
EVIDENCE = os.environ.get("MIDRUN_TEST_EVIDENCE")  # a directory, or None


def _leave_evidence(key, x):
    """A line for each evaluation that begins: the checksum of its x, the process, the time (of one clock for
    all processes). The system has it before we go on."""
    checksum = zlib.crc32(x.detach().cpu().contiguous().numpy())
    line = f"{checksum:08x} {os.getpid()} {time.monotonic():.3f}\n"
    handle = os.open(os.path.join(EVIDENCE, quote(key, safe="")), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _count_draws():
    real = torchsde.BrownianTree.__call__

    def counted(tree, *args, **kwargs):
        DRAWN[0] += 1
        return real(tree, *args, **kwargs)

    torchsde.BrownianTree.__call__ = counted


_count_draws()


def _let_midrun_note():
    """What happened up to now, which another thread of its enters while the model works."""
    runtime = next(kept for name, kept in sys.modules.copy().items() if name.endswith("engine.runtime"))
    if runtime.current is not None:
        runtime.current.later.flush(10.0)


def wait_until_interrupted(key, number, seconds, checks):
    _let_midrun_note()
    with LOCK:
        AT_GATE[key] = number
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (key in OPENED and number in OPENED[key]):
            time.sleep(0.002)
            if checks:
                mm.throw_exception_if_processing_interrupted()
    finally:
        with LOCK:
            AT_GATE.pop(key, None)
            OPENED[key].add(number)


class TestProbe:
    """Counts the live evaluations under `key`; those in `gates` (from 1) wait to be interrupted
    or their gate is opened. The answer number `nan_at` is not a number. `seconds` makes a model slow, a bit
    at a time, as layers are. `deaf` waits without looking at the interrupt flag. `hollow` leaves the model
    out, which would take seconds on the CPU for a latent of usual size. `draws` adds random numbers to what
    it answers: of the host's generator or, `on_device`, of the device's."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "key": ("STRING", {"default": ""}),
                "gates": ("STRING", {"default": ""}),
                "seconds": ("FLOAT", {"default": 0.0}),
                "fail_at": ("INT", {"default": 0}),
                "out_of_memory": ("BOOLEAN", {"default": False}),
                "deaf": ("BOOLEAN", {"default": False}),
                "draws": ("BOOLEAN", {"default": False}),
                "hollow": ("BOOLEAN", {"default": False}),
            },
            "optional": {
                "nan_at": ("INT", {"default": 0}),
                "on_device": ("BOOLEAN", {"default": False}),
            },
        }

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, key, gates, seconds, fail_at, out_of_memory, deaf, draws, hollow, **more):
        nan_at, on_device = more.get("nan_at", 0), more.get("on_device", False)
        gated = {int(number) for number in gates.split(",") if number}

        def probe(executor, x, *args, **kwargs):
            with LOCK:
                BEGAN[key].append(time.monotonic())
                number = DONE[key] + 1
            if EVIDENCE is not None:
                _leave_evidence(key, x)
            if number in gated and number not in OPENED[key]:
                wait_until_interrupted(key, number, 60.0, not deaf)
            if fail_at == number and fail_at not in OPENED[key]:
                OPENED[key].add(fail_at)
                failure = mm.OOM_EXCEPTION if out_of_memory else RuntimeError
                raise failure("simulated failure of the model")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(min(0.005, seconds))
                mm.throw_exception_if_processing_interrupted()
            answer = x * 0.9 if hollow else executor(x, *args, **kwargs)
            if number == nan_at:
                answer = answer * float("nan")
            if draws:
                where = answer.device if on_device else "cpu"
                answer = answer + 1e-3 * torch.randn(answer.shape, device=where).to(answer.device)
            with LOCK:
                DONE[key] += 1
            return answer

        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, probe)
        return (model,)


class TestSlowLatent:
    """Stands for a VAE decode: works a while and looks at ComfyUI's interrupt flag, as every op does."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "samples": ("LATENT",),
                "key": ("STRING", {"default": ""}),
                "seconds": ("FLOAT", {"default": 1.0}),
                "fails": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "work"
    CATEGORY = "_for_testing"

    def work(self, samples, key, seconds, fails):
        if fails and "failed" not in OPENED[key]:
            OPENED[key].add("failed")
            raise RuntimeError("simulated failure after the sampler")
        if seconds:
            wait_until_interrupted(key, "decode", seconds, True)
        DONE[key + "/decode"] += 1
        return (samples,)


class TestTiles:
    """A third-party node that samples many times in one execution: the quarters of a latent."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 4}),
                "sampler_name": ("STRING", {"default": "euler"}),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "_for_testing"

    def sample(self, model, seed, steps, sampler_name, positive, negative, latent_image):
        whole = latent_image["samples"].clone()
        half = whole.shape[-1] // 2
        for number, (top, left) in enumerate(((0, 0), (0, half), (half, 0), (half, half))):
            area = (..., slice(top, top + half), slice(left, left + half))
            tile = {"samples": whole[area].clone()}
            args = (steps, 4.0, sampler_name, "normal", positive, negative, tile)
            whole[area] = nodes.common_ksampler(model, seed + number, *args, denoise=1.0)[0]["samples"]
        return ({"samples": whole},)


class TestThread:
    """A third-party node that samples on a thread of its own."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 6}),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "_for_testing"

    def sample(self, model, seed, steps, positive, negative, latent_image):
        def work():
            with torch.inference_mode():
                args = (seed, steps, 4.0, "euler", "normal", positive, negative, latent_image)
                return nodes.common_ksampler(model, *args)

        with ThreadPoolExecutor() as pool:
            return pool.submit(work).result()


class TestDisturb:
    """Draws from the global random generators, as any other workflow may."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",), "seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "draw"
    CATEGORY = "_for_testing"

    def draw(self, samples, seed):
        torch.manual_seed(seed)
        torch.randn(1000)
        torch.randn(1000, device=mm.get_torch_device())
        return (samples,)


routes = PromptServer.instance.routes


@routes.get("/midrun_test/probe")
async def probe(request):
    key = request.query.get("key", "")
    return web.json_response(
        {
            "calls": len(BEGAN[key]),
            "began": list(BEGAN[key]),
            "done": DONE[key],
            "decoded": DONE[key + "/decode"],
            "drawn": DRAWN[0],
            "at_gate": AT_GATE.get(key),
            "loaded_models": sum(model is not None for model in mm.loaded_models()),
            "interrupt_flag": mm.processing_interrupted(),
            "threads": sorted(thread.name for thread in threading.enumerate()),
        }
    )


@routes.post("/midrun_test/open")
async def open_gate(request):
    gate = request.query["gate"]
    OPENED[request.query["key"]].add(int(gate) if gate.isdigit() else gate)
    return web.json_response({})


@routes.post("/midrun_test/shut")
async def shut_gate(request):
    OPENED[request.query["key"]].discard(int(request.query["gate"]))
    return web.json_response({})


@routes.post("/midrun_test/put")
async def put(request):
    """Queue a prompt as node packs with a queue of their own do it: past ComfyUI's prompt handlers."""
    body = await request.json()
    prompt = body["prompt"]
    prompt_id = str(uuid.uuid4())
    outputs = (await execution.validate_prompt(prompt_id, prompt, None))[2]
    PromptServer.instance.prompt_queue.put((0.5, prompt_id, prompt, body["extra_data"], outputs, {}))
    return web.json_response({"prompt_id": prompt_id})


NODES = (TestProbe, TestSlowLatent, TestTiles, TestThread, TestDisturb)
