"""Patches that remember something from one evaluation to the next, each in another place."""

import itertools

import comfy.hooks
import comfy.lora
import comfy.patcher_extension
import comfy.utils
import torch

WrappersMP = comfy.patcher_extension.WrappersMP
STRENGTH = 0.4  # of what was remembered, in an answer


class Holder:
    """What a patch of the usual kind puts into transformer_options, to be copied for each attempt."""

    def __init__(self):
        self.previous = None
        self.by_uuid = {}
        self.steps = 0

    def clone(self):
        return Holder()


def _closure(model):
    """A `nonlocal`, as in ComfyUI's APG; forgotten when the noise level rises."""
    average, last = 0, None

    def pre_cfg(args):
        nonlocal average, last
        sigma = args["sigma"][0]
        if last is not None and sigma > last:
            average = 0
        last = sigma
        conds = args["conds_out"]
        average = conds[0] if not torch.is_tensor(average) else STRENGTH * average + conds[0]
        return [(1 - STRENGTH) * conds[0] + STRENGTH * average, *conds[1:]]

    model.set_model_sampler_pre_cfg_function(pre_cfg)


def _attribute(model):
    """Attributes of the network's blocks, as TeaCache has them; a buffer that is written into."""
    network = model.get_model_object("diffusion_model")

    def wrapper(apply_model, args):
        sigmas = args["c"]["transformer_options"]["sample_sigmas"]
        block = network.middle_block
        if args["timestep"][0] == sigmas[0]:
            for name in ("count", "residual"):
                if hasattr(block, name):
                    delattr(block, name)
        answer = apply_model(args["input"], args["timestep"], **args["c"])
        block.count = getattr(block, "count", 0) + 1
        if not hasattr(block, "residual"):
            block.residual = answer.clone()
        else:
            block.residual.mul_(STRENGTH).add_(answer, alpha=1 - STRENGTH)
        return answer + block.residual * (0.1 / block.count)

    model.set_model_unet_function_wrapper(wrapper)


def _holder(model):
    """A holder in transformer_options that an OUTER_SAMPLE wrapper copies, as ComfyUI's EasyCache does."""
    model.model_options["transformer_options"]["test_holder"] = Holder()

    def outer(executor, *args, **kwargs):
        guider = executor.class_obj
        before = guider.model_options
        guider.model_options = comfy.model_patcher.create_model_options_clone(before)
        options = guider.model_options["transformer_options"]
        options["test_holder"] = options["test_holder"].clone()
        try:
            return executor(*args, **kwargs)
        finally:
            guider.model_options = before

    def network(executor, x, *args, **kwargs):
        options = kwargs.get("transformer_options") or args[-1]
        holder = options["test_holder"]
        answer = executor(x, *args, **kwargs)
        part = len(answer) // len(options["uuids"])
        for index, uuid in enumerate(options["uuids"]):
            own = slice(index * part, (index + 1) * part)
            before = holder.by_uuid.get(uuid)
            holder.by_uuid[uuid] = answer[own].clone()
            if before is not None:
                answer[own] = (1 - STRENGTH) * answer[own] + STRENGTH * before
        holder.previous, holder.steps = x, holder.steps + 1
        return answer

    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "test_holder", outer)
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test_holder", network)


def _opaque(model):
    """A generator, whose state nobody can copy."""

    def averages():
        average = None
        while True:
            answer = yield average
            average = answer if average is None else STRENGTH * average + (1 - STRENGTH) * answer

    running, last = None, None

    def post_cfg(args):
        nonlocal running, last
        sigma = args["sigma"][0]
        if running is None or sigma > last:
            running = averages()
            next(running)
        last = sigma
        return running.send(args["denoised"])

    model.set_model_sampler_post_cfg_function(post_cfg)


def _worn(model):
    """The same made once for all runs, so that in this server nobody can make it anew."""
    numbers = itertools.count()

    def post_cfg(args):
        return args["denoised"] + 1e-3 * next(numbers)

    model.set_model_sampler_post_cfg_function(post_cfg)


PATCHES = {"closure": _closure, "attribute": _attribute, "holder": _holder, "opaque": _opaque, "worn": _worn}


class TestRemembering:
    """A model with a patch that remembers."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "patch": (list(PATCHES),)}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "_for_testing"

    def patch(self, model, patch):
        model = model.clone()
        PATCHES[patch](model)
        return (model,)


class TestKeyframes:
    """A conditioning with a LoRA hook whose strength changes along the noise level, as
    CreateHookKeyframe makes it; the LoRA is a seeded one of the test model."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "conditioning": ("CONDITIONING",),
                "count": ("INT", {"default": 3}),
                "guarantee_steps": ("INT", {"default": 1}),
            }
        }

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "hook"
    CATEGORY = "_for_testing"

    def hook(self, model, conditioning, count, guarantee_steps):
        generator = torch.Generator().manual_seed(9)
        weights = model.model.state_dict()
        names = [name for name in weights if name.endswith("attn1.to_q.weight")]
        patches = {
            name: (0.3 * torch.randn(weights[name].shape, generator=generator).to(weights[name].dtype),)
            for name in names
        }
        hook = comfy.hooks.WeightHook(strength_model=1.0, strength_clip=1.0)
        hook.weights, hook.need_weight_init = patches, False
        group = comfy.hooks.HookGroup()
        group.add(hook)
        keyframes = comfy.hooks.HookKeyframeGroup()
        for index in range(count):
            start = index / count
            strength = 1.0 - index / max(1, count)
            keyframes.add(comfy.hooks.HookKeyframe(strength, start, guarantee_steps))
        group.set_keyframes_on_hooks(keyframes)
        return (comfy.hooks.set_hooks_for_conditioning(conditioning, hooks=group),)


NODES = (TestRemembering, TestKeyframes)
