"""What a recording holds of what the model's patches remember. Pure functions."""

from __future__ import annotations

from ..exactness import INEXACT, RECOMPUTES, Exactness
from .items import Damaged
from .recording import Recording


def start_of(recording: Recording, end: int | None = None) -> tuple[int, str]:
    """From which evaluation on a resume asks the model again what is on record, and what remembers.

    As many as there are, where nothing is to be asked again. end: as if the recording ended there
    """
    end = len(recording) if end is None else end
    known = [number for number in recording.memories() if number <= end]
    if 0 not in known:
        return end, ""
    try:
        told = recording.remembered(0).told
    except (Damaged, KeyError):
        return 0, ""
    names = ", ".join(told["names"])
    if told["opaque"]:
        return 0, names
    if told["first"] is None or end < told["first"]:
        return end, names  # it is as it began
    return known[-1], names


def on_resume(recording: Recording, quick: bool, seconds: float | None, end: int | None = None) -> Exactness:
    """Of a job that stands at the end of that recording, or there. seconds: of an evaluation"""
    start, names = start_of(recording, end)
    return would_be((len(recording) if end is None else end) - start, names, quick, seconds)


def would_be(again: int, names: str, quick: bool, seconds: float | None) -> Exactness:
    """again: evaluations to be asked again, for what remembers there"""
    if not again:
        return Exactness(because=names or None)
    if quick:
        return Exactness(INEXACT, 0, None, names)
    return Exactness(RECOMPUTES, again, None if seconds is None else again * seconds, names)
