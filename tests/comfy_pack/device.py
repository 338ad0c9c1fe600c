"""The device that ComfyUI computes on, as tests ask about it: its memory, and what makes its threads wait.

With MIDRUN_TEST_DEVICE=aside it is the one of aside.py, which needs no GPU.
"""

import os
import sys
import threading
import warnings
from collections import Counter, defaultdict

import comfy.model_management as mm
import comfy.patcher_extension
import torch
from aiohttp import web
from server import PromptServer

from . import aside, probes

midrun_remembers = False  # what is counted here is no memory of a model
GB = 1024**3
CARRIED = 3 * 1024**2  # numbers of a wrapper's tensor: 12 MB
SYNCHRONIZES = "called a synchronizing CUDA operation"  # as torch.cuda.set_sync_debug_mode says it
COUNTED = defaultdict(list)  # key -> the Counter of waits of the sampling thread, as each evaluation began
KEPT = []  # tensors that a test has put on the device


def _use_aside():
    """From here on ComfyUI takes `aside` for its GPU."""
    KEPT.append(aside.be_there())
    device = torch.device(aside.NAME, 0)
    free = mm.get_free_memory, mm.get_total_memory

    def told(ask):
        return lambda dev=None, *args, **kwargs: ask(torch.device("cpu"), *args, **kwargs)

    mm.get_torch_device = lambda: device
    mm.get_free_memory, mm.get_total_memory = map(told, free)
    PromptServer.instance.add_on_prompt_handler(_let_midrun_queue)


def _let_midrun_queue(body):
    """Its copies from there are queued, as CUDA's are. Once all packs are loaded."""
    for name, module in sys.modules.copy().items():
        if name.endswith("nodes.engine.copies"):
            module.IN_QUEUES = module.IN_QUEUES | {aside.NAME}
    return body


class CudaWaits:
    """Counts, by thread, what makes a thread wait for CUDA: as torch warns of it, and events and streams."""

    def __init__(self):
        self.told = {}
        torch.cuda.set_sync_debug_mode("warn")
        warnings.filterwarnings("always", message=".*" + SYNCHRONIZES)
        self._show, warnings.showwarning = warnings.showwarning, self._shown
        for kind, what in ((torch.cuda.Event, "an event"), (torch.cuda.Stream, "a stream")):
            self._count(kind, what)

    def add(self, what):
        self.told.setdefault(threading.current_thread().name, Counter())[what] += 1

    def _shown(self, message, *args, **kwargs):
        if SYNCHRONIZES in str(message):
            self.add("torch")
        else:
            self._show(message, *args, **kwargs)

    def _count(self, kind, what):
        real = kind.synchronize

        def counted(one):
            self.add(what)
            return real(one)

        kind.synchronize = counted


CUDA = []


def told_by_thread(count=True):
    """Since the server began; CUDA's, whose counting takes time, since somebody wanted to count."""
    on_cuda = mm.get_torch_device().type == "cuda"
    if on_cuda and not CUDA and count:
        CUDA.append(CudaWaits())
    return aside.WAITS if not on_cuda else CUDA[0].told if CUDA else {}


def waits():
    """Of this thread."""
    return Counter(told_by_thread().get(threading.current_thread().name, Counter()))


class TestInside:
    """Waits within the network, once it has computed its answer, as TestProbe's gates do around it.

    After a TestProbe with the same key, by which evaluations are counted.
    """

    @classmethod
    def INPUT_TYPES(cls):
        texts = {name: ("STRING", {"default": ""}) for name in ("key", "gates")}
        return {"required": {"model": ("MODEL",), **texts}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, key, gates):
        gated = {int(number) for number in gates.split(",") if number}

        def inside(executor, *args, **kwargs):
            answer = executor(*args, **kwargs)
            number = probes.DONE[key] + 1
            if number in gated and number not in probes.OPENED[key]:
                probes.wait_until_interrupted(key, number, 60.0, True)
            return answer

        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, inside)
        return (model,)


class TestWaits:
    """Notes under `key`, as each evaluation begins, what its thread has waited for by then."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "key": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, key):
        COUNTED[key].clear()

        def note(executor, *args, **kwargs):
            COUNTED[key].append(waits())
            return executor(*args, **kwargs)

        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, note)
        return (model,)


class Carried:
    """A wrapper of a model with a tensor, which ComfyUI moves there for a sampling call, by its `to`."""

    def __init__(self):
        self.tensor = torch.zeros(CARRIED)

    def to(self, where):
        if isinstance(where, torch.device):
            self.tensor = self.tensor.to(where)
        return self

    def __call__(self, executor, *args, **kwargs):
        return executor(*args, **kwargs)


class TestCarries:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model):
        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, Carried())
        return (model,)


def _memory():
    device = mm.get_torch_device()
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return {"allocated": torch.cuda.memory_allocated(device), "free": free, "total": total}
    return {"allocated": aside.allocated() if device.type == aside.NAME else 0, "free": None, "total": None}


def _versions():
    cuda = mm.get_torch_device().type == "cuda"
    told = {"torch": torch.__version__, "python": sys.version.split()[0]}
    if cuda:
        told |= {"card": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "hip": torch.version.hip}
        told["cards"] = torch.cuda.device_count()
    memory = sys.modules.get("comfy.memory_management")
    return told | {"dynamic_vram": bool(getattr(memory, "aimdo_enabled", False)), "vram": mm.vram_state.name}


routes = PromptServer.instance.routes


@routes.get("/midrun_test/device")
async def device(request):
    """With a key, which counts from then on: what evaluations have waited for, and each thread."""
    key = request.query.get("key", "")
    counted = COUNTED[key]
    differences = [dict(later - earlier) for earlier, later in zip(counted, counted[1:], strict=False)]
    told = {"type": mm.get_torch_device().type, "waits": differences, "left_over": _left_over()}
    told["threads"] = {name: dict(counted) for name, counted in told_by_thread(bool(key)).items()}
    return web.json_response(told | _memory() | _versions())


def _all_that_fits(device, leave):
    """Tensors, smaller and smaller: allocators round up, and keep what is free in pieces."""
    for size in (1 << 30, 1 << 26, 1 << 21, 1 << 16):
        while torch.cuda.mem_get_info(device)[0] > leave:
            try:
                yield torch.empty(size, dtype=torch.uint8, device=device)
            except mm.OOM_EXCEPTION:
                break


@routes.post("/midrun_test/fill")
async def fill(request):
    """Put a tensor of so many `bytes` on the device, or one that leaves (`leave`) no more than so many.

    Without either, let them all go. Answers why it did not fit.
    """
    device = mm.get_torch_device()
    size, leave = (int(request.query.get(name, 0)) for name in ("bytes", "leave"))
    try:
        if leave and device.type == aside.NAME:
            aside.limit = aside.allocated() + leave
        elif leave:
            torch.cuda.empty_cache()
            KEPT.extend(_all_that_fits(device, leave))
        elif not size:
            KEPT[:] = [one for one in KEPT if not isinstance(one, torch.Tensor)]
            aside.limit = None
            mm.soft_empty_cache()
        if size:
            KEPT.append(torch.empty(size, dtype=torch.uint8, device=device))
    except mm.OOM_EXCEPTION as error:
        return web.json_response({"error": str(error)})
    return web.json_response(_memory())


def _left_over():
    """Bytes of the largest on the device, to say what is in the way."""
    if mm.get_torch_device().type != aside.NAME:
        return []
    return sorted((size for _, size in aside.in_use()), reverse=True)[:5]


if os.environ.get("MIDRUN_TEST_DEVICE") == aside.NAME:
    _use_aside()
NODES = (TestWaits, TestInside, TestCarries)
