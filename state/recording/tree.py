"""Tensors that are nested as a network answered them. A frozen value; any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Tree:
    """What a network answered: tensors in tuples, lists, dicts and dataclasses, as deep as they go.

    skeleton: plain JSON that tells how they are nested; tensors: on the host, by the names used in it
    """

    skeleton: Any
    tensors: dict[str, torch.Tensor]

    @property
    def main(self) -> torch.Tensor:
        """The largest that is of floating point; an empty one where there is none."""
        found = (tensor for tensor in self.tensors.values() if tensor.is_floating_point())
        return max(found, key=torch.numel, default=torch.empty(0))
