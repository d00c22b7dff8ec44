"""The part of a picture that a latent looks at.

Shapes: h, w patches of the grid; boxes are (left, top, right, bottom) in pixels, as Pillow's `crop` takes them.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Box = tuple[int, int, int, int]

STRONG = 0.5  # Share of the largest value from which on a patch belongs to what the latent looks at.
CONTEXT = 0.25  # Share of that region's longer side, added on each side.
LEAST = 0.4  # Share of the picture's shorter side that a crop has at least.
_TOUCHING = np.ones((3, 3), dtype=np.int64)  # Patches that touch at a corner hang together.


def crop_box(heatmap: npt.NDArray[np.floating] | npt.NDArray[np.uint8], size: tuple[int, int]) -> Box:
    """A square around the strongest patch and the patches that hang together with it and are half as strong.

    The square has `CONTEXT` around them, at least `LEAST` of the picture's shorter side, and lies within the picture;
    where it is larger than one side of the picture, it has that side's length and is no square. A CLIP cuts off
    the ends of what is longer than wide. The whole picture where no patch fires, as for a latent of the CLS token.

    Args:
        heatmap: (h, w) values >= 0; the grid spans the picture whole.
        size: Width and height of the picture in pixels.

    >>> crop_box(np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]), (80, 40))
    (50, 10, 80, 40)
    """
    width, height = size
    assert heatmap.ndim == 2, f"a heatmap is (h, w), not {heatmap.shape}"
    assert np.isfinite(heatmap).all(), "patch values must be finite"
    if heatmap.max() <= 0:
        return 0, 0, width, height
    top, bottom, left, right = _strongest_region(heatmap)
    n_rows, n_columns = heatmap.shape
    left, right = _pixels(left, right, n_columns, width)
    top, bottom = _pixels(top, bottom, n_rows, height)
    longer = max(right - left, bottom - top)
    side = max(longer + 2 * round(CONTEXT * longer), round(LEAST * min(size)), 1)
    left, right = _around(left, right, side, width)
    top, bottom = _around(top, bottom, side, height)
    return left, top, right, bottom


def _strongest_region(heatmap: npt.NDArray[np.floating] | npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """First and one past the last row, and column, of the region around the strongest patch; the first of equals."""
    peak = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    regions, _ = ndimage.label(heatmap >= STRONG * heatmap[peak], structure=_TOUCHING)
    rows, columns = np.nonzero(regions == regions[peak])
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def _pixels(first: int, end: int, n_patches: int, n_pixels: int) -> tuple[int, int]:
    """The pixels of patches, rounded outwards."""
    return first * n_pixels // n_patches, -(-end * n_pixels // n_patches)


def _around(first: int, end: int, length: int, n_pixels: int) -> tuple[int, int]:
    """An interval of this length around another one, moved into the picture."""
    length = min(length, n_pixels)
    start = min(max((first + end - length) // 2, 0), n_pixels - length)
    return start, start + length
