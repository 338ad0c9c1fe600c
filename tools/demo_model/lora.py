"""The LoRA in training: low-rank changes of a frozen UNet's weights, as ComfyUI's loader reads them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize

RANK = 8
TARGETS = ("in_layers.2", "out_layers.3", "to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")


class LowRank(nn.Module):
    """weight + up @ down, for a linear layer or a convolution; nothing at first."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        self.up = nn.Parameter(torch.zeros(rows, RANK))
        self.down = nn.Parameter(torch.randn(RANK, columns) / columns**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.up @ self.down).reshape(weight.shape)


def attach(model: nn.Module) -> dict[str, LowRank]:
    """Module name -> its low-rank change. What the model had is frozen."""
    model.requires_grad_(False)
    added = {}
    for name, module in list(model.named_modules()):
        if name.endswith(TARGETS):
            added[name] = LowRank(module.weight)
            parametrize.register_parametrization(module, "weight", added[name])
    return added


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """What LoraLoaderModelOnly reads, from a model with low-rank changes."""
    file = {}
    for name, module in model.named_modules():
        if not parametrize.is_parametrized(module, "weight"):
            continue
        change = module.parametrizations.weight[0]
        down = change.down.reshape(RANK, *module.weight.shape[1:])
        up = change.up.reshape(-1, RANK, *(1 for _ in module.weight.shape[2:]))
        file[f"diffusion_model.{name}.lora_up.weight"] = up
        file[f"diffusion_model.{name}.lora_down.weight"] = down
        file[f"diffusion_model.{name}.alpha"] = torch.tensor(float(RANK))
    return {name: value.detach().clone() for name, value in file.items()}
