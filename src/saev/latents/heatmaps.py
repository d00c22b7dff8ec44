"""Where latents fire in pictures.

Shape suffixes: p = patches of the grid (h, w), s = d_sae, n = active entries, l = latents that one image shows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.encoding import encoded
from saev.latents.survey import present
from saev.nn import SparseAutoencoder
from saev.shards.format.layout import TokenLayout
from saev.shards.tokens import TokenSelection

Levels = NDArray[np.uint8]
"""Values as shares of a latent's largest one, 0..255; see `quantise`."""
Images = Sequence[int] | NDArray[np.int64]
Heatmaps = dict[int, dict[int, Levels]]
"""By latent and image the levels (h, w)."""
HEATMAP_BYTES = 2**30
"""Bound of the heatmaps that are held at once."""
BYTES_BESIDE = 220
"""What a heatmap takes besides its levels, as an array in a dictionary."""


@dataclass(frozen=True)
class PatchCodes:
    """Which latents fire where in a picture.

    Args:
        offsets: (patches + 1,) those of patch p, in row-major order, are `latents[offsets[p]:offsets[p + 1]]`.
        latents: (n,) within a patch the strongest first.
        levels: (n,) their values, see `quantise`, as shares of the largest value of the latent.
    """

    offsets: NDArray[np.integer]
    latents: NDArray[np.integer]
    levels: Levels


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


def patch_positions(tokens: TokenSelection) -> slice:
    """Where the patches stand among the selected positions; empty where none are selected."""
    return patches_among(tokens.positions, tokens.reader.layout.tokens)


def patches_among(positions: range, layout: TokenLayout) -> slice:
    """Where the patches stand among some positions of an image; empty where these are none."""
    content = layout.positions("content")
    start = max(content.start, positions.start) - positions.start
    return slice(start, len(positions) if positions.stop >= content.stop else start)


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
    sae: SparseAutoencoder, tokens: TokenSelection, shown: Mapping[int, Images], max_value_s: NDArray[np.float32]
) -> Heatmaps:
    """The levels of latents in the patches of the images that they show, zeros where no patches are selected.

    Args:
        sae: The SAE.
        tokens: The recording, and which of the tokens.
        shown: Images by latent.
        max_value_s: What level 255 stands for, by latent.
    """
    found: Heatmaps = {latent: {} for latent in shown}
    latents_of: dict[int, list[int]] = {}
    for latent, images in shown.items():
        for image in images:
            latents_of.setdefault(int(image), []).append(latent)
    grid = tokens.reader.layout.tokens.grid
    patches = patch_positions(tokens)
    for image, f_ts in codes_of_images(sae, tokens, sorted(latents_of), "heatmaps"):
        latents_l = latents_of[image]
        f_pl = f_ts[patches][:, latents_l].cpu().numpy()
        if not f_pl.size:
            f_pl = np.zeros((grid[0] * grid[1], len(latents_l)), dtype=np.float32)
        for latent, f_p in zip(latents_l, f_pl.T, strict=True):
            found[latent][image] = quantise(f_p.reshape(grid), float(max_value_s[latent]))
    return found


def patch_codes(f_ps: Tensor, max_value_s: NDArray[np.float32]) -> PatchCodes:
    """Which latents fire on the patches of one picture, whose codes are (p, s), the strongest first.

    Strong is what is near the largest value of the latent, as in a heatmap: values of latents do not compare. Those of
    a latent that was silent until now, on other pictures, are as strong as can be.
    """
    place_n, value_n = present(f_ps)
    patch_n, latent_n = np.divmod(place_n, f_ps.shape[1])
    max_n = max_value_s[latent_n]
    level_n = quantise(value_n / np.where(max_n > 0, max_n, value_n), 1.0)
    order = np.lexsort((latent_n, -level_n.astype(np.int16), patch_n))
    offsets = np.searchsorted(patch_n, np.arange(len(f_ps) + 1))
    return PatchCodes(offsets, latent_n[order], level_n[order])


def codes_of_images(
    sae: SparseAutoencoder, tokens: TokenSelection, images: Iterable[int], what: str
) -> Iterator[tuple[int, Tensor]]:
    """Some images (ascending), each with its codes (t, s)."""
    some = replace(tokens, examples=np.fromiter(images, dtype=np.int64), kept=None)
    for ids_b, codes in encoded([sae], some, what):
        for f_bts in codes:
            yield from zip(ids_b.tolist(), f_bts, strict=True)
