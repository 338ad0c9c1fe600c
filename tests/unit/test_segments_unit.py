"""Schedule edits: what a new stretch starts from, by formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from midrun.nodes.engine.segments import continued, moved, starting_at
from midrun.nodes.engine.tape import InputsChanged
from midrun.state.recording.items import Approach


class Eps:
    def noise_scaling(self, sigma: Any, noise: Any, latent_image: Any) -> Any:
        return noise * sigma + latent_image


class Flow:
    def noise_scaling(self, sigma: Any, noise: Any, latent_image: Any) -> Any:
        return sigma * noise + (1.0 - sigma) * latent_image


def test_a_schedule_continues_below_the_noise_level_it_starts_from() -> None:
    assert continued(torch.tensor([9.0, 5.0, 2.0, 0.0]), 5.0).tolist() == [5.0, 2.0, 0.0]
    assert continued(torch.tensor([9.0, 5.0, 2.0, 0.0]), 4.0).tolist() == [4.0, 2.0, 0.0]
    assert continued(torch.tensor([9.0, 5.0]), 1.0).tolist() == [1.0]


@pytest.mark.parametrize(("sigma", "new"), [(0.5, 0.2), (0.5, 0.8), (0.5, 0.5)])
@pytest.mark.parametrize("kind", [Eps, Flow])
def test_x_moves_to_another_noise_level_by_the_formula(kind: Any, sigma: float, new: float) -> None:
    torch.manual_seed(0)
    denoised, eps = torch.randn(1, 4, 64, 64), torch.randn(1, 4, 64, 64)
    scale = kind().noise_scaling
    x = scale(sigma, eps, denoised)
    got = moved(Approach(3, sigma, x), denoised, torch.tensor([new, 0.0]), kind(), seed=1)
    a, b = (sigma, 1.0) if kind is Eps else (sigma, 1.0 - sigma)
    a_new, b_new = (new, 1.0) if kind is Eps else (new, 1.0 - new)
    implied = (x.double().numpy() - b * denoised.double().numpy()) / a
    if new <= sigma:
        want = a_new * implied + b_new * denoised.double().numpy()
        assert np.allclose(got.numpy(), want, atol=1e-6)
    else:
        kept = (a / b) / (a_new / b_new)
        noise = (got.double().numpy() - b_new * denoised.double().numpy()) / a_new
        fresh = (noise - kept * implied) / np.sqrt(1 - kept**2)
        assert abs(fresh.mean()) < 0.03 and abs(fresh.std() - 1) < 0.03
        assert abs(np.corrcoef(fresh.ravel(), implied.ravel())[0, 1]) < 0.03
        again = moved(Approach(3, sigma, x), denoised, torch.tensor([new, 0.0]), kind(), seed=1)
        assert torch.equal(got, again)
    assert got.dtype == x.dtype


def test_a_seed_may_be_as_large_as_comfyui_s() -> None:
    x = torch.zeros(1, 4, 8, 8)
    moved(Approach(3, 0.5, x), x, torch.tensor([0.8, 0.0]), Eps(), seed=2**64 - 1 + 3)


def test_a_sampler_that_cannot_start_from_x_is_refused() -> None:
    with pytest.raises(InputsChanged, match="object cannot begin"):
        starting_at(object(), torch.zeros(1))
