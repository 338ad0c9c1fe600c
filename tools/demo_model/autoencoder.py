"""An autoencoder for ComfyUI's TAESD class, trained narrow: most of TAESD's channels and blocks stay zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

# TAESD's layers (comfy/taesd/taesd.py) in its order, with the channels that are in use. A block of zeros is a
# ReLU, because its skip path stays: that is what "relu" stands for here.
ENCODER = [
    ("conv", 3, 16), ("relu",),
    ("down", 16, 32), ("block", 32), ("relu",), ("relu",),
    ("down", 32, 64), ("block", 64), ("relu",), ("relu",),
    ("down", 64, 64), ("block", 64), ("block", 64), ("relu",),
    ("conv", 64, 4),
]  # fmt: skip
DECODER = [
    ("clamp",), ("conv", 4, 64), ("relu",),
    ("block", 64), ("block", 64), ("relu",), ("up",), ("flat", 64, 64),
    ("block", 64), ("relu",), ("relu",), ("up",), ("flat", 64, 32),
    ("block", 32), ("relu",), ("relu",), ("up",), ("flat", 32, 16),
    ("block", 16), ("conv", 16, 3),
]  # fmt: skip


class Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    """TAESD's residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = (_conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width))
        self.conv = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x) + x)


def _conv(n_in: int, n_out: int, **more: object) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, padding=1, **more)  # type: ignore[arg-type]


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "conv": _conv,
    "down": lambda n_in, n_out: _conv(n_in, n_out, stride=2, bias=False),
    "flat": lambda n_in, n_out: _conv(n_in, n_out, bias=False),
    "block": Block,
    "relu": nn.ReLU,
    "clamp": Clamp,
    "up": lambda: nn.Upsample(scale_factor=2),
}


def build(layers: list[tuple]) -> nn.Sequential:
    return nn.Sequential(*(LAYERS[kind](*widths) for kind, *widths in layers))


def loss(encoder: nn.Module, decoder: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Reconstruction of [B, 3, H, W] in 0..1 through noisy latents of zero mean and unit variance."""
    latents = encoder(pictures)
    noisy = latents + torch.randn_like(latents) * 0.15 * torch.rand(len(latents), 1, 1, 1)
    off = decoder(noisy) - pictures
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    return off.abs().mean() + 2 * off.square().mean() + 0.05 * (mean.square() + (spread - 1).square()).mean()
