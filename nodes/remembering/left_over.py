"""What an earlier prompt left in a place in which a patch remembers something. ComfyUI's worker thread.

In another process it is not there, and the patch would begin anew where it went on: it is a part of the
beginning, although no evaluation changes it.
"""

from __future__ import annotations

from typing import Any

from .giving_back import NOTHING
from .kinds import PartKind, kind_of
from .picture import Snapshot, is_same

KEPT = (PartKind.PLAIN, PartKind.TENSOR, PartKind.ARRAY)


def left_over(began: Any, place: Any, before: Snapshot, after: Snapshot) -> dict[Any, Any] | None:
    """The plain slots of a place that are as they began, beside others that are not.

    None where all are as they began, and none came.
    """
    same = {
        slot: one
        for slot, one in began.slots.items()
        if is_same(one, before, place.slots.get(slot, NOTHING), after)
    }
    if len(same) == len(began.slots) == len(place.slots):
        return None
    return {slot: one for slot, one in same.items() if kind_of(one) in KEPT and _is_a_name(slot)}


def _is_a_name(slot: Any) -> bool:
    """Of an item of a dictionary, or of an attribute."""
    return isinstance(slot, (str, int)) or (isinstance(slot, tuple) and slot[:1] == ("",))
