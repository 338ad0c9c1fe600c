"""Keeping what a sampler drew from Brownian trees, so that a replay need not draw it again."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pytest
import torch
import torchsde

from midrun.nodes.engine.brownian import Draws

SIGMAS = [14.5, 9.0, 6.25, 4.0, 2.5, 1.5, 0.75, 0.125]
SHAPE = (1, 4, 8, 8)
BYTES = 4 * 4 * 8 * 8


class Counted(torchsde.BrownianTree):
    """Counts what is really drawn."""

    drawn = 0
    device = torch.device("cpu")

    def __call__(self, *ends: Any, **how: Any) -> torch.Tensor:
        self.drawn += 1
        return super().__call__(*ends, **how)


class NoiseSampler:
    """As k-diffusion's BrownianTreeNoiseSampler is made: its `tree` has one tree for each seed."""

    def __init__(self, *seeds: int, highest: float = SIGMAS[0]) -> None:
        self.tree = self
        self.own = tuple(Counted(SIGMAS[-1], torch.zeros(SHAPE), highest, entropy=seed) for seed in seeds)
        self.trees: Any = self.own

    def __call__(self, sigma: float, sigma_next: float) -> torch.Tensor:
        return torch.stack([tree(sigma_next, sigma) for tree in self.trees])

    @property
    def drawn(self) -> int:
        return sum(tree.drawn for tree in self.own)


def sampled(
    draws: Draws | None, noise_sampler: Any, sigmas: list[float] = SIGMAS, call: str = "call"
) -> list[torch.Tensor]:
    """What a sampler draws. Its model, which it calls before, looks for its noise sampler."""

    def model() -> None:
        if draws is not None:
            draws.serve(call, sys._getframe())

    model()
    return [noise_sampler(sigma, sigma_next) for sigma, sigma_next in pairwise(sigmas)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_a_replay_draws_once_and_then_goes_on_with_the_same_noise() -> None:
    draws, again = Draws(), NoiseSampler(5, 6)
    expected = sampled(None, NoiseSampler(5, 6))
    assert same(sampled(draws, NoiseSampler(5, 6), SIGMAS[:6]), expected[:5])
    assert same(sampled(draws, again), expected)
    assert again.drawn == 2 * (1 + 2), "the first draw, which proves the tree, and two that were never drawn"


@pytest.mark.parametrize("sigmas", [SIGMAS, [SIGMAS[0], *SIGMAS]], ids=["", "one twice"])
@pytest.mark.parametrize("other", [NoiseSampler(7), NoiseSampler(5, highest=20.0)], ids=["seed", "range"])
def test_another_tree_is_not_answered_with_what_was_kept(other: NoiseSampler, sigmas: list[float]) -> None:
    draws = Draws()
    other.trees = other.own
    expected = sampled(None, other, sigmas)
    sampled(draws, NoiseSampler(5), sigmas)
    assert same(sampled(draws, other, sigmas), expected)
    assert same(sampled(draws, NoiseSampler(5)), sampled(None, NoiseSampler(5)))


def test_draws_that_were_kept_longest_ago_make_way() -> None:
    draws = Draws(most_bytes=10 * BYTES)
    for call in ("first", "second"):
        sampled(draws, NoiseSampler(5), call=call)
    for call, drawn in (("second", 1), ("first", 7), ("first", 1), ("second", 7)):
        noise_sampler = NoiseSampler(5)
        sampled(draws, noise_sampler, call=call)
        assert noise_sampler.drawn == drawn, call


def test_a_call_that_draws_more_than_is_kept_keeps_its_first() -> None:
    draws = Draws(most_bytes=4 * BYTES)
    for drawn in (7, 1 + 3, 1 + 3):
        noise_sampler = NoiseSampler(5)
        sampled(draws, noise_sampler)
        assert noise_sampler.drawn == drawn


def test_a_tree_keeps_apart_from_another_that_took_its_place() -> None:
    draws = Draws()
    one, other = NoiseSampler(3), NoiseSampler(4)
    sampled(draws, one, SIGMAS[:3])
    sampled(draws, other)
    expected = [NoiseSampler(3)(sigma, sigma_next) for sigma, sigma_next in pairwise(SIGMAS)]
    assert same(sampled(None, one), expected)


def test_draws_on_a_device_are_not_waited_for() -> None:
    draws, noise_sampler = Draws(), NoiseSampler(5)
    noise_sampler.own[0].device = torch.device("meta")
    sampled(draws, noise_sampler, SIGMAS[:3])
    assert noise_sampler.trees is noise_sampler.own and noise_sampler.drawn == 2
    assert not draws._kept, "nothing grows with the number of calls"


def test_noise_of_another_kind_is_left_alone() -> None:
    draws = Draws()
    draws.serve("call", sys._getframe())  # no sampler runs
    drawn: list[torch.Tensor] = sampled(draws, lambda sigma, sigma_next: torch.full(SHAPE, sigma))
    assert [float(noise.max()) for noise in drawn] == pytest.approx(SIGMAS[:7])
