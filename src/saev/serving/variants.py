"""Variants of a picture as the ViT saw it, of the same size: what changes a latent says what it fires on.

All are made of the view, in which a patch is exactly the pixels that the ViT cuts out; nothing is resized but what is
cropped. Shape suffixes: h, w = pixels, p = patches in row-major order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps, ImageStat

WHOLE: Final = ("mirror", "rotate_90", "rotate_180", "rotate_270", "grey", "blur")
"""Of the whole picture; turned clockwise."""
BRUSHED: Final = ("crop", "cut_out", "keep_only")
"""Of a region: enlarged, or it or all else filled with the mean colour of the picture."""
PASTE: Final = "paste"
"""The region, laid over another picture at the same place."""
KINDS: Final = (*WHOLE, *BRUSHED, PASTE)
_BLUR: Final = 1 / 56
"""Radius of the Gaussian blur in shares of the shorter side: 4 of 224 pixels."""
_CLOCKWISE: Final = {
    "rotate_90": Image.Transpose.ROTATE_270,
    "rotate_180": Image.Transpose.ROTATE_180,
    "rotate_270": Image.Transpose.ROTATE_90,
}


def variant(
    view: Image.Image,
    kind: str,
    patches: Sequence[int],
    grid: tuple[int, int],
    onto: Image.Image | None = None,
) -> Image.Image:
    """Make a variant of a view (RGB), of its size.

    Args:
        view: The picture as the ViT saw it.
        kind: One of `KINDS`.
        patches: The region, for the kinds that take one: one patch or more.
        grid: Rows and columns of patches.
        onto: The view that a region is pasted onto.

    >>> variant(Image.new("RGB", (4, 4), "red"), "grey", [], (2, 2)).getpixel((0, 0))
    (76, 76, 76)
    """
    assert kind in KINDS, kind
    if kind in WHOLE:
        return _whole(view, kind)
    if kind == "crop":
        return view.resize(view.size, Image.Resampling.BICUBIC, _box(patches, grid, view.size))
    mask = Image.fromarray(_mask_hw(patches, grid, view.size))
    if kind == PASTE:
        assert onto is not None, "there is a picture to paste onto"
        return Image.composite(view, onto, mask)
    mean = tuple(round(channel) for channel in ImageStat.Stat(view).mean)
    plain = Image.new("RGB", view.size, mean)
    return Image.composite(plain, view, mask) if kind == "cut_out" else Image.composite(view, plain, mask)


def _whole(view: Image.Image, kind: str) -> Image.Image:
    if kind == "mirror":
        return ImageOps.mirror(view)
    if kind == "grey":
        return ImageOps.grayscale(view).convert("RGB")
    if kind == "blur":
        return view.filter(ImageFilter.GaussianBlur(_BLUR * min(view.size)))
    turned = view.transpose(_CLOCKWISE[kind])
    # One that is not square is enlarged and cut to the shape that the ViT takes.
    return turned if turned.size == view.size else ImageOps.fit(turned, view.size, Image.Resampling.BICUBIC)


def _mask_hw(patches: Sequence[int], grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """255 in the pixels (h, w) of some patches."""
    rows, columns = grid
    is_in_p = np.zeros(rows * columns, dtype=np.bool_)
    is_in_p[list(patches)] = True
    row_h, column_w = np.arange(size[1]) * rows // size[1], np.arange(size[0]) * columns // size[0]
    found: NDArray[np.uint8] = is_in_p.reshape(grid)[row_h][:, column_w].astype(np.uint8) * 255
    return found


def _box(patches: Sequence[int], grid: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The smallest box around some patches that has the shape of the picture, moved into it: left, top, right, end."""
    rows, columns = grid
    row_n, column_n = np.array(patches) // columns, np.array(patches) % columns
    # In shares of the picture a box of its shape has equal sides.
    spans = [(column_n.min() / columns, (column_n.max() + 1) / columns), (row_n.min() / rows, (row_n.max() + 1) / rows)]
    side = max(high - low for low, high in spans)
    left, top = (min(max((low + high - side) / 2, 0), 1 - side) for low, high in spans)
    return left * size[0], top * size[1], (left + side) * size[0], (top + side) * size[1]
