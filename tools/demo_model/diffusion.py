"""The UNet in training: SD1.5's noise schedule and objective. Everything in float32 on the CPU."""

from __future__ import annotations

import copy

import comfy.model_sampling
import comfy.ops
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, SpatialTransformer, UNetModel
from torch import nn

from midrun.nodes.comfyui.demo_loading import UNET

LEARNING_RATE, WARM_UP, EMA = 1e-3, 200, 0.999
WITH_WEIGHTS = (nn.Conv2d, nn.Linear, nn.GroupNorm, nn.LayerNorm, nn.Embedding)


def unet() -> UNetModel:
    """ComfyUI's own, with weights: its layers skip their initialisation."""
    model = UNetModel(**UNET, operations=comfy.ops.disable_weight_init)
    initialise(model)
    for module in model.modules():
        if isinstance(module, ResBlock):
            nn.init.zeros_(module.out_layers[-1].weight)
        if isinstance(module, SpatialTransformer):
            nn.init.zeros_(module.proj_out.weight)
    nn.init.zeros_(model.out[-1].weight)
    return model


def initialise(model: nn.Module) -> None:
    for module in model.modules():
        for kind in WITH_WEIGHTS:
            if isinstance(module, kind):
                kind.reset_parameters(module)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)


class Schedule:
    """SD1.5's, from ComfyUI."""

    def __init__(self) -> None:
        sigmas = comfy.model_sampling.ModelSamplingDiscrete().sigmas
        self.kept = 1 / (sigmas**2 + 1)  # alpha bar, [1000]

    def loss(
        self, model: nn.Module, latents: torch.Tensor, context: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """How badly the noise in `latents` [B, 4, H, W] is guessed at the noise levels `t` [B], 0 to 999.

        The weights of the noise levels are those of Min-SNR (arXiv 2303.09556), and the noisiest, which
        choose the colours, count more.
        """
        kept, noise = self.kept[t].reshape(-1, 1, 1, 1), torch.randn_like(latents)
        guess = model(kept.sqrt() * latents + (1 - kept).sqrt() * noise, t, context=context)
        ratio = kept / (1 - kept)
        return (ratio.clamp(0.03, 5.0) / ratio * (guess - noise).square()).mean()


class Training:
    """An optimiser over some weights, with a warm-up, a cosine to zero and a moving average."""

    def __init__(self, model: nn.Module, steps: int, rate: float = LEARNING_RATE) -> None:
        self.model, self.average, self.step_at = model, copy.deepcopy(model), 0
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rate, total_steps=steps, pct_start=min(0.3, WARM_UP / steps)
        )

    def step(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.rates.step()
        self.step_at += 1
        decay = min(EMA, self.step_at / (self.step_at + 10))
        with torch.no_grad():
            for old, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                old.lerp_(new, 1 - decay)
