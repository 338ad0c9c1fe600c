"""The oracle for edits: one sampling run, in one process, that switches what it samples with on its way."""

import itertools

import comfy.model_management as mm
import comfy.patcher_extension
import comfy.sampler_helpers
import comfy.samplers
import torch

from .models import build_model
from .probes import DONE

POST_CFG, CFG = "sampler_post_cfg_function", "sampler_cfg_function"


class TestSwitch:
    """From evaluation `at` on (from 1), the guider has `cfg`, the conditioning `positive` and the weights of
    `other`. Counts evaluations under `key`."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "other": ("MODEL",),
                "positive": ("CONDITIONING",),
                "cfg": ("FLOAT", {"default": 1.0}),
                "at": ("INT", {"default": 1}),
                "key": ("STRING", {"default": ""}),
            }
        }

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, other, positive, cfg, at, key):
        count = [0]
        shared = len(model.model_options.get(POST_CFG, ()))
        twin = build_model()  # the same weights in another place, as both are needed at once
        twin.patches, twin.patches_uuid = dict(other.patches), other.patches_uuid
        twin.model_options = other.model_options

        def switch(executor, x, timestep, model_options, seed):
            guider = executor.class_obj
            count[0] += 1
            DONE[key] += 1
            if count[0] >= at:
                guider.cfg = cfg  # also of the sampling calls that follow
            if count[0] == at:
                mm.load_models_gpu([twin])
                twin.pre_run()
                guider.inner_model = twin.model
                converted = {"positive": comfy.sampler_helpers.convert_cond(positive)}
                processed = comfy.samplers.process_conds(guider.inner_model, x, converted, x.device)
                guider.conds["positive"] = processed["positive"]
            if count[0] >= at:
                own = model_options.get(POST_CFG, [])[shared:]
                functions = [*twin.model_options.get(POST_CFG, ()), *own]
                model_options = {**model_options, POST_CFG: functions}
                if CFG in twin.model_options:
                    model_options[CFG] = twin.model_options[CFG]
            return executor(x, timestep, model_options, seed)

        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, switch)
        return (model,)


class TestScale:
    """A model patch with a strength, as RescaleCFG is one: scales what the guider answers."""

    @classmethod
    def INPUT_TYPES(cls):
        strength = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.01, "tooltip": "how much"})
        return {"required": {"model": ("MODEL",), "strength": strength}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "_for_testing"

    def patch(self, model, strength):
        model = model.clone()
        model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * strength)
        return (model,)


class TestContinued:
    """The sigmas of `after` below the one that `before` has after `step` steps, from that one on."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"before": ("SIGMAS",), "after": ("SIGMAS",), "step": ("INT", {"default": 1})}}

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "join"
    CATEGORY = "_for_testing"

    def join(self, before, after, step):
        level = before[step]
        return (torch.cat([level[None], after[after < level]]),)


class TestDoubleSampler:
    """Euler's method in double precision, as some node packs have it. single: what the callback is given.
    strict: raises where an answer is not a number.
    """

    @classmethod
    def INPUT_TYPES(cls):
        choice = ("BOOLEAN", {"default": False})
        return {"required": {"single": choice, "strict": choice}}

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, single, strict):
        def euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
            x = x.double()
            for step, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas.double())):
                denoised = model(x, sigma.float() * x.new_ones(len(x)).float(), **(extra_args or {}))
                if strict and denoised.isnan().any():
                    raise ValueError("that is not a number")
                shown = denoised.float() if single else denoised
                callback({"i": step, "denoised": shown, "x": x, "sigma": sigma, "sigma_hat": sigma})
                x = x + (x - denoised) / sigma * (sigma_next - sigma)
            return x

        return (comfy.samplers.KSAMPLER(euler),)


NODES = (TestSwitch, TestScale, TestContinued, TestDoubleSampler)
