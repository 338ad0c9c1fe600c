"""What counts as the same conditioning and the same patches, and what does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from midrun.nodes.engine.fingerprint import digest, fingerprints


def control(strength: float = 1.0, hint: float = 1.0) -> Any:
    given = {"strength": strength, "cond_hint_original": torch.full((3,), hint)}
    return SimpleNamespace(**given, previous_controlnet=None)


def conds(**changed: Any) -> dict[str, Any]:
    entry = {"cross_attn": torch.arange(1e5), "strength": 1.0, "control": control(), "uuid": object()}
    return {"positive": [entry | changed], "negative": [dict(entry)]}


def patcher(strength: float = 1.0, weight: float = 2.0, uuid: Any = None) -> Any:
    adapter = SimpleNamespace(weights=(torch.full((4, 4), weight), None, 8.0))
    return SimpleNamespace(patches={"w": [(strength, adapter, 1.0, None, None)]}, patches_uuid=uuid)


def test_the_same_made_anew_has_the_same_fingerprints() -> None:
    assert fingerprints(conds(), patcher()) == fingerprints(conds(), patcher())


@pytest.mark.parametrize(
    "changed",
    [
        {"cross_attn": torch.arange(1e5) + 1},
        {"cross_attn": torch.arange(1e5).reshape(10, -1)},
        {"cross_attn": torch.arange(1e5).double()},
        {"strength": 0.5},
        {"area": (8, 8, 0, 0)},
        {"control": None},
        {
            "control": SimpleNamespace(
                strength=0.5, cond_hint_original=torch.ones(3), previous_controlnet=None
            )
        },
        {
            "control": SimpleNamespace(
                strength=1.0, cond_hint_original=torch.zeros(3), previous_controlnet=None
            )
        },
    ],
)
def test_a_change_shows_in_the_conditioning_it_is_in_and_nowhere_else(changed: dict[str, Any]) -> None:
    before, after = fingerprints(conds(), patcher()), fingerprints(conds(**changed), patcher())
    assert {name for name in before if before[name] != after[name]} == {"positive"}


@pytest.mark.parametrize("other", [patcher(strength=0.5), patcher(weight=3.0)])
def test_a_lora_s_strength_and_its_weights_show_in_the_patches(other: Any) -> None:
    before, after = fingerprints(conds(), patcher()), fingerprints(conds(), other)
    assert {name for name in before if before[name] != after[name]} == {"model patches"}


def test_a_structure_that_contains_itself_and_an_empty_tensor_have_a_digest() -> None:
    loop: list[Any] = [torch.empty(0)]
    loop.append(loop)
    assert digest(loop) == digest(loop)
