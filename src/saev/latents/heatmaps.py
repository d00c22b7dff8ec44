"""Where latents fire in pictures.

Shape suffixes: p = patches of the grid (h, w), s = d_sae, n = active entries, l = latents that one image shows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saev.latents.encoding import ImageCodes, Images
from saev.latents.sparse import SparseCodes

Levels = NDArray[np.uint8]
"""Values as shares of a latent's largest one, 0..255; see `quantise`."""
Heatmaps = dict[int, dict[int, Levels]]
"""By latent and image the levels (h, w)."""
HEATMAP_BYTES = 2**30
"""Bound of the heatmaps that are held at once."""
BYTES_BESIDE = 220
"""What a heatmap takes besides its levels, as an array in a dictionary."""


@dataclass(frozen=True)
class PatchCodes:
    """Which latents fire where in a picture."""

    offsets: NDArray[np.integer]
    """(patches + 1,) those of patch p, in row-major order, are `latents[offsets[p]:offsets[p + 1]]`."""
    latents: NDArray[np.integer]  # (n,) within a patch the strongest first.
    levels: Levels  # (n,) their values, see `quantise`, as shares of the largest value of the latent.


def quantise(values: NDArray[np.floating], vmax: float) -> NDArray[np.uint8]:
    """Values of any shape as 0..255 of `vmax`; what is above `vmax` becomes 255, and all is 0 if nothing fires.

    >>> quantise(np.array([[0.0, 1.0], [2.0, 9.0]]), vmax=4.0).tolist()
    [[0, 64], [128, 255]]
    """
    assert np.isfinite(values).all(), "values must be finite"
    if vmax <= 0:
        return np.zeros(values.shape, dtype=np.uint8)
    shares = np.clip(values.astype(np.float64) / vmax, 0, 1)
    return (shares * 255).round().astype(np.uint8)


def in_parts(shown: Mapping[int, Images], grid: tuple[int, int]) -> Iterator[dict[int, Images]]:
    """The latents and the images that each shows, in parts whose heatmaps stay within `HEATMAP_BYTES`."""
    part: dict[int, Images] = {}
    n_bytes = 0
    for latent, images in shown.items():
        own = len(images) * (grid[0] * grid[1] + BYTES_BESIDE)
        if part and n_bytes + own > HEATMAP_BYTES:
            yield part
            part, n_bytes = {}, 0
        part[latent] = images
        n_bytes += own
    if part:
        yield part


def heatmaps(
    codes: ImageCodes,
    shown: Mapping[int, Images],
    max_value_s: NDArray[np.float32],
    check: Callable[[], None] = lambda: None,
) -> Heatmaps:
    """The levels of latents in the patches of the images that they show, zeros where no patches are encoded.

    Args:
        max_value_s: What level 255 stands for, by latent.
        check: Called with each image; what it raises ends the look.
    """
    found: Heatmaps = {latent: {} for latent in shown}
    latents_of: dict[int, list[int]] = {}
    for latent, images in shown.items():
        for image in images:
            latents_of.setdefault(int(image), []).append(latent)
    patches = codes.spots.patches
    column_s = np.full(codes.d_sae, -1)
    for image, own in codes.each(sorted(latents_of), "heatmaps"):
        check()
        latents_l = latents_of[image]
        column_s[latents_l] = np.arange(len(latents_l))
        f_pl = np.zeros((codes.grid[0] * codes.grid[1], len(latents_l)), dtype=np.float32)
        if patches:
            _fill(f_pl, own.at(patches), column_s)
        column_s[latents_l] = -1
        for latent, f_p in zip(latents_l, f_pl.T, strict=True):
            found[latent][image] = quantise(f_p.reshape(codes.grid), float(max_value_s[latent]))
    return found


def _fill(f_pl: NDArray[np.float32], codes: SparseCodes, column_s: NDArray[np.int64]) -> None:
    """Enter the codes of one image's patches at the columns of their latents; those without one are left out."""
    column_n = column_s[codes.latents_n]
    kept_n = column_n >= 0
    rows_n = np.repeat(np.arange(len(f_pl)), codes.counts_r)
    f_pl[rows_n[kept_n], column_n[kept_n]] = codes.values_n[kept_n]


def patch_codes(codes: SparseCodes, max_value_s: NDArray[np.float32]) -> PatchCodes:
    """Which latents fire on the patches of one picture, of which `codes` has no other tokens, the strongest first.

    Strong is what is near the largest value of the latent, as in a heatmap: values of latents do not compare. Those of
    a latent that was silent until now, on other pictures, are as strong as can be.
    """
    latent_n, value_n = codes.latents_n, codes.values_n
    patch_n = np.repeat(np.arange(codes.n_positions), codes.counts_r)
    max_n = max_value_s[latent_n]
    level_n = quantise(value_n / np.where(max_n > 0, max_n, value_n), 1.0)
    order = np.lexsort((latent_n, -level_n.astype(np.int16), patch_n))
    return PatchCodes(codes.starts_r, latent_n[order], level_n[order])
