"""A sampler that Midrun has never heard of, as a newer ComfyUI may bring one: it looks two steps back, draws
noise of its own, and asks the model a second time in every other step."""

import comfy.samplers
import torch
from comfy.k_diffusion import sampling

NAME = "midrun_unheard_of"


@torch.no_grad()
def sample(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None):
    extra_args = {} if extra_args is None else extra_args
    draw = sampling.default_noise_sampler(x, seed=extra_args.get("seed"))
    ones = x.new_ones([x.shape[0]])
    past = []
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * ones, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        if i % 2 and sigmas[i + 1] > 0:
            between = (sigmas[i] + sigmas[i + 1]) / 2
            denoised = model(x + (denoised - x) * 0.5, between * ones, **extra_args)
        past = [*past[-2:], denoised]
        ratio = sigmas[i + 1] / sigmas[i]
        x = ratio * x + (1 - ratio) * sum(past) / len(past)
        x = x + draw(sigmas[i], sigmas[i + 1]) * sigmas[i + 1] * 0.1 if sigmas[i + 1] > 0 else x
    return x


sampling.sample_midrun_unheard_of = sample
if NAME not in comfy.samplers.SAMPLER_NAMES:
    comfy.samplers.SAMPLER_NAMES.append(NAME)

NODES = ()
