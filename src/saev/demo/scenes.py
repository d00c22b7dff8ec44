"""Generated pictures with known contents: coloured shapes and textures on a plain or graded ground."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIZE = 224
TEXTURES = ("plain", "stripes", "checks", "dots")
COLOURS = {
    "red": (214, 62, 54),
    "green": (66, 154, 82),
    "blue": (58, 102, 196),
    "yellow": (236, 196, 62),
    "violet": (140, 84, 176),
}


def _disc(x: Floats, y: Floats) -> Mask:
    return x * x + y * y < 1


def _square(x: Floats, y: Floats) -> Mask:
    return (abs(x) < 0.85) & (abs(y) < 0.85)


def _triangle(x: Floats, y: Floats) -> Mask:
    return (y < 0.8) & (y > 2 * abs(x) - 1)


def _cross(x: Floats, y: Floats) -> Mask:
    return (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 1)


def _ring(x: Floats, y: Floats) -> Mask:
    r = x * x + y * y
    return (r < 1) & (r > 0.36)


SHAPES: dict[str, Callable[[Floats, Floats], Mask]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
}


def _texture(name: str, x: Floats, y: Floats) -> Mask:
    """Where the texture is dark; x and y in pixels."""
    if name == "stripes":
        return x % 10 < 5
    if name == "checks":
        return (x % 16 < 8) ^ (y % 16 < 8)
    if name == "dots":
        return (x % 12 - 6) ** 2 + (y % 12 - 6) ** 2 < 9
    return np.zeros(x.shape, dtype=bool)


def draw_scene(shape: str, rng: np.random.Generator) -> Image.Image:
    """A picture of 224 x 224 pixels with one large object of this shape and up to two small other ones."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    top, bottom = rng.integers(150, 245, (2, 3))
    canvas = top + (bottom - top) * (y / SIZE)[..., None]
    others = rng.choice([name for name in SHAPES if name != shape], rng.integers(0, 3)).tolist()
    for name, radius in [*((other, rng.uniform(14, 26)) for other in others), (shape, rng.uniform(40, 70))]:
        cx, cy = rng.uniform(radius, SIZE - radius, 2)
        angle = rng.uniform(0, 2 * math.pi)
        u = ((x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)) / radius
        v = ((y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)) / radius
        colour = np.array(COLOURS[rng.choice(list(COLOURS))])
        dark = _texture(str(rng.choice(TEXTURES)), u * radius, v * radius)
        inside = SHAPES[name](u, v)
        canvas[inside] = colour
        canvas[inside & dark] = colour * 0.35
    noise = rng.normal(0, 4, canvas.shape)
    return Image.fromarray((canvas + noise).clip(0, 255).astype(np.uint8))


def write_scenes(root: Path, n_images: int, seed: int = 0) -> None:
    """Write n_images pictures as ``root/<shape>/<number>.jpg``; the same ones for the same seed."""
    names = list(SHAPES)
    for i in range(n_images):
        shape = names[i % len(names)]
        path = root / shape / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_scene(shape, np.random.default_rng([seed, i])).save(path, quality=92)
