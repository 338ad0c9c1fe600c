"""What a scheduler of diffusers tells of its network's answers: how they and the sample make a `denoised`.

Plain torch; ComfyUI's worker thread. Only what a scheduler says of itself counts; else Unknown is raised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

NOISE, SAMPLES = "epsilon", ("sample", "original_sample")
VELOCITY, FLOW = "v_prediction", "flow_prediction"
LEARNED = ("learned", "learned_range")  # then a network answers with a variance, too


class Unknown(Exception):
    """No `denoised` can be computed; the message says why, as a part of a sentence."""


@dataclass(frozen=True)
class Formula:
    """denoised = of_sample * sample + of_answer * answer, each value held within `bound` of 0.

    sigma: the noise level; spread: with which a sample is multiplied that a solver moves straight on
    with_variance: the answer has twice the channels of the sample, of which the first half counts
    """

    of_sample: float
    of_answer: float
    sigma: float
    spread: float
    bound: float | None = None
    with_variance: bool = False

    def denoised(self, sample: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        """In float32. sample: as the network was asked, scaled where the scheduler scales it"""
        found = self.of_answer * answer.to(torch.float32)
        if self.of_sample:  # what a sample is that counts for nothing may be infinite
            found = found + self.of_sample * sample.to(torch.float32)
        return found if self.bound is None else found.clamp(-self.bound, self.bound)


@dataclass(frozen=True)
class Place:
    """Of one time step in a schedule. stepped: is another once the scheduler went on, even at the same"""

    index: int
    stepped: tuple[Any, ...]


def is_scheduler(value: Any) -> bool:
    """Whether it is made as those of diffusers are, and says how its network answers.

    What else may be at hand in a node is not asked for anything: its class tells.
    """
    if not all(callable(getattr(type(value), name, None)) for name in ("step", "set_timesteps")):
        return False
    told = isinstance(getattr(value, "config", None), Mapping) and hasattr(value, "timesteps")
    return told and _prediction(value) is not None


class Schedule:
    """Of one scheduler, whose state is read as the loop goes on."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._read: dict[str, tuple[Any, list[float]]] = {}  # its tensors, as they were read from the device

    def place(self, asked: torch.Tensor) -> Place:
        """Where that time step, one or more equal numbers, stands. Raises Unknown."""
        times = self._times()
        if not asked.numel() or bool((asked != asked.flatten()[0]).any()):
            raise Unknown("its network is asked at several time steps at once")
        found = [index for index, time in enumerate(self._as(asked, times)) if time]
        now = getattr(self._scheduler, "step_index", None)
        if isinstance(now, int):  # it tells where it stands
            found = [index for index in found if index == now]
        if not found or len({times[index] for index in found}) > 1:
            raise Unknown("its network is asked at time steps that its scheduler does not know")
        return Place(found[0], (now, getattr(self._scheduler, "counter", None)))

    def formula(self, place: Place) -> Formula:
        """Of the answer to what is asked there. Raises Unknown."""
        config, kind = self._scheduler.config, _prediction(self._scheduler)
        if config.get("sigma_data") is not None:
            raise Unknown("its scheduler preconditions what its network answers")
        flows = kind == FLOW or bool(config.get("use_flow_sigmas"))
        if kind not in ((FLOW, *SAMPLES) if flows else (NOISE, VELOCITY, *SAMPLES)):
            raise Unknown(f"its scheduler's prediction type, {kind}, is not one that Midrun knows")
        if flows:  # the sample is (1 - sigma) * denoised + sigma * noise
            way = (1.0 if config.get("invert_sigmas") else 0.0) - self._flow_sigma(place.index)
            parts, level, spread = (1.0, way), abs(way), 1.0
        else:  # the sample, times spread, is denoised + sigma * noise
            level = self._sigma(place.index)
            spread = math.sqrt(1.0 + level * level)
            parts = (spread, -level) if kind == NOISE else (1.0 / spread, -level / spread)
        if kind in SAMPLES:
            parts = 0.0, 1.0
        bound = float(config.get("clip_sample_range") or 1.0) if config.get("clip_sample") else None
        return Formula(*parts, level, spread, bound, config.get("variance_type") in LEARNED)

    # -- inside ----------------------------------------------------------------------------------------

    def _numbers(self, name: str) -> list[float]:
        """Those of a tensor of the scheduler; empty without it."""
        now = getattr(self._scheduler, name, None)
        held, numbers = self._read.get(name, (None, []))
        if held is not now:
            numbers = torch.as_tensor(now).flatten().tolist()
            self._read[name] = now, numbers
        return numbers

    def _times(self) -> list[float]:
        return self._numbers("timesteps")

    def _as(self, asked: torch.Tensor, times: list[float]) -> list[bool]:
        """Which of them it is: as they are, or as shares of all, in the precision of what is asked."""
        one, trained = asked.flatten()[0], self._scheduler.config.get("num_train_timesteps") or 1
        exact = torch.tensor(times, dtype=torch.float64)
        known = exact.to(asked.dtype)
        same = known == one
        if not bool(same.any()) and asked.is_floating_point():
            same = (known / trained == one) | ((exact / trained).to(asked.dtype) == one)
        return same.tolist()

    def _beside(self, index: int) -> float | None:
        """The sigma in the place of that time step, where there is one for each and one more for the end."""
        sigmas = self._numbers("sigmas")
        return sigmas[index] if len(sigmas) == len(self._times()) + 1 else None

    def _flow_sigma(self, index: int) -> float:
        found = self._beside(index)
        if found is None:
            raise Unknown("its scheduler has no sigma for each of its time steps")
        return found

    def _sigma(self, index: int) -> float:
        """That of the schedule; that at which the network is trained, where it is of another time step."""
        time, found = self._times()[index], self._beside(index)
        trained = self._trained_sigma(time)
        if trained is None and not found:
            raise Unknown("its scheduler does not tell the noise level of its time steps")
        if trained is None or not found:
            return found or trained or 0.0
        least, most = self._trained_sigma(time - 1) or 0.0, self._trained_sigma(time + 1) or math.inf
        return found if least <= found <= most else trained  # time steps are rounded

    def _trained_sigma(self, time: float) -> float | None:
        """None where time steps do not count those at which it was trained."""
        products, below = self._numbers("alphas_cumprod"), math.floor(time)
        if self._scheduler.config.get("timestep_type") == "continuous":
            return None
        if below < 0 or math.ceil(time) >= len(products):
            return None
        share = time - below
        logs = [_log_sigma(products[at]) for at in (below, math.ceil(time))]
        return math.exp((1 - share) * logs[0] + share * logs[1])


def _prediction(scheduler: Any) -> str | None:
    """Flow matching schedulers of diffusers have one prediction type, and do not name it."""
    told = scheduler.config.get("prediction_type")
    if isinstance(told, str):
        return told
    kinds = type(scheduler).__mro__
    matching = any(one.__name__.startswith("FlowMatch") and _is_diffusers(one) for one in kinds)
    return FLOW if matching else None


def _is_diffusers(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "diffusers"


def _log_sigma(product: float) -> float:
    product = min(max(product, 1e-20), 1.0 - 1e-12)
    return 0.5 * math.log((1.0 - product) / product)
