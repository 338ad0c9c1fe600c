"""How far two recordings are apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from midrun.state.recording.apart import Apart, OtherShape, apart
from midrun.state.recording.items import Evaluation, Step
from midrun.state.recording.memory import MemoryRecording, in_memory


def recorded(values: Sequence[float], size: int = 4) -> MemoryRecording:
    recording = in_memory()
    for number, value in enumerate(values, 1):
        recording.append(Evaluation(torch.full((1, size), value)))
        recording.mark(Step(number, number, 1.0))
    return recording


def test_the_difference_is_in_parts_of_the_larger_norm_over_the_steps_of_both() -> None:
    found = apart(recorded([1.0, 2.0, 4.0, 8.0]), recorded([1.0, 2.0, 3.0]))
    assert found == [Apart(1, 0.0), Apart(2, 0.0), Apart(3, 0.25)]
    assert apart(recorded([0.0]), recorded([0.0])) == [Apart(1, 0.0)]
    assert apart(recorded([]), recorded([1.0])) == []


def test_the_least_difference_is_one_and_what_is_no_number_is_told_as_none() -> None:
    almost = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()
    (found,) = apart(recorded([1.0]), recorded([almost]))
    assert found.difference is not None and 0 < found.difference < 1e-6
    assert apart(recorded([1.0]), recorded([float("nan")])) == [Apart(1, None)]


def test_a_step_that_a_rewind_hid_is_not_compared() -> None:
    one = recorded([1.0, 2.0, 3.0])
    one.rewind(2)
    assert [at.step for at in apart(one, recorded([1.0, 2.0, 3.0]))] == [1, 2]


def test_latents_of_different_sizes_have_no_difference() -> None:
    with pytest.raises(OtherShape, match=r"\(1, 4\) and \(1, 5\)"):
        apart(recorded([1.0]), recorded([1.0], size=5))
