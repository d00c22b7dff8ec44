"""Where latents fire in pictures.

Shape suffixes: p = patches of the grid (h, w), s = d_sae, n = active entries, l = latents that one image shows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saev.nn import SparseAutoencoder
from saev.rendering.encoded import encoded
from saev.shards.format.layout import TokenLayout
from saev.shards.loading.selection import TokenSelection
from saev.viz import PatchCodes, quantise
from saev.viz.gallery_data import Levels
from saev.viz.survey import present

Images = Sequence[int] | NDArray[np.int64]
Heatmaps = dict[int, dict[int, Levels]]
"""By latent and image the levels (h, w)."""
HEATMAP_BYTES = 2**30
"""Bound of the heatmaps that are held at once."""
BYTES_BESIDE = 220
"""What a heatmap takes besides its levels, as an array in a dictionary."""


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
