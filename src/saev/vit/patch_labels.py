"""From a mask of pixels to labels of patches."""

import numpy as np
from numpy.typing import NDArray

from saev.vit.images.base import NO_LABEL, PixelAgg

_N_VALUES = 256


def patch_labels(
    mask: NDArray[np.uint8], grid: tuple[int, int], pixel_agg: PixelAgg = "majority", threshold: float = 0.0
) -> NDArray[np.uint8]:
    """Label each patch by the class that most of its pixels have; among equals the lower class.

    Args:
        mask: Classes (H, W) as the model sees them, 255 for pixels without a label.
        grid: Patches (h, w). Pixels right of and below h x w whole patches belong to none, as in the model.
        pixel_agg: prefer-fg takes the most frequent class but 0 wherever a patch has any.
        threshold: Share of the patch's pixels from 0 to 1 that the class must have.

    Returns:
        Labels (h * w,) in row-major order; 255 where the pixels have none or the class has too small a share.
    """
    counts = _counts(mask, grid)
    labels = counts.argmax(axis=1)
    if pixel_agg == "prefer-fg":
        foreground = counts[:, 1:NO_LABEL]
        labels = np.where(foreground.any(axis=1), foreground.argmax(axis=1) + 1, labels)
    share = counts[np.arange(len(labels)), labels] / counts.sum(axis=1)
    return np.where(share < threshold, NO_LABEL, labels).astype(np.uint8)


def _counts(mask: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.int64]:
    """Return how many pixels of each patch have each value (h * w, 256)."""
    rows, columns = grid
    height, width = mask.shape[0] // rows, mask.shape[1] // columns
    assert height and width, f"mask of {mask.shape} pixels has no {grid} patches"
    whole = mask[: rows * height, : columns * width].astype(np.int64)
    patch = np.arange(rows)[:, None] * columns + np.arange(columns)
    keys = whole + _N_VALUES * patch.repeat(height, axis=0).repeat(width, axis=1)
    return np.bincount(keys.ravel(), minlength=rows * columns * _N_VALUES).reshape(-1, _N_VALUES)
