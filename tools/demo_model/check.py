"""What is in a picture: the checker of the demo model. numpy only; knows nothing of the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .draw import COLOURS, SHAPES, SIDE, Image, Scene, distance

DIRECTIONS = 72
CONTRAST = 0.16  # how far a colour is from the ground's to be something else
WHOLE = 0.9  # the share of a contour's inside that a filled shape covers at least
SMALLEST = 150  # pixels


@dataclass(frozen=True)
class Seen:
    """`shape` and `colour` are None when there is nothing but ground."""

    ground: str
    shape: str | None = None
    colour: str | None = None
    hollow: bool = False


def look(picture: Image) -> Seen:
    """What is in a picture of [SIDE, SIDE, 3] in 0..1."""
    rim = np.concatenate([picture[:3].reshape(-1, 3), picture[-3:].reshape(-1, 3)])
    sides = np.concatenate([picture[:, :3].reshape(-1, 3), picture[:, -3:].reshape(-1, 3)])
    ground = np.median(np.concatenate([rim, sides]), axis=0)
    thing = largest(np.linalg.norm(picture - ground, axis=-1) > CONTRAST)
    if thing.sum() < SMALLEST:
        return Seen(name(ground))
    contour = ~reached(~thing)
    colour = np.median(picture[inner(thing)], axis=0)
    thing &= contour
    hollow = bool(thing.sum() < WHOLE * contour.sum())
    return Seen(name(ground), nearest_shape(contour), name(colour), hollow)


def name(colour: np.ndarray) -> str:
    """The colour's nearest name."""
    return min(COLOURS, key=lambda known: float(np.linalg.norm(np.array(COLOURS[known]) / 255 - colour)))


def inner(mask: np.ndarray) -> np.ndarray:
    """The mask without its edge and outline; a thin one loses less."""
    kept = mask
    for _ in range(8):
        thinner = _eroded(kept)
        if thinner.sum() < 40:
            break
        kept = thinner
    return kept


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    best, left = np.zeros_like(mask), mask.copy()
    while left.sum() > best.sum():
        part = np.zeros_like(mask)
        part[np.unravel_index(left.argmax(), left.shape)] = True
        part = _grown_within(part, left)
        best = part if part.sum() > best.sum() else best
        left &= ~part
    return best


def reached(free: np.ndarray) -> np.ndarray:
    """What of `free` is connected with the picture's border."""
    border = np.zeros_like(free)
    border[[0, -1], :] = border[:, [0, -1]] = True
    return _grown_within(border & free, free)


def nearest_shape(contour: np.ndarray) -> str:
    """By the distance of the contour from the middle in each direction."""
    seen = profile(contour)
    return min(SHAPES, key=lambda shape: float(np.square(seen - _template(shape)).sum()))


def profile(mask: np.ndarray) -> np.ndarray:
    """[DIRECTIONS]: how far a mask reaches from its centre of gravity, over the mean."""
    rows, columns = np.nonzero(mask)
    y, x = rows - rows.mean(), columns - columns.mean()
    sector = (np.arctan2(y, x) / (2 * np.pi) * DIRECTIONS).round().astype(int) % DIRECTIONS
    reach = np.zeros(DIRECTIONS)
    np.maximum.at(reach, sector, np.hypot(y, x))
    return reach / reach.mean()


@cache
def _template(shape: str) -> np.ndarray:
    return profile(distance(Scene(shape, "red", "blue", radius=36.0, centre=(SIDE / 2, SIDE / 2))) < 0)


def _eroded(mask: np.ndarray) -> np.ndarray:
    framed = np.pad(mask, 1)
    return mask & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]


def _grown_within(part: np.ndarray, free: np.ndarray) -> np.ndarray:
    while True:
        framed = np.pad(part, 1)
        near = framed[:-2, 1:-1] | framed[2:, 1:-1] | framed[1:-1, :-2] | framed[1:-1, 2:]
        grown = (part | near) & free
        if (grown == part).all():
            return part
        part = grown
