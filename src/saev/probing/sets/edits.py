"""Pictures changed in one respect, and placebos: changed as strongly in another one.

What latents do on the edited picture, less what they do on the original, says what the respect is to them; the same
with the placebo says what any change of that size does. A mask says where the object is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from saev.errors import InputError

Mask = NDArray[np.bool_]
Pixels = NDArray[np.float64]
_BRIGHTEST: Final = 2048.0
"""Of this light hardly anything is left but black and white."""
_HALVINGS: Final = 16


Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
"""Changes a picture, RGB; the result has its size, and chance comes from the generator alone."""
MaskedEdit = Callable[[Image.Image, Mask, Image.Image], Image.Image]
"""Changes the object of a picture, RGB, where its mask (height, width) is, or all but it; gets another picture, too."""


def grey(picture: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001 - as others
    """Without colour, as bright."""
    return picture.convert("L").convert("RGB")


def hue_turned(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """All hues turned by the same angle, of 90 to 270 degrees."""
    hue, saturation, value = picture.convert("HSV").split()
    turn = int(rng.integers(64, 193))
    return Image.merge("HSV", (hue.point(lambda one: (one + turn) % 256), saturation, value)).convert("RGB")


def blurred(picture: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Without what is finer than about a fiftieth of the shorter side."""
    return picture.filter(ImageFilter.GaussianBlur(min(picture.size) / 50))


def shuffled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The cells of a grid of 4 x 4 in another order: the parts stay, the whole goes."""
    n, (width, height) = 4, (picture.width // 4, picture.height // 4)
    boxes = [(x * width, y * height, (x + 1) * width, (y + 1) * height) for y in range(n) for x in range(n)]
    found = picture.copy()
    for box, source in zip(boxes, rng.permutation(n * n).tolist(), strict=True):
        found.paste(picture.crop(boxes[source]), box)
    return found


def mirrored(picture: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Left and right exchanged."""
    return ImageOps.mirror(picture)


def object_removed(picture: Image.Image, mask: Mask, other: Image.Image) -> Image.Image:  # noqa: ARG001
    """The object's place in the mean colour of the rest."""
    x = pixels(picture)
    return _composed(x, np.broadcast_to(_mean(x, ~mask), x.shape), mask)


def cut_out(picture: Image.Image, mask: Mask, other: Image.Image) -> Image.Image:  # noqa: ARG001
    """The object alone, on the mean colour of the rest."""
    x = pixels(picture)
    return _composed(x, np.broadcast_to(_mean(x, ~mask), x.shape), ~mask)


def background_swapped(picture: Image.Image, mask: Mask, other: Image.Image) -> Image.Image:
    """The object on another picture, which is cropped to fit."""
    fitted = ImageOps.fit(other, picture.size, Image.Resampling.BICUBIC)
    return _composed(pixels(picture), pixels(fitted), ~mask)


EDITS: Final[Mapping[str, Edit]] = {
    "grey": grey,
    "hue": hue_turned,
    "blurred": blurred,
    "shuffled": shuffled,
    "mirrored": mirrored,
}
MASKED_EDITS: Final[Mapping[str, MaskedEdit]] = {
    "object-removed": object_removed,
    "cut-out": cut_out,
    "background-swapped": background_swapped,
}


@final
@dataclass(frozen=True)
class Edited:
    """A picture, changed."""

    picture: Image.Image  # With the edit.
    placebo: Image.Image  # With another light in its place, as strong.
    strength: float  # Of the edit: the root of the mean squared difference of its pixels, of 255.
    placebo_strength: float  # Of the placebo; less where no light is as strong.


def edited(
    picture: Image.Image,
    name: str,
    rng: np.random.Generator,
    *,
    mask: Mask | None = None,
    other: Image.Image | None = None,
) -> Edited:
    """Edit a picture, and make the placebo of this edit.

    Args:
        picture: RGB, at least 8 x 8 pixels.
        name: One of `EDITS` or, with a mask, of `MASKED_EDITS`.
        mask: (height, width) where the object is.
        other: Another picture, for the background.

    Raises:
        InputError: If there is no such edit, what it needs is missing, or the mask does not fit, is empty or full.

    >>> found = edited(Image.linear_gradient("L").convert("RGB"), "mirrored", np.random.default_rng(0))
    >>> found.picture.size, found.strength, found.placebo_strength  # it is the same from left to right
    ((256, 256), 0.0, 0.0)
    """
    if min(picture.size) < 8:
        raise InputError(f"a picture of {picture.width} x {picture.height} pixels is too small to be edited")
    if name in EDITS:
        changed = EDITS[name](picture, rng)
    elif name in MASKED_EDITS:
        if mask is None or (other is None and name == "background-swapped"):
            raise InputError(f"the edit {name!r} needs a mask, and background-swapped another picture")
        if mask.shape != (picture.height, picture.width) or not 0 < mask.sum() < mask.size:
            raise InputError(
                f"a mask of {mask.shape} with {int(mask.sum())} pixels of the object does not fit a picture of "
                f"{picture.height} x {picture.width}, or leaves no background"
            )
        changed = MASKED_EDITS[name](picture, mask, other or picture)
    else:
        raise InputError(f"edit {name!r} is unknown: choose from {', '.join((*EDITS, *MASKED_EDITS))}")
    placebo = other_light(picture, changed, rng)
    return Edited(changed, placebo, strength(picture, changed), strength(picture, placebo))


def strength(picture: Image.Image, changed: Image.Image) -> float:
    """How strong a change is: the root of the mean squared difference of pixels and colours."""
    return float(np.sqrt(np.mean((pixels(changed) - pixels(picture)) ** 2)))


def other_light(picture: Image.Image, changed: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture in another light, which grows from dark to bright in a random direction, as strong as a change of it.

    Only pixels that the change touches are lit. Shapes, textures and places stay, and colours but for their brightness.
    """
    x = pixels(picture)
    is_touched = (pixels(changed) != x).any(axis=2)
    wanted = strength(picture, changed)
    angle = rng.uniform(0, 2 * math.pi)
    ramp = math.cos(angle) * np.arange(picture.width) + math.sin(angle) * np.arange(picture.height)[:, None]
    # From -1 to 1 over the pixels that are lit.
    edges = (ramp[is_touched].min(), ramp[is_touched].max()) if is_touched.any() else (0.0, 1.0)
    light = np.where(is_touched, np.interp(ramp, edges, (-1.0, 1.0)), 0.0)[..., None]
    low, high = 0.0, _BRIGHTEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_weaker = np.sqrt(np.mean((_picture(x + middle * light) - x) ** 2)) < wanted
        low, high = (middle, high) if is_weaker else (low, middle)
    return Image.fromarray(_picture(x + high * light).astype(np.uint8))


def pixels(picture: Image.Image) -> Pixels:
    """A picture's pixels (height, width, 3), 0 to 255."""
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def _picture(x: Pixels) -> Pixels:
    """Pixels as a file could hold them."""
    return x.round().clip(0, 255)


def _mean(x: Pixels, where: Mask) -> Pixels:
    mean: Pixels = x[where].mean(axis=0)
    return mean


def _composed(x: Pixels, instead: Pixels, where: Mask) -> Image.Image:
    return Image.fromarray(_picture(np.where(where[..., None], instead, x)).astype(np.uint8))
