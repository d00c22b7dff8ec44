"""The active codes of images, in sparse form.

Shape suffixes: b = images, t = positions of an image, s = d_sae, n = active codes, r = tokens (b t) and 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]
SLICE_CELLS: Final = 2**21  # Dense codes that a part grows by, or one image.
STRETCH_CELLS: Final = 2**18  # Dense codes looked at in one go: they stay in the cache until their values are read.
MAX_ENTRIES: Final = 2**20  # Of one part, but for what its last slice has too many.


@final
@dataclass(frozen=True)
class SparseCodes:
    """The codes of whole images that are above zero, token after token: a matrix in compressed rows.

    Args:
        n_images: b.
        n_positions: t.
        d_sae: s.
        starts_r: int64 (b t + 1,), where the entries of each token begin, and the end.
        latents_n: int32, ascending within a token.
        values_n: float32, above zero and finite.
    """

    n_images: int
    n_positions: int
    d_sae: int
    starts_r: NDArray[np.int64]
    latents_n: NDArray[np.int32]
    values_n: Floats

    @classmethod
    def parts(cls, f_bts: Tensor) -> Iterator[tuple[slice, "SparseCodes"]]:
        """The entries of dense codes (b, t, s) on any device, compared as float32.

        They come in parts of so many images that each has about `MAX_ENTRIES` entries at most, or one image.

        Raises:
            InputError: If a code is not finite.
        """
        b, t, d_sae = f_bts.shape
        per_slice = max(1, SLICE_CELLS // max(1, t * d_sae))
        found: list[tuple[NDArray[np.int64], Floats, int]] = []
        start = 0
        for stop in [*range(per_slice, b, per_slice), b]:
            found.append(_entries(f_bts[start + sum(part[2] for part in found) : stop]))
            if stop == b or sum(len(part[1]) for part in found) >= MAX_ENTRIES:
                yield slice(start, stop), _joined(found, stop - start, t, d_sae)
                start, found = stop, []

    @property
    def counts_r(self) -> NDArray[np.int64]:
        """(b t,) entries of each token."""
        return np.diff(self.starts_r)


def _joined(found: list[tuple[NDArray[np.int64], Floats, int]], b: int, t: int, d_sae: int) -> SparseCodes:
    """The codes of b images whose slices were found one by one."""
    starts_r = np.zeros(b * t + 1, dtype=np.int64)
    latents_n = np.empty(sum(len(values) for _, values, _ in found), dtype=np.int32)
    token = entry = 0
    for places, _, n_images in found:
        # The places are sorted: where tokens begin is cheaper to search than to count.
        bounds = np.searchsorted(places, np.arange(1, n_images * t + 1) * d_sae)
        starts_r[token + 1 : token + 1 + n_images * t] = bounds + entry
        counts = np.diff(bounds, prepend=0)
        latents_n[entry : entry + len(places)] = places - np.repeat(np.arange(n_images * t) * d_sae, counts)
        token, entry = token + n_images * t, entry + len(places)
    values_n = np.concatenate([values for _, values, _ in found])
    return SparseCodes(b, t, d_sae, starts_r, latents_n, values_n)


def _entries(f_bts: Tensor) -> tuple[NDArray[np.int64], Floats, int]:
    """Places in the flattened codes of some images, ascending, their values, and the number of images."""
    places, values = present(f_bts)
    return places, values, len(f_bts)


def present(codes: Tensor) -> tuple[NDArray[np.int64], Floats]:
    """Where codes (..., s), flattened, are above zero, ascending, and their values as float32.

    Raises:
        InputError: If a code is not finite.
    """
    flat = codes.detach().to(torch.float32).reshape(-1)
    if flat.device.type == "cpu":
        places, values = _above_zero(flat.numpy())
    else:
        found = (flat <= 0).logical_not_().nonzero().squeeze(-1)
        places, values = found.cpu().numpy(), flat[found].cpu().numpy()
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"the codes must be finite: latent {places[bad] % codes.shape[-1]} has {values[bad]}")
    return places, values


def _above_zero(flat: Floats) -> tuple[NDArray[np.int64], Floats]:
    # One thread of numpy is faster here than several of torch, whose nonzero takes ten times as long.
    places, values = [], []
    for start in range(0, len(flat), STRETCH_CELLS):
        stretch = flat[start : start + STRETCH_CELLS]
        found = np.flatnonzero(~(stretch <= 0))
        values.append(stretch[found])
        found += start
        places.append(found)
    return np.concatenate([np.empty(0, np.int64), *places]), np.concatenate([np.empty(0, np.float32), *values])
