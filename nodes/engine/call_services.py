"""What a sampling call is given beside what it samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from ...state.worker import Work
from ..previews.previews import CallPreviews
from ..remembering.session import Wishes
from .computed_with import ComputedWith
from .hold import Holding


@dataclass(frozen=True)
class CallServices:
    previews: CallPreviews
    holding: Holding
    keep_draws: Callable[[FrameType], object]  # of the sampler that runs around that frame
    later: Callable[[Work], object]  # while the model works
    remembered_elsewhere: Callable[[], int]  # bytes of what the job's other calls have on record
    wishes: Wishes = Wishes()
    computed_with: ComputedWith | None = None  # where that is put on record
