"""Pictures of scenes, whole or a part of them enlarged, with what can be known from each.

The CLIP has to understand parts, because latents are named by them. A part doesn't tell how large an object is or where
in the scene it lies, and of an object that is cut off it doesn't tell the shape.
"""

from dataclasses import dataclass, replace
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saev.scenes.captions import Description, attributes, everything
from saev.scenes.drawing import draw, object_mask
from saev.scenes.factors import SIDE, Scene

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, as Pillow crops."""

_ACROSS = (24, 56)  # Pixels of a part.
_AT_OBJECTS = 0.85  # Share of the parts around an object; the others are anywhere.
_RECOGNISED = 0.7  # Share of an object's pixels that tell its shape.


@dataclass(frozen=True, eq=False)
class View:
    """A picture (64, 64, 3), its mask (64, 64) as of `object_mask`, and what it tells of each object and the rest."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    known: Description


def whole(scene: Scene) -> View:
    """All of a scene."""
    return View(draw(scene), object_mask(scene), everything(scene))


def part(scene: Scene, box: Box) -> View:
    """What is in a box, as large as a picture."""
    left, top, right, bottom = box
    inside = object_mask(scene)[top:bottom, left:right]
    seen = tuple(thing for i, thing in enumerate(scene.objects) if (inside == i + 1).any())
    shown = replace(scene, objects=seen)
    mask = object_mask(shown)
    enlarged = Image.fromarray(mask).crop(box).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    picture = Image.fromarray(draw(shown)).crop(box).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    things = []
    for i, thing in enumerate(seen):
        share = (mask[top:bottom, left:right] == i + 1).sum() / (mask == i + 1).sum()
        told = {"shape", "colour", "texture"} if share >= _RECOGNISED else {"colour", "texture"}
        things.append({factor: value for factor, value in attributes(thing).items() if factor in told})
    return View(np.asarray(picture), np.asarray(enlarged), Description(tuple(things), scene.background))


def random_box(scene: Scene, rng: Random) -> Box:
    """A square in the picture, most often around an object."""
    across = rng.randint(*_ACROSS)
    x, y = rng.randrange(SIDE), rng.randrange(SIDE)
    if scene.objects and rng.random() < _AT_OBJECTS:
        thing = rng.choice(scene.objects)
        x, y = (middle + rng.randint(-across // 5, across // 5) for middle in (thing.x, thing.y))
    left, top = (min(max(middle - across // 2, 0), SIDE - across) for middle in (x, y))
    return left, top, left + across, top + across
