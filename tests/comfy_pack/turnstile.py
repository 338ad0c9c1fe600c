"""A gate for a graph without a TestProbe, such as an example: it stops one evaluation of any model."""

import threading

import comfy.samplers
from aiohttp import web
from server import PromptServer

from .probes import AT_GATE, OPENED, wait_until_interrupted

LOCK = threading.Lock()
LEFT = {}  # key -> evaluations before the one that waits; one key at a time
_predict_noise = comfy.samplers.CFGGuider.predict_noise


def _counted(guider, *args, **kwargs):
    """Only live evaluations come here: those that Midrun replays do not."""
    with LOCK:
        key = next(iter(LEFT), None)
        waits = key is not None and LEFT[key] == 0
        if waits:
            del LEFT[key]
        elif key is not None:
            LEFT[key] -= 1
    if waits:
        wait_until_interrupted(key, "turnstile", 60.0, True)
    return _predict_noise(guider, *args, **kwargs)


comfy.samplers.CFGGuider.predict_noise = _counted


@PromptServer.instance.routes.post("/midrun_test/turnstile")
async def turnstile(request):
    """The evaluation number `at` from now on, from 1, waits until it is interrupted or opened."""
    key = request.query["key"]
    with LOCK:
        LEFT.clear()
        LEFT[key] = int(request.query["at"]) - 1
        AT_GATE.pop(key, None)
        OPENED.pop(key, None)
    return web.json_response({})


NODES = ()
