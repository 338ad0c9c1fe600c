"""The `denoised` of a loop that shows none: computed as diffusers' own schedulers do, or not at all."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from midrun.nodes.foreign import estimates
from midrun.nodes.foreign.estimates import Estimates
from midrun.nodes.foreign.schedulers import Unknown, is_scheduler
from midrun.nodes.foreign.trees import number_in, question_of, sample_in, time_in, tree_of

DIFFUSERS = os.environ.get("MIDRUN_DIFFUSERS")
pytestmark = [
    pytest.mark.skipif(DIFFUSERS is None, reason="`python dev.py test` fetches diffusers"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # its own
]
STEPS, SHAPE, SCALE = 6, (1, 4, 4, 4), 3.0
PLAIN = {"clip_sample": False, "steps_offset": 1}
FLOWS = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
PREDICTED = [
    (name, options | {"prediction_type": prediction})
    for name, options in (
        ("DDIMScheduler", PLAIN),
        ("DDPMScheduler", {"clip_sample": True, "clip_sample_range": 1.5}),
        ("EulerDiscreteScheduler", {}),
        ("EulerAncestralDiscreteScheduler", {}),
        ("LCMScheduler", {"clip_sample": False}),
        ("TCDScheduler", {}),
    )
    for prediction in ("epsilon", "v_prediction", "sample")
    if (name, prediction) != ("EulerAncestralDiscreteScheduler", "sample")
]
TOLD_BY_STEP = [
    *PREDICTED,
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    ("EulerDiscreteScheduler", {"timestep_type": "continuous", "prediction_type": "v_prediction"}),
]
CONVERTED = [
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"prediction_type": "v_prediction", "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", FLOWS),
    ("UniPCMultistepScheduler", {"prediction_type": "v_prediction"}),
    ("UniPCMultistepScheduler", FLOWS),
]


@pytest.fixture(scope="module")
def diffusers() -> Iterator[Any]:
    sys.path.append(str(DIFFUSERS))
    yield importlib.import_module("diffusers")
    sys.path.remove(str(DIFFUSERS))


def made(diffusers: Any, name: str, options: dict[str, Any]) -> Any:
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(STEPS)
    return scheduler


def asked(told: Estimates, sample: torch.Tensor, time: Any, answer: Any) -> None:
    put = question_of((sample, time))
    told.asked(sample_in(put), number_in(time_in(put)))
    told.answered(tree_of(answer))


class Followed:
    """A loop that asks once a step. steps: what is shown of those that are over"""

    def __init__(self, scheduler: Any) -> None:
        self.told = Estimates(lambda: [[scheduler]], None)
        self.steps: list[torch.Tensor] = []

    def asked(self, sample: torch.Tensor, time: Any, answer: Any) -> None:
        put, first = question_of((sample, time)), not self.told._told
        self.told.asked(sample_in(put), number_in(time_in(put)))
        if not first:
            self.end()
        self.told.answered(tree_of(answer))

    def end(self) -> list[torch.Tensor]:
        self.steps.append(of_step(self.told))
        return self.steps


def of_step(told: Estimates) -> torch.Tensor:
    step = told.of_step()
    assert step is not None, told.unknown
    return step.shown().denoised


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*(shape or SHAPE), generator=torch.Generator().manual_seed(seed))


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other.to(torch.float32), rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize(("name", "options"), TOLD_BY_STEP)
def test_it_is_what_the_scheduler_predicts_itself(diffusers: Any, name: str, options: dict[str, Any]) -> None:
    scheduler = made(diffusers, name, options)
    loop, owns = Followed(scheduler), []
    x = noise(0) * scheduler.init_noise_sigma
    for number, time in enumerate(scheduler.timesteps):
        answer = noise(number + 1)
        loop.asked(scheduler.scale_model_input(x, time), time.expand(1), (answer,))
        given = scheduler.step(answer, time, x)
        own = getattr(given, "pred_original_sample", None)
        own = given.denoised if name == "LCMScheduler" else own
        owns.append(predicted(scheduler, answer, time, x) if own is None else own)
        x = given.prev_sample
    assert all(close(one, own) for one, own in zip(loop.end(), owns, strict=True)) and len(owns) == STEPS


def predicted(scheduler: Any, answer: torch.Tensor, time: Any, x: torch.Tensor) -> torch.Tensor:
    """Of one that does not give it away: by the formula of its paper."""
    product = scheduler.alphas_cumprod[int(time)]
    alpha, sigma = product.sqrt(), (1 - product).sqrt()
    return {
        "epsilon": (x - sigma * answer) / alpha,
        "v_prediction": alpha * x - sigma * answer,
        "sample": answer,
    }[scheduler.config.prediction_type]


@pytest.mark.parametrize(("name", "options"), CONVERTED)
def test_it_is_what_a_solver_works_with(diffusers: Any, name: str, options: dict[str, Any]) -> None:
    scheduler = made(diffusers, name, options)
    loop, owns, x = Followed(scheduler), [], noise(0)
    for number, time in enumerate(scheduler.timesteps):
        answer = noise(number + 1)
        loop.asked(x, time, answer)
        x = scheduler.step(answer, time, x).prev_sample
        owns.append(scheduler.model_outputs[-1])
    assert all(close(one, own) for one, own in zip(loop.end(), owns, strict=True)) and len(owns) == STEPS


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_flow_ends_where_its_velocity_leads(
    diffusers: Any, share: bool, inverted: bool, dtype: torch.dtype
) -> None:
    """A network that knows the way answers with it: then each estimate is the end. Also at shares of 1."""
    scheduler = made(diffusers, "FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "invert_sigmas": inverted})
    loop, x, end = Followed(scheduler), noise(0), noise(1)
    way = (end - x) if inverted else (x - end)
    for time in scheduler.timesteps:
        loop.asked(x, time.expand(1).to(dtype) / (1000 if share else 1), way)
        x = scheduler.step(way, time, x).prev_sample
    assert close(x, end) and all(close(one, end) for one in loop.end())


def test_a_loop_that_turns_its_networks_answer_round_shows_none(diffusers: Any) -> None:
    for name in ("FlowMatchEulerDiscreteScheduler", "EulerDiscreteScheduler"):
        scheduler = made(diffusers, name, {})
        loop, x = Followed(scheduler), noise(0) * getattr(scheduler, "init_noise_sigma", 1.0)
        scale = getattr(scheduler, "scale_model_input", lambda x, time: x)
        loop.asked(scale(x, scheduler.timesteps[0]), scheduler.timesteps[0], noise(1))
        x = scheduler.step(-noise(1), scheduler.timesteps[0], x).prev_sample
        with pytest.raises(Unknown, match="changes what its network answers"):
            loop.asked(scale(x, scheduler.timesteps[1]), scheduler.timesteps[1], noise(2))


def test_cond_and_uncond_are_guided_where_the_scale_is_known(diffusers: Any) -> None:
    cond, uncond = noise(1), noise(2)
    mixed = uncond + SCALE * (cond - uncond)
    for scale, wanted, known in ((SCALE, mixed, True), (None, cond, False)):
        for together in (False, True):
            scheduler = made(diffusers, "DDIMScheduler", PLAIN)
            told, x, time = Estimates(lambda s=scheduler: [[s]], scale), noise(0), scheduler.timesteps[0]
            if together:
                asked(told, torch.cat([x, x]), time, torch.cat([uncond, cond]))
            else:
                asked(told, x, time, cond)
                asked(told, x, time, uncond)
            step = told.of_step()
            shown = None if step is None else step.shown()
            own = scheduler.step(wanted, time, x).pred_original_sample
            assert shown is not None and close(shown.denoised, own) and shown.guided is known


@pytest.mark.parametrize("name", ["HeunDiscreteScheduler", "PNDMScheduler"])
def test_the_newest_counts_where_a_solver_asks_twice_at_one_time_step(diffusers: Any, name: str) -> None:
    """What it asks about differs then, and is still no part of what it samples."""
    scheduler = made(diffusers, name, {"timestep_spacing": "leading"})
    told, x, own = Estimates(lambda: [[scheduler]], None), noise(0) * scheduler.init_noise_sigma, noise(0)
    times = scheduler.timesteps.tolist()
    assert len(set(times)) < len(times)
    for number, time in enumerate(scheduler.timesteps):
        if number and times[number - 1] != times[number]:
            assert close(of_step(told), own), time
        answer, scaled = noise(number + 1), scheduler.scale_model_input(x, time)
        asked(told, scaled, time, answer)
        own = predicted(scheduler, answer, time, scaled)
        x = scheduler.step(answer, time, x).prev_sample
    assert close(of_step(told), own)


def test_a_learned_variance_is_no_part_of_it(diffusers: Any) -> None:
    scheduler = made(diffusers, "DDPMScheduler", {"variance_type": "learned_range", "clip_sample": False})
    told, x, time = Estimates(lambda: [[scheduler]], None), noise(0), scheduler.timesteps[0]
    answer = noise(1, 1, 8, 4, 4)
    asked(told, x, time, answer)
    assert close(of_step(told), scheduler.step(answer, time, x).pred_original_sample)


def test_what_else_is_asked_at_the_time_step_is_left_out(diffusers: Any) -> None:
    """As a ControlNet is, whose answers are of other forms."""
    scheduler = made(diffusers, "DDIMScheduler", PLAIN)
    told, x, time, answer = Estimates(lambda: [[scheduler]], None), noise(0), scheduler.timesteps[0], noise(1)
    asked(told, x, time, ([noise(5, 1, 32, 4, 4)], noise(6, 1, 64, 2, 2)))
    asked(told, x, time, answer)
    assert close(of_step(told), scheduler.step(answer, time, x).pred_original_sample)


def test_nothing_is_guessed(diffusers: Any) -> None:
    ddim = made(diffusers, "DDIMScheduler", PLAIN)
    flow = made(diffusers, "FlowMatchEulerDiscreteScheduler", {})
    x, time = noise(0), ddim.timesteps[0]
    assert not is_scheduler(diffusers.DDIMScheduler) and not is_scheduler(SimpleNamespace(scheduler=ddim))

    def why(*given: Any, sample: torch.Tensor = x, at: Any = time) -> str | None:
        told = Estimates(lambda: [list(given)] if given else [], None)
        asked(told, sample, at, noise(1, *sample.shape))
        assert (told.of_step() is None) is (told.unknown is not None)
        return told.unknown

    assert why() == estimates.NO_SCHEDULER
    assert "does not know" in str(why(ddim, at=torch.tensor(3)))
    assert "several time steps" in str(why(ddim, at=torch.tensor([961, 961, 801])))
    assert why(ddim, sample=noise(0, 1, 16, 64)) == estimates.NO_PICTURE
    edm = made(diffusers, "EDMEulerScheduler", {})
    assert "preconditions" in str(why(edm, at=edm.timesteps[0]))
    other = made(diffusers, "DDIMScheduler", PLAIN | {"prediction_type": "v_prediction"})
    assert "several schedulers" in str(why(ddim, other))
    torn = made(diffusers, "DDIMScheduler", PLAIN)
    torn.timesteps = "words"
    assert "cannot be read" in str(why(torn))
    euler = made(diffusers, "EulerDiscreteScheduler", {})
    euler.scale_model_input(x, euler.timesteps[0])  # from here on it tells where it stands
    assert (
        "does not know" in str(why(euler, at=euler.timesteps[3]))
        and why(euler, at=euler.timesteps[0]) is None
    )
    # A loop that counts time the other way and turns its velocity round: at once, and from then on.
    told = Estimates(lambda: [[flow]], None)
    for one in flow.timesteps:
        asked(told, x, 1 - one.expand(1) / 1000, noise(1))
        flow.step(noise(1), one, x)
        assert told.unknown is not None and told.of_step() is None


def test_a_part_of_what_is_sampled_is_no_picture_of_it(diffusers: Any) -> None:
    ddim = made(diffusers, "DDIMScheduler", PLAIN)
    told = Estimates(lambda: [[ddim]], SCALE)
    for window in range(2):
        asked(told, noise(window), ddim.timesteps[0], noise(5))
    step = told.of_step()
    assert step is not None
    with pytest.raises(Unknown, match="parts"):
        step.shown()
    asked(told, noise(0).expand(3, 4, 4, 4), ddim.timesteps[1], noise(5, 3, 4, 4, 4))
    step = told.of_step()
    assert step is not None
    with pytest.raises(Unknown, match="several times at once"):
        step.shown()


def test_a_loop_that_shows_its_steps_needs_none(diffusers: Any) -> None:
    ddim = made(diffusers, "DDIMScheduler", PLAIN)
    told = Estimates(lambda: [[ddim]], None)
    asked(told, noise(0), ddim.timesteps[0], noise(1))
    told.stop()
    asked(told, noise(0), ddim.timesteps[1], noise(1))
    assert told.of_step() is None and told.unknown is None
