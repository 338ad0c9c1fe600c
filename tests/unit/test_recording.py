"""Recordings, and answering a sampler from them. One suite for every kind of recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from midrun.nodes.engine.copies import Copies, host_copy
from midrun.nodes.engine.tape import Tap, Tape, capture_rng
from midrun.state.recording.disk import DiskRecordings
from midrun.state.recording.items import Approach, Evaluation, Inputs, Remembered, Segment, Step
from midrun.state.recording.memory import MemoryRecordings
from midrun.state.recording.recording import Recording

CPU = torch.device("cpu")


class Reopened(DiskRecordings):
    """As after a restart: whoever opens a recording finds what is on the disk, and nothing else."""

    def open(self, job_id: str, node_id: str, ordinal: int) -> Any:
        self.close(job_id)
        self.writer.flush()
        return super().open(job_id, node_id, ordinal)


@pytest.fixture(params=["memory", "disk", "reopened"])
def recordings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryRecordings()
        return
    kind = DiskRecordings if request.param == "disk" else Reopened
    recordings = kind(tmp_path, lambda job_id, told: pytest.fail(str(told)), reserve=0)
    yield recordings
    recordings.writer.close()


def lost(count: int, first: int, why: str) -> None:
    pytest.fail(why)


def tape_of(recordings: Any, job_id: str = "a") -> Tape:
    return Tape(recordings.open(job_id, "1", 0), lost)


def replayed(tape: Tape, own: list[Any] | None = None, args: Any = None) -> torch.Tensor:
    evaluation = tape.next()
    assert evaluation is not None
    return tape.replay(evaluation, own or [], args or {}, CPU)


def again(recordings: Any, tape: Tape) -> Tape:
    """The same recording at its start, opened anew."""
    return tape_of(recordings)


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


def test_what_other_calls_of_the_job_remember_counts_for_each(recordings: Any) -> None:
    for job_id, node_id, ordinal, length in (("a", "1", 0, 1000), ("a", "1", 1, 3000), ("b", "1", 0, 9000)):
        recording = recordings.open(job_id, node_id, ordinal)
        recording.append(Evaluation(torch.zeros(9000)))  # which does not count
        recording.remember(Remembered(1, {"changes": {}}, {"1.0": torch.zeros(length)}))
        recording.save()
    recordings.flush()
    elsewhere = [
        recordings.remembered_elsewhere("a", node_id, ordinal)
        for node_id, ordinal in (("1", 0), ("1", 1), ("2", 0))
    ]
    for found, length in zip(elsewhere, (3000, 1000, 4000), strict=True):
        assert 4 * length <= found < 4 * length + 4000


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
    recording.mark(Step(2, 2, 1.0))
    recording.mark(Step(4, 4, 1.0))
    recording.truncate(2)
    for found in (recording, recordings.open("a", "1", 0)):
        assert len(found) == 2 and found.read(1).answer.item() == 1
        assert found.steps() == [2]
    found.append(Evaluation(torch.full((1,), 9.0)))
    assert [recordings.open("a", "1", 0).read(index).answer.item() for index in range(3)] == [0, 1, 9]


def five_steps(recording: Recording) -> None:
    """Two evaluations a step, worth their number; a segment begins after the second step."""
    for number in range(10):
        if number == 4:
            recording.begin(stretch(4, 2))
        recording.approached(Approach(number, 1.0, torch.full((1,), 100.0 + number)))
        recording.append(Evaluation(torch.full((1,), float(number))))
        if number % 2:
            recording.mark(Step(number // 2 + 1, number + 1, 1.0))


def stretch(first: int, step: int, sampler: str = "s") -> Segment:
    origin = Approach(first, 1.0, torch.zeros(1))
    given = (torch.zeros(1), torch.zeros(2), torch.zeros(2))
    return Segment(first, step, origin, *given, sampler, capture_rng(CPU))


@pytest.mark.parametrize(("step", "length", "segment"), [(0, 0, False), (1, 2, False), (3, 6, True)])
def test_a_rewound_recording_ends_early_until_it_is_restored(
    recordings: Any, step: int, length: int, segment: bool
) -> None:
    five_steps(recordings.open("a", "1", 0))
    recordings.open("a", "1", 0).rewind(step)
    for _ in range(2):  # again after a restart
        found = recordings.open("a", "1", 0)
        assert (len(found), found.rewound, found.steps()) == (length, True, list(range(1, step + 1)))
        assert (found.segment() is not None) is segment
        assert found.approach(length).x.item() == 100 + length
        with pytest.raises(IndexError):
            found.read(length)
        with pytest.raises(KeyError):
            found.step(step + 1)
    found.mark(Step(5, 1, 0.0))  # a replay marks again what it passes
    found.restore()
    found = recordings.open("a", "1", 0)
    assert (len(found), found.rewound, found.steps()) == (10, False, [1, 2, 3, 4, 5])
    assert found.read(9).answer.item() == 9 and found.step(5).evaluations == 10


def test_what_a_rewind_left_behind_goes_with_the_next_evaluation(recordings: Any) -> None:
    recording = recordings.open("a", "1", 0)
    five_steps(recording)
    recording.rewind(1)
    recording.append(Evaluation(torch.full((1,), 50.0)))
    recording.mark(Step(2, 3, 0.5))
    for found in (recording, recordings.open("a", "1", 0)):
        found.restore()
        assert (len(found), found.rewound, found.steps()) == (3, False, [1, 2])
        assert found.read(2).answer.item() == 50 and found.segment() is None
        assert found.approach(2) is not None and found.approach(3) is None
    with pytest.raises(KeyError):
        found.rewind(4)
    assert len(found) == 3


def given(value: float) -> Inputs:
    one = torch.full((1,), value)
    return Inputs(one, one, one, None, capture_rng(CPU), seed=int(value))


def test_what_is_begun_after_a_rewind_is_on_record_with_the_first_evaluation(recordings: Any) -> None:
    recording = recordings.open("a", "1", 0)
    recording.inputs = given(1)
    five_steps(recording)
    recording.rewind(2)
    recording.begin(stretch(4, 2, "another"))
    recording.approached(Approach(4, 1.0, torch.zeros(1)))
    assert recording.segment().sampler == "another" and len(recording) == 4
    recording.restore()
    assert (recording.segment().sampler, recording.approach(4).x.item()) == ("s", 104)

    recording.rewind(0)
    recording.inputs = given(2)
    assert recording.inputs.seed == 2
    recording.restore()
    assert (recording.inputs.seed, len(recording)) == (1, 10)

    recording.rewind(0)
    recording.inputs = given(3)
    recording.append(Evaluation(torch.zeros(1)))
    found = recordings.open("a", "1", 0)
    assert (found.inputs.seed, len(found), found.segment()) == (3, 1, None)


def test_a_stretch_without_an_evaluation_leaves_no_trace(recordings: Any) -> None:
    recording = recordings.open("a", "1", 0)
    five_steps(recording)
    recording.approached(Approach(10, 1.0, torch.full((1,), 110.0)))
    recording.begin(stretch(10, 5, "another"))
    recording.approached(Approach(10, 1.0, torch.zeros(1)))
    recording.forget_begun()
    assert (recording.segment().sampler, recording.approach(10).x.item()) == ("s", 110)
    recording.begin(stretch(10, 5, "another"))
    recording.approached(Approach(10, 1.0, torch.zeros(1)))
    recording.append(Evaluation(torch.zeros(1)))
    found = recordings.open("a", "1", 0)
    assert (found.segment().sampler, found.approach(10).x.item(), len(found)) == ("another", 0, 11)


def test_a_stretch_without_an_evaluation_is_kept_where_the_call_ends_with_it(recordings: Any) -> None:
    five_steps(recordings.open("a", "1", 0))
    found = recordings.open("a", "1", 0)
    found.rewind(3)
    found.begin(stretch(6, 3))
    found.settle()
    found = recordings.open("a", "1", 0)
    assert (len(found), found.steps(), found.rewound, found.segment().first) == (6, [1, 2, 3], False, 6)
    found.rewind(2)
    assert recordings.open("a", "1", 0).segment().first == 4
    found.restore()
    assert recordings.open("a", "1", 0).segment().first == 6


def record(tape: Tape, answer: torch.Tensor, taps: Any = ()) -> None:
    tape.recording.append(Evaluation(host_copy(answer), tuple(taps), capture_rng(CPU)))
    tape.passed()


def test_an_answer_keeps_its_strides_and_its_use_does_not_reach_the_recording(recordings: Any) -> None:
    tape = tape_of(recordings)
    answer = torch.randn(1, 4, 8, 8).to(memory_format=torch.channels_last)
    record(tape, answer)
    tape = again(recordings, tape)
    first = replayed(tape)
    assert torch.equal(first, answer) and first.stride() == answer.stride()
    first.zero_()
    tape.rewind()
    assert torch.equal(replayed(tape), answer)
    assert tape.next() is None


def test_random_numbers_drawn_by_the_model_are_skipped_on_replay(recordings: Any) -> None:
    tape = tape_of(recordings)
    torch.manual_seed(1)
    answer = torch.randn(4)
    record(tape, answer)
    following = torch.randn(4)
    torch.manual_seed(1)
    replayed(again(recordings, tape))
    assert torch.equal(torch.randn(4), following)


def test_the_sampler_s_own_functions_read_what_they_read_before(recordings: Any) -> None:
    tape = tape_of(recordings)
    tap = Tap(Copies())
    given = {"denoised": torch.ones(2), "uncond_denoised": torch.full((2,), 3.0), "cond_scale": 4.0}
    assert torch.equal(tap(given), given["denoised"])
    given["uncond_denoised"].zero_()
    record(tape, torch.full((2,), 5.0), tap.calls)
    seen: list[Any] = []

    def own(args: dict[str, Any]) -> torch.Tensor:
        seen.append((args["uncond_denoised"].clone(), args["sigma"]))
        return args["denoised"] * 0

    answer = replayed(again(recordings, tape), [own], {"sigma": 0.5})
    assert torch.equal(seen[0][0], torch.full((2,), 3.0)) and seen[0][1] == 0.5
    assert torch.equal(answer, torch.full((2,), 5.0))


def test_own_functions_follow_one_another_at_every_call_with_what_only_they_were_given(
    recordings: Any,
) -> None:
    tape = tape_of(recordings)
    tap = Tap(Copies())
    for value in (1.0, 2.0):
        names = ("denoised", "cond_denoised", "uncond_denoised")
        tap({name: torch.full((1,), value, requires_grad=True) for name in names} | {"input": None})
    tap({"denoised": torch.zeros(1), "cond_denoised": None})  # cfg 1: nothing but `denoised` was computed
    record(tape, torch.ones(1), tap.calls)
    seen: list[Any] = []

    def own(args: dict[str, Any]) -> torch.Tensor:
        given = (args.get(name) for name in ("denoised", "cond_denoised", "uncond_denoised"))
        seen.append([tensor.item() if isinstance(tensor, torch.Tensor) else tensor for tensor in given])
        assert not args["denoised"].requires_grad and args["input"] == "now"
        args["uncond_denoised"] = args.get("uncond_denoised", torch.zeros(1)).add_(5)
        return args["denoised"] * 10

    for _ in range(2):  # what they write into does not reach the recording
        seen.clear()
        tape.rewind()
        replayed(tape, [own, own], {"input": "now", "denoised": torch.full((1,), 9.0)})
        assert seen == [[1, 1, 1], [10, 1, 6], [2, 2, 2], [20, 2, 7], [0, None, None], [0, None, 5]]


def test_a_multistep_sampler_replayed_from_every_point_ends_in_the_same_latent(recordings: Any) -> None:
    def sample(tape: Tape, live: list[int]) -> torch.Tensor:
        torch.manual_seed(3)
        x, history = torch.randn(4), []
        tape.rewind()
        for index in range(8):
            recorded = tape.next()
            if recorded is not None:
                denoised = tape.replay(recorded, [], {}, CPU)
            else:
                live.append(index)
                denoised = torch.tanh(x) + 0.01 * torch.randn(4)
                record(tape, denoised)
            history.append(denoised)
            x = x + 0.3 * (history[-1] - x) + 0.1 * (history[-1] - history[max(0, len(history) - 2)])
            x = x + 0.05 * torch.randn(4)
        return x

    tape = tape_of(recordings)
    expected = sample(tape, [])
    for point in range(9):
        tape = again(recordings, tape)
        tape.recording.truncate(point)
        live: list[int] = []
        assert torch.equal(sample(tape, live), expected)
        assert live == list(range(point, 8))


def test_inputs_come_back_exactly(recordings: Any) -> None:
    mask = (torch.rand(1, 1, 8, 8) > 0.5).to(torch.float16)
    noise = torch.randn(2, 4, 8, 8).to(torch.bfloat16)
    rng = capture_rng(CPU)
    given = Inputs(noise, noise * 2, torch.tensor([3.0, 0.0]), mask, rng, {"name": "SD15"}, {"positive": "f"})
    recordings.open("a", "1", 0).inputs = given
    recordings.open("a", "1", 1).inputs = Inputs(noise, noise, torch.zeros(0), None, rng)
    found = recordings.open("a", "1", 0).inputs
    for name in ("noise", "latent_image", "sigmas", "denoise_mask"):
        assert torch.equal(getattr(found, name), getattr(given, name))
        assert getattr(found, name).dtype is getattr(given, name).dtype
    assert torch.equal(found.rng.cpu, rng.cpu)
    assert (found.latent_format, found.fingerprints) == ({"name": "SD15"}, {"positive": "f"})
    assert recordings.open("a", "1", 1).inputs.denoise_mask is None
    assert recordings.open("a", "1", 2).inputs is None


def test_a_step_knows_its_denoised_also_where_it_is_an_answer(recordings: Any) -> None:
    recording = recordings.open("a", "1", 0)
    recording.append(Evaluation(torch.full((2,), 5.0)))
    recording.mark(Step(1, 1, 0.5))
    recording.mark(Step(2, 1, 0.25, torch.full((2,), 7.0)))
    recording.mark(Step(2, 1, 0.0, torch.full((2,), 8.0)))  # known already
    found = recordings.open("a", "1", 0)
    assert found.steps() == [1, 2]
    assert found.step(1).denoised.tolist() == [5.0, 5.0]
    assert (found.step(2).denoised.tolist(), found.step(2).sigma) == ([7.0, 7.0], 0.25)
    with pytest.raises(KeyError):
        found.step(3)


def test_the_newest_call_of_a_node_is_found(recordings: Any) -> None:
    assert recordings.find("a", "1") is None and not recordings.exists("a")
    for ordinal in (0, 2, 10):
        recordings.open("a", "1", ordinal).append(Evaluation(torch.full((1,), float(ordinal))))
    recordings.open("a", "../1", 11).append(Evaluation(torch.zeros(1)))
    recordings.open("b", "1", 0)  # so that a is closed where it can be
    assert recordings.find("a", "1").read(0).answer.item() == 10
    assert recordings.exists("a")
