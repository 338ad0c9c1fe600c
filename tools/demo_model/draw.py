"""The demo model's world: coloured shapes on coloured grounds, and sentences about them. numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

Image = np.ndarray  # [H, W, 3], float32, 0..1
SIDE = 128
COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 225, 50),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "purple": (140, 50, 170),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
}
RADII = {"small": (21.0, 24.0), "": (28.0, 33.0), "large": (39.0, 44.0)}
CENTRES = {"": (64, 64), "left": (42, 64), "right": (86, 64), "top": (64, 42), "bottom": (64, 86)}
OUTLINES = ("", "black", "white")
OUTLINE_WIDTH, WANDER, JITTER = 5.0, 8.0, 8.0


def _around(corners: int, radius: float, turn: float = 0.0) -> np.ndarray:
    angles = np.arange(corners) * (2 * math.pi / corners) - math.pi / 2 + turn
    return np.stack([np.cos(angles), np.sin(angles)], -1) * radius


def _star() -> np.ndarray:
    points = np.empty((10, 2))
    points[0::2], points[1::2] = _around(5, 1.4), _around(5, 0.62, math.pi / 5)
    return points


# Corners for radius 1; the sizes are such that the shapes look equally large. A circle has none.
SHAPES: dict[str, np.ndarray | None] = {
    "circle": None,
    "square": _around(4, 1.25, math.pi / 4),
    "triangle": _around(3, 1.42),
    "diamond": _around(4, 1.28),
    "star": _star(),
}


@dataclass(frozen=True)
class Scene:
    """One picture. `radius` and `centre` are in pixels; the names are keys of the tables above."""

    shape: str
    colour: str
    ground: str
    size: str = ""
    position: str = ""
    outline: str = ""
    hollow: bool = False
    radius: float = 30.0
    centre: tuple[float, float] = (64.0, 64.0)


def random_scene(rng: np.random.Generator) -> Scene:
    """Any scene that has a sentence. Never hollow: that is what the LoRA adds."""
    colour, ground = rng.choice(list(COLOURS), 2, replace=False)
    size = str(rng.choice(list(RADII), p=(0.25, 0.5, 0.25)))
    position = str(rng.choice(list(CENTRES), p=(0.5, 0.125, 0.125, 0.125, 0.125)))
    outlines = [name for name in OUTLINES if name not in (colour, ground)]
    outline = str(rng.choice(outlines)) if rng.random() < 0.4 else ""
    radius = float(rng.uniform(*RADII[size]))
    room = radius * 1.45
    centre = np.array(CENTRES[position]) + rng.uniform(-WANDER, WANDER, 2)
    x, y = np.clip(centre, min(room, SIDE / 2), max(SIDE - room, SIDE / 2))
    shape = str(rng.choice(list(SHAPES)))
    return Scene(
        shape, str(colour), str(ground), size, position, outline, False, radius, (float(x), float(y))
    )


def hollow(scene: Scene) -> Scene:
    """The same as a ring of one colour."""
    return replace(scene, hollow=True, outline="")


def sentence(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """What a user would write. With `rng` the wording varies and details are left out now and then."""

    def said(word: str) -> str:
        return word if rng is None or rng.random() < 0.85 else ""

    form = 0 if rng is None else int(rng.integers(3))
    size, place = said(scene.size), said(scene.position)
    thing = " ".join(word for word in (size, scene.colour, scene.shape) if word)
    thing = ("an " if thing.startswith("o") else "a ") + thing
    if scene.outline:
        thing += f" with a {scene.outline} outline"
    ground = ("an " if scene.ground.startswith("o") else "a ") + scene.ground
    text = f"{thing} on {ground} {'ground' if form == 0 else 'background'}"
    if form == 2:
        text = f"{thing} on {scene.ground}"
    where = "on the" if place in ("left", "right") else "at the"
    return f"{text}, {where} {place}" if place else text


def distance(scene: Scene) -> np.ndarray:
    """[SIDE, SIDE]: pixels to the shape's edge, negative inside."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5
    points = np.stack([columns, rows], -1) - np.asarray(scene.centre, np.float32)
    corners = SHAPES[scene.shape]
    if corners is None:
        return np.linalg.norm(points, axis=-1) - scene.radius
    return _to_polygon(points, (corners * scene.radius).astype(np.float32))


def _to_polygon(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distance to a polygon, after https://iquilezles.org/articles/distfunctions2d (sdPolygon)."""
    nearest, inside = np.full(points.shape[:2], np.inf, np.float32), np.zeros(points.shape[:2], bool)
    for a, b in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        edge, to = b - a, points - a
        along = np.clip((to @ edge) / (edge @ edge), 0.0, 1.0)
        nearest = np.minimum(nearest, ((to - along[..., None] * edge) ** 2).sum(-1))
        crosses = (a[1] > points[..., 1]) != (b[1] > points[..., 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (points[..., 0] < edge[0] * to[..., 1] / edge[1] + a[0])
    return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)


def draw(scene: Scene, rng: np.random.Generator | None = None) -> Image:
    """The picture, antialiased. With `rng` its colours are not quite the table's."""
    away = distance(scene)
    ring = max(5.0, 0.2 * scene.radius)
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[:] = _tint(scene.ground, rng)
    picture = _paint(
        picture, np.maximum(away, -away - ring) if scene.hollow else away, _tint(scene.colour, rng)
    )
    if scene.outline:
        picture = _paint(picture, np.maximum(away, -away - OUTLINE_WIDTH), _tint(scene.outline, rng))
    return picture


def _tint(colour: str, rng: np.random.Generator | None) -> np.ndarray:
    jitter = np.zeros(3) if rng is None else rng.uniform(-JITTER, JITTER, 3)
    return (np.clip(np.array(COLOURS[colour]) + jitter, 0, 255) / 255).astype(np.float32)


def _paint(picture: Image, away: np.ndarray, colour: np.ndarray) -> Image:
    cover = np.clip(0.5 - away, 0.0, 1.0)[..., None]
    return picture * (1 - cover) + colour * cover
