"""What is found at hand of a node with a loop of its own: its scheduler, and the format of its latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from in_process import use_comfyui

kept = use_comfyui()

from midrun.nodes.comfyui.latents import format_of_vae  # noqa: E402
from midrun.nodes.foreign import showing  # noqa: E402


class OfDiffusers:
    """As a scheduler is made, or an autoencoder."""

    timesteps = (3, 2, 1)

    def __init__(self, **config: Any) -> None:
        self.config = config

    def step(self) -> None: ...
    def set_timesteps(self) -> None: ...


class Holder:
    """As a pipeline is."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)


@pytest.mark.parametrize(
    "wrap", [lambda one: one, lambda one: Holder(scheduler=one), lambda one: {"pipe": Holder(scheduler=one)}]
)
def test_the_nearest_scheduler_comes_first(wrap: Any) -> None:
    far, near = OfDiffusers(prediction_type="sample"), OfDiffusers(prediction_type="epsilon")
    assert asked_by_a_node(Holder(scheduler=far), wrap(near))[:2] == [[near], [far]]


def asked_by_a_node(given: Any, *made_by_it: Any) -> list[list[Any]]:
    def ask(inner: Any, other: Any) -> list[list[Any]]:
        return list(showing.schedulers())

    def node(pipeline: Any, inner: Iterator[Any]) -> list[list[Any]]:
        return ask(next(inner), OfDiffusers(no="scheduler that says how"))

    return node(given, iter(made_by_it))


def vae(name: str, **config: Any) -> Any:
    return type(name, (OfDiffusers,), {})(**config)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (vae("AutoencoderKL", latent_channels=4, scaling_factor=0.18215), "SD15"),
        (vae("AutoencoderKL", latent_channels=4, scaling_factor=0.13025), "SDXL"),
        (vae("AutoencoderKL", latent_channels=16, scaling_factor=1.5305, shift_factor=0.0609), "SD3"),
        (vae("AutoencoderKL", latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159), "Flux"),
        (vae("AutoencoderKL", latent_channels=16, scaling_factor=1.0), None),
        (vae("AutoencoderKLWan", z_dim=16), "Wan21"),
        (vae("AutoencoderKLWan", z_dim=48), "Wan22"),
        (vae("AutoencoderKLHunyuanVideo", latent_channels=16, scaling_factor=0.476986), "HunyuanVideo"),
        (vae("AutoencoderKLLTXVideo", latent_channels=128, scaling_factor=1.0), "LTXV"),
        (vae("AutoencoderKLMochi", latent_channels=12, scaling_factor=1.0), "Mochi"),
        (type("AutoencoderKL", (), {})(), None),
        (vae("AutoencoderNobodyKnows", latent_channels=4, scaling_factor=0.18215), None),
    ],
)
def test_latents_are_of_the_format_that_their_autoencoder_is_of(made: Any, name: str | None) -> None:
    found = format_of_vae(made)
    assert (None if found is None else type(found).__name__) == name

    def node(pipeline: Any) -> dict[str, Any]:
        return showing.latent_format()

    assert node(Holder(vae=made)).get("name") == name
