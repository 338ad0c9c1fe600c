"""What Midrun cleans up after a forward pass that did not reach its end, with the functions of newer versions
of ComfyUI replaced by ones that note when they are called."""

import sys
from types import SimpleNamespace

from aiohttp import web
from server import PromptServer

CALLS = []


def _noted(name, real=lambda: None):
    def called():
        CALLS.append(name)
        return real()

    return called


def _gpu():
    """Midrun's module, under whatever name ComfyUI loaded it."""
    return next(
        module for name, module in sys.modules.copy().items() if name.endswith("Midrun.nodes.comfyui.gpu")
    )


def _install(gpu):
    fakes = {
        "comfy.memory_management": SimpleNamespace(aimdo_enabled=True),
        "comfy.model_prefetch": SimpleNamespace(cleanup_prefetch_queues=_noted("prefetch queues")),
        "comfy.model_management": SimpleNamespace(reset_cast_buffers=_noted("cast buffers")),
        "comfy_aimdo.model_vbar": SimpleNamespace(vbars_reset_watermark_limits=_noted("watermarks")),
    }
    real = gpu._module, gpu.release
    gpu._module = fakes.get
    gpu.release = _noted("release", gpu.release)
    return real


routes = PromptServer.instance.routes
REAL = []


@routes.put("/midrun_test/cleaning")
async def install(request):
    CALLS.clear()
    REAL.append(_install(_gpu()))
    return web.json_response({})


@routes.get("/midrun_test/cleaning")
async def read(request):
    return web.json_response({"calls": list(CALLS)})


@routes.delete("/midrun_test/cleaning")
async def remove(request):
    gpu = _gpu()
    gpu._module, gpu.release = REAL.pop()
    return web.json_response({})


NODES = ()
