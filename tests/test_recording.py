"""Recordings, and answering a sampler from them. One suite for every kind of recording."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from midrun.nodes.replay import Tap, Tape, capture_rng, host_copy
from midrun.state.recording import Evaluation, MemoryRecordings, Recording

CPU = torch.device("cpu")


@pytest.fixture(params=[MemoryRecordings])
def recordings(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_evaluations_come_back_exactly(recordings: Any, dtype: torch.dtype) -> None:
    recording: Recording = recordings.open("../../job", "3:1", 0)
    answers = [torch.randn(2, 4, 8, 8).to(dtype) for _ in range(3)]
    for answer in answers:
        recording.append(Evaluation(answer.clone()))
    again = recordings.open("../../job", "3:1", 0)
    assert len(again) == 3
    for index, answer in enumerate(answers):
        assert again.read(index).answer.dtype is dtype
        assert torch.equal(again.read(index).answer, answer)


def test_recordings_are_kept_apart_by_job_node_and_ordinal(recordings: Any) -> None:
    recordings.open("a", "1", 0).append(Evaluation(torch.zeros(1)))
    assert [len(recordings.open(*key)) for key in (("a", "1", 1), ("a", "2", 0), ("b", "1", 0))] == [0, 0, 0]
    recordings.open("b", "1", 0).append(Evaluation(torch.zeros(1)))
    recordings.drop("a")
    recordings.drop("nobody")
    assert (len(recordings.open("a", "1", 0)), len(recordings.open("b", "1", 0))) == (0, 1)


def test_truncating_keeps_the_beginning(recordings: Any) -> None:
    recording = recordings.open("a", "1", 0)
    for value in range(5):
        recording.append(Evaluation(torch.full((1,), value)))
    recording.truncate(2)
    assert len(recording) == 2 and recording.read(1).answer.item() == 1


def record(tape: Tape, answer: torch.Tensor) -> None:
    tape.record(host_copy(answer), [], capture_rng(CPU), CPU)


def test_an_answer_keeps_its_strides_and_its_use_does_not_reach_the_recording(recordings: Any) -> None:
    tape = Tape(recordings.open("a", "1", 0))
    answer = torch.randn(1, 4, 8, 8).to(memory_format=torch.channels_last)
    record(tape, answer)
    tape.rewind()
    assert tape.replaying
    first = tape.replay([], {}, CPU)
    assert torch.equal(first, answer) and first.stride() == answer.stride()
    first.zero_()
    tape.rewind()
    assert torch.equal(tape.replay([], {}, CPU), answer)
    assert not tape.replaying


def test_random_numbers_drawn_by_the_model_are_skipped_on_replay(recordings: Any) -> None:
    tape = Tape(recordings.open("a", "1", 0))
    torch.manual_seed(1)
    before = capture_rng(CPU)
    answer = torch.randn(4)
    tape.record(host_copy(answer), [], before, CPU)
    following = torch.randn(4)
    torch.manual_seed(1)
    tape.rewind()
    tape.replay([], {}, CPU)
    assert torch.equal(torch.randn(4), following)


def test_an_evaluation_that_draws_nothing_leaves_the_generators_alone(recordings: Any) -> None:
    tape = Tape(recordings.open("a", "1", 0))
    record(tape, torch.zeros(1))
    assert tape.recording.read(0).rng is None
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    tape.rewind()
    tape.replay([], {}, CPU)
    assert torch.equal(torch.randn(3), expected)


def test_the_sampler_s_own_functions_read_what_they_read_before(recordings: Any) -> None:
    tape = Tape(recordings.open("a", "1", 0))
    tap = Tap()
    given = {"denoised": torch.ones(2), "uncond_denoised": torch.full((2,), 3.0), "cond_scale": 4.0}
    assert torch.equal(tap(given), given["denoised"])
    given["uncond_denoised"].zero_()
    tape.record(torch.full((2,), 5.0), tap.calls, capture_rng(CPU), CPU)
    tape.rewind()
    seen: list[Any] = []

    def own(args: dict[str, Any]) -> torch.Tensor:
        seen.append((args["uncond_denoised"].clone(), args["sigma"]))
        return args["denoised"] * 0

    answer = tape.replay([own], {"sigma": 0.5}, CPU)
    assert torch.equal(seen[0][0], torch.full((2,), 3.0)) and seen[0][1] == 0.5
    assert torch.equal(answer, torch.full((2,), 5.0))


def test_a_multistep_sampler_replayed_from_every_point_ends_in_the_same_latent(recordings: Any) -> None:
    def sample(tape: Tape, live: list[int]) -> torch.Tensor:
        torch.manual_seed(3)
        x, history = torch.randn(4), []
        tape.rewind()
        for index in range(8):
            if tape.replaying:
                denoised = tape.replay([], {}, CPU)
            else:
                live.append(index)
                before = capture_rng(CPU)
                denoised = torch.tanh(x) + 0.01 * torch.randn(4)
                tape.record(host_copy(denoised), [], before, CPU)
            history.append(denoised)
            x = x + 0.3 * (history[-1] - x) + 0.1 * (history[-1] - history[max(0, len(history) - 2)])
            x = x + 0.05 * torch.randn(4)
        return x

    tape = Tape(recordings.open("a", "1", 0))
    expected = sample(tape, [])
    for point in range(9):
        tape.recording.truncate(point)
        live: list[int] = []
        assert torch.equal(sample(tape, live), expected)
        assert live == list(range(point, 8))
