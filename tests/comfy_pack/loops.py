"""Nodes with sampling loops of their own, as packs around other samplers than ComfyUI's have them."""

import itertools
import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import comfy.latent_formats
import comfy.model_management as mm
import comfy.model_patcher
import comfy.utils
import latent_preview
import numpy
import torch
from aiohttp import web
from server import PromptServer

from .probes import AT_GATE, BEGAN, DONE, EVIDENCE, LOCK, OPENED, _leave_evidence, _let_midrun_note

TORCHS = torch.nn.Module.__call__  # before anybody put something in its place
CALLED = defaultdict(set)  # key -> whether it was torch's own when a layer with that key was called


@dataclass
class Told:
    """What some networks answer with."""

    sample: torch.Tensor
    extra: tuple | None = None


class Unkept:
    """What nobody can keep."""

    def __init__(self, sample):
        self.sample = sample


class Gate(torch.nn.Module):
    """A layer that counts under `key`. In gated evaluations it waits for an interrupt, but heeds none."""

    def __init__(self, key, gates, fail_at):
        super().__init__()
        self.key, self.fail_at = key, fail_at
        self.gated = {int(number) for number in gates.split(",") if number}

    def forward(self, x):
        key = self.key
        with LOCK:
            BEGAN[key].append(time.monotonic())
            number = DONE[key] + 1
        if EVIDENCE is not None:
            _leave_evidence(key, x)
        if number in self.gated and number not in OPENED[key]:
            self._wait(number)
        if number == self.fail_at and number not in OPENED[key]:
            OPENED[key].add(number)
            raise RuntimeError("simulated failure of the network")
        return x

    def _wait(self, number):
        _let_midrun_note()
        AT_GATE[self.key] = number
        end = time.monotonic() + 60
        while number not in OPENED[self.key] and not mm.processing_interrupted() and time.monotonic() < end:
            time.sleep(0.002)
        AT_GATE.pop(self.key, None)
        OPENED[self.key].add(number)


class Count(torch.nn.Module):
    """The last layer: the evaluation is answered. Number `nan_at`, the first time, is not a number."""

    def __init__(self, key, nan_at=0):
        super().__init__()
        self.key, self.nan_at = key, nan_at

    def forward(self, x):
        key = self.key
        CALLED[key].add(torch.nn.Module.__call__ is TORCHS)
        with LOCK:
            DONE[key] += 1
            is_number = DONE[key] != self.nan_at
        return x if is_number else x * float("nan")


class Residuals:
    """As TeaCache keeps them: what the layers added the last time, of cond and of uncond."""

    def __init__(self):
        self.count, self.of, self.skipped = 0, {}, []


class Network(torch.nn.Module):
    """Asked at a time step for what is left of the noise. keeps: what from one evaluation to the next"""

    def __init__(self, seed, key, gates, fail_at, answers, draws, keeps="nothing", nan_at=0):
        super().__init__()
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(16, 16) for _ in range(9)]
        self.layers = torch.nn.ModuleList(
            [*layers[:4], Gate(key, gates, fail_at), *layers[4:], Count(key, nan_at)]
        )
        self.answers, self.draws, self.keeps = answers, draws, keeps
        if keeps == "average":
            self.average = torch.zeros(16)
        if keeps == "hidden":
            self.numbers = itertools.count()  # nobody can see how far it is, but who takes the next one

    def forward(self, x, timestep, words=None):
        first = self.layers[0]
        if self.keeps == "attribute":  # one of another module
            first.asked = getattr(first, "asked", 0) + 1
        if self.keeps == "residuals":
            h = self._with_residuals(x, timestep, "uncond" if words == 0.0 else "cond")
        else:
            h = self._through(self.layers, x, timestep)
        h = h + words
        if self.keeps == "attribute":
            h = h * (1 + 0.1 * first.asked)
        if self.keeps == "average":  # written into
            h = h + self.average.mul_(0.5).add_(h.mean(dim=(0, 1, 2)))
        if self.keeps == "hidden":
            h = h * (1 + 0.1 * next(self.numbers))
        if self.draws:
            h = h + 1e-3 * torch.randn_like(h)
        if self.answers == "dataclass":
            return Told(h, (h.mean(), None, 3))
        if self.answers == "nested":
            return [h], {"scale": torch.ones(2), "again": h}
        return Unkept(h) if self.answers == "unkept" else h

    def _through(self, layers, x, timestep):
        h = x
        for layer in layers:
            h = torch.tanh(layer(h)) + x * torch.as_tensor(timestep / 10.0, dtype=x.dtype)
        return h

    def _with_residuals(self, x, timestep, which):
        kept = self.residuals
        kept.count += 1
        if kept.count % 3 == 0 and which in kept.of:
            kept.skipped.append(kept.count)
            self._through([self.layers[4], self.layers[-1]], x, timestep)
            return x + kept.of[which]
        h = self._through(self.layers, x, timestep)
        kept.of[which] = h - x
        return h


def _sample(answer):
    if isinstance(answer, tuple):
        return answer[0][0]
    return answer if isinstance(answer, torch.Tensor) else answer.sample


class Shown(torch.nn.Module):
    """What a preview callback is made for."""

    latent_format = comfy.latent_formats.SD15()


class TestLoopModel:
    """A model of a type that ComfyUI does not know."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "seed": ("INT", {"default": 1}),
                "key": ("STRING", {"default": ""}),
                "gates": ("STRING", {"default": ""}),
                "fail_at": ("INT", {"default": 0}),
                "answers": (["tensor", "dataclass", "nested", "unkept"],),
                "draws": ("BOOLEAN", {"default": False}),
            },
            "optional": {
                "keeps": (["nothing", "attribute", "residuals", "average", "hidden"],),
                "two": ("BOOLEAN", {"default": False, "tooltip": "another network for the second half"}),
                "nan_at": ("INT", {"default": 0}),
            },
        }

    RETURN_TYPES = ("TEST_LOOP_MODEL",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, seed, two=False, **given):
        network = Network(seed, **given)
        return ({"network": network, "second": Network(seed + 1, **given) if two else network},)


class TestLoopScale:
    """Passes on the same model, as a node does that adds a LoRA."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("TEST_LOOP_MODEL",)}}

    RETURN_TYPES = ("TEST_LOOP_MODEL",)
    FUNCTION = "scale"
    CATEGORY = "_for_testing"

    def scale(self, model):
        return (model,)


class TestLoop:
    """A loop written by hand: cond and uncond one after the other, noise of all generators in each step."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "loop_model": ("TEST_LOOP_MODEL",),
                "words": ("FLOAT", {"default": 0.1}),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 6}),
                "cfg": ("FLOAT", {"default": 2.0}),
                "how": (
                    ["plain", "thread", "bar", "callback", "parts", "fails later", "seeded", "otherwise"]
                    + ["strict"],
                ),
                "key": ("STRING", {"default": ""}),
            },
            "optional": {
                "other_words": ("FLOAT", {"default": 0.0}),
                "other_cfg": ("FLOAT", {"default": 0.0}),
                "from_call": ("INT", {"default": 0}),
                "after": ("LATENT", {"tooltip": "a node that is to run before"}),
            },
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "_for_testing"

    def sample(
        self,
        loop_model,
        words,
        seed,
        steps,
        cfg,
        how,
        key,
        other_words=0.0,
        other_cfg=0.0,
        from_call=0,
        after=None,
    ):
        """`other_...` from that call on: what an edit comes to. `seeded` draws from no global generator,
        `otherwise` guides in a way of its own, and `strict` raises where an answer is not a number."""
        calls = itertools.count(1)
        for network in loop_model.values():
            if network.keeps == "residuals":
                network.residuals = Residuals()

        def ask(x, at, is_cond):
            network = loop_model["network" if at > 0.5 else "second"]
            said = other_words if other_words and 0 < from_call <= next(calls) else words
            return _sample(network(x, timestep=at, words=said if is_cond else 0.0))

        def work():
            with torch.inference_mode():
                cfgs = [other_cfg if other_cfg and 2 * n + 1 >= from_call else cfg for n in range(steps)]
                return self._work(ask, seed, steps, cfgs, how)

        if how == "thread":
            with ThreadPoolExecutor() as pool:
                x = pool.submit(work).result()
        else:
            x = work()
        if how == "fails later" and "failed" not in OPENED[key]:
            OPENED[key].add("failed")
            raise RuntimeError("simulated failure after the loop")
        return ({"samples": x},)

    def _work(self, ask, seed, steps, cfgs, how):
        x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(seed))
        bar = comfy.utils.ProgressBar(steps) if how in ("bar", "callback") else None
        patcher = comfy.model_patcher.ModelPatcher(Shown(), torch.device("cpu"), torch.device("cpu"))
        callback = latent_preview.prepare_callback(patcher, steps) if how in ("callback", "parts") else None
        for step in range(steps):
            at = torch.tensor([1.0 - step / steps])
            cond = ask(x, at, True)
            if how == "parts":  # as WanVideoWrapper does for each context window
                comfy.utils.ProgressBar(steps).update_absolute(step + 0.5, steps)
            uncond = ask(x, at, False)
            if how == "strict" and not (cond + uncond).isfinite().all():
                raise RuntimeError("the answer is not a number")
            guided = uncond + cfgs[step] * (cond - uncond)
            x = x - (guided * (1 + 0.01 * cfgs[step]) if how == "otherwise" else guided) / steps
            if how not in ("seeded", "otherwise"):
                x = x + 0.01 * torch.randn_like(x) + 0.01 * random.random() + 0.01 * numpy.random.rand()
            if callback is not None:
                callback(step, x / 2, x, steps)
            if bar is not None:  # beside the callback's, as in FramePackWrapper
                bar.update_absolute(step + 1, steps)
        return x


@PromptServer.instance.routes.get("/midrun_test/seam")
async def seam(request):
    called = list(CALLED.get(request.query.get("key"), ()))
    return web.json_response({"torchs": torch.nn.Module.__call__ is TORCHS, "called": called})


NODES = (TestLoopModel, TestLoopScale, TestLoop)
