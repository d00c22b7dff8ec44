"""Pictures of scenes, and which object each pixel belongs to. All arithmetic is in integers: the same everywhere."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from saev.mixing import mix64
from saev.scenes.factors import BACKGROUNDS, COLOURS, SIDE, Colour, Scene

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_DARK = 45  # percent of a colour, where a texture is dark
_GRAIN_SCALE = 37  # makes a standard deviation of 4 grey levels of the sum of four bytes


def draw(scene: Scene) -> Picture:
    """(64, 64, 3) the picture, in RGB.

    An object is a stencil through which wallpaper is seen: a texture stays where it is when its object moves.
    """
    picture = _wallpaper(BACKGROUNDS[scene.background], "solid", scene.grain).copy()
    for thing in scene.objects:
        column, row, across = thing.box
        box = slice(row, row + across), slice(column, column + across)
        wallpaper = _wallpaper(COLOURS[thing.colour], thing.texture, scene.grain)
        np.copyto(picture[box], wallpaper[box], where=_stencil(thing.shape, across)[..., None])
    return picture


def object_mask(scene: Scene) -> Picture:
    """(64, 64) 0 on the background, i + 1 on object i."""
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for i, thing in enumerate(scene.objects):
        column, row, across = thing.box
        mask[row : row + across, column : column + across][_stencil(thing.shape, across)] = i + 1
    return mask


@cache
def _stencil(shape: str, across: int) -> Mask:
    """(a, a) where a shape is; u and v are twice the distances from its middle to the middles of pixels."""
    u = 2 * np.arange(across)[None] + 1 - across
    v = u.T
    square_r, far, near = u * u + v * v, np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v))
    disc = square_r <= across * across
    stencils = {
        "disc": disc,
        "square": 8 * far <= 7 * across,
        "triangle": (2 * abs(u) <= v + across) & (8 * v <= 7 * across),
        "cross": 3 * near <= across,
        "ring": disc & (16 * square_r > 5 * across * across),
    }
    return stencils[shape]


@cache
def _wallpaper(colour: Colour, texture: str, grain: int) -> Picture:
    """(64, 64, 3) a picture full of one texture; periods divide 8, so that patches of 8 look alike."""
    dark = _dark(texture)[..., None]
    plain = np.array(colour, dtype=np.int64)
    levels = np.where(dark, plain * _DARK // 100, plain) + _noise(grain)
    return levels.clip(0, 255).astype(np.uint8)


def _dark(texture: str) -> Mask:
    y, x = np.indices((SIDE, SIDE))
    textures = {
        "solid": np.zeros((SIDE, SIDE), dtype=bool),
        "striped": y % 4 >= 2,
        "dotted": (x % 4 >= 2) & (y % 4 >= 2),
        "checked": (x % 8 >= 4) ^ (y % 8 >= 4),
    }
    return textures[texture]


def _noise(grain: int) -> NDArray[np.int64]:
    """(64, 64, 3) faint noise, nearly Gaussian."""
    counter = np.arange(SIDE * SIDE * 3, dtype=np.uint64) + np.uint64(grain << 32)
    four_bytes = mix64(mix64(counter)).astype("<u8").view(np.uint8).reshape(-1, 8)[:, :4]
    levels: NDArray[np.int64] = (four_bytes.astype(np.int64).sum(axis=1) - 510) // _GRAIN_SCALE
    return levels.reshape(SIDE, SIDE, 3)
