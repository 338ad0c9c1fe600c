"""What stands on a wire, in figures and words, and its way into a row and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from midrun.nodes.previews import describing
from midrun.nodes.previews.describing import Standing, described
from midrun.state.node import itself
from midrun.state.wire import MOST_TEXT, Value, WireKind, Wires, wires_of
from test_job import World

NAN = float("nan")


def seen(value: Any, type_: str | None = None, **more: Any) -> Value:
    return described(Standing("in", value, type_, **more))


@pytest.mark.parametrize(
    ("value", "type_", "kind", "type_told"),
    [
        (torch.zeros(2, 8, 8, 3), "IMAGE", WireKind.IMAGE, "IMAGE"),
        (torch.zeros(2, 8, 8, 3), None, WireKind.IMAGE, "Tensor"),
        (torch.zeros(2, 8, 8, 5), None, WireKind.TENSOR, "Tensor"),
        (torch.zeros(1, 8, 8), "MASK", WireKind.MASK, "MASK"),
        (torch.zeros(6), "SIGMAS", WireKind.TENSOR, "SIGMAS"),
        ({"samples": torch.zeros(1, 4, 8, 8)}, "LATENT", WireKind.LATENT, "LATENT"),
        ([[torch.zeros(1, 77, 8), {}]], "CONDITIONING", WireKind.CONDITIONING, "CONDITIONING"),
        (7.5, "FLOAT", WireKind.NUMBER, "FLOAT"),
        (True, None, WireKind.NUMBER, "bool"),
        ("a cat", "STRING", WireKind.TEXT, "STRING"),
        ([], "CONDITIONING", WireKind.OTHER, "CONDITIONING"),
        (object(), None, WireKind.OTHER, "object"),
    ],
)
def test_what_is_on_a_wire_is_known_by_its_type_or_else_by_its_looks(
    value: Any, type_: str | None, kind: WireKind, type_told: str
) -> None:
    told = seen(value, type_)
    assert (told.kind, told.type) == (kind, type_told)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_a_tensor_is_measured_whatever_its_numbers_are(dtype: torch.dtype) -> None:
    told = seen(torch.tensor([[1, 2], [3, 6]]).to(dtype), device="cuda:0")
    assert (told.minimum, told.maximum, told.mean, told.not_finite) == (1.0, 6.0, 3.0, 0)
    assert (told.shape, told.dtype, told.device) == ((2, 2), str(dtype)[6:], "cuda:0")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_video_is_measured_piece_by_piece_however_it_lies(
    order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "PIECE", 7)
    tensor = torch.arange(60.0).reshape(3, 4, 5).permute(order)
    tensor[1, 1, 1] = NAN
    told = seen(tensor)
    assert (told.minimum, told.maximum, told.not_finite) == (0, 59, 1)
    assert told.mean == pytest.approx(float(tensor.nanmean()))


def test_what_has_thousands_of_parts_is_described_in_few_words() -> None:
    told = seen({f"{number} {'x' * 99}": 1 for number in range(1000)}, "y" * 999)
    assert len(told.parts) == 13 and told.parts[-1] == "… +988"
    assert all(len(part) <= 61 for part in (told.type, *told.parts))


def test_what_is_not_finite_is_counted_and_left_out_of_the_figures() -> None:
    told = seen({"samples": torch.tensor([[[[1.0, NAN], [float("inf"), 3.0]]]]), "noise_mask": torch.ones(1)})
    assert (told.minimum, told.maximum, told.mean, told.not_finite) == (1.0, 3.0, 2.0, 2)
    assert told.parts == ("noise_mask",)
    nothing = seen(torch.tensor([NAN, NAN]))
    assert (nothing.minimum, nothing.mean, nothing.not_finite) == (None, None, 2)
    json.dumps(nothing.to_json(), allow_nan=False)


@pytest.mark.parametrize("value", [torch.zeros(0), torch.zeros(2, dtype=torch.cfloat), torch.ones(2) > 0])
def test_what_has_no_figures_is_described_all_the_same(value: torch.Tensor) -> None:
    assert seen(value).shape == tuple(value.shape)


def test_a_conditioning_tells_its_tokens_its_prompt_and_what_else_it_carries() -> None:
    pooled = {"pooled_output": torch.zeros(1, 8), "area": None, "strength": 1.0}
    told = seen([[torch.ones(1, 154, 8), pooled]], "CONDITIONING", text="a red circle")
    assert (told.tokens, told.text, told.parts) == (154, "a red circle", ("pooled_output", "strength"))


def test_texts_are_short_and_short_lists_are_told() -> None:
    assert seen("x" * 5000, "STRING").text == "x" * MOST_TEXT + "…"
    assert seen(torch.tensor([14.6, 3.25, 0.0]), "SIGMAS").text == "14.6, 3.25, 0"
    assert (seen(torch.arange(20.0)).text or "").endswith("11, …")
    assert seen(8).text == "8"


def test_what_stands_on_wires_survives_a_row() -> None:
    values = seen(torch.zeros(1, 8, 8, 3), "IMAGE"), replace(seen("text"), pictured=True)
    wires = Wires("7", values, "v")
    assert wires_of(json.loads(json.dumps(wires.to_json()))) == wires


def test_it_is_told_of_the_job_only_while_that_stands_there() -> None:
    wires = Wires("9", (seen(1),))
    job = World().job()
    assert job.worker.before_node("j", itself("9"), always=True)
    job.worker.stands("j", itself("8"), wires)
    job.worker.stands("another run", itself("9"), wires)
    assert job.view().wires is None
    job.worker.stopped(True, {})
    job.worker.stands("j", itself("9"), wires)
    assert job.view().to_json()["wires"]["values"][0]["text"] == "1"
    job.resume()
    assert job.view().wires is None
    job.worker.stands("j", itself("9"), wires)
    assert job.view().wires is None
