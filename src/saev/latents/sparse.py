"""The active codes of images, in sparse form.

Shape suffixes: b = images, t = positions of an image, s = d_sae, n = active codes, r = tokens (b t) and 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from saev.errors import InputError
from saev.ranges import ranges
from saev.shards.format.layout import TokenLayout

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]
SLICE_CELLS: Final = 2**21  # Dense codes that a part grows by, or one image.
STRETCH_CELLS: Final = 2**18  # Dense codes looked at in one go: they stay in the cache until their values are read.
MAX_PART_ENTRIES: Final = 2**20  # Of one part; its last slice may exceed it.


@final
@dataclass(frozen=True)
class Spots:
    """Which of the positions of an image are what."""

    n_positions: int
    patches: range  # The patches among them; empty where only other tokens are looked at.
    cls: int | None = None  # The position of the CLS token, if it is among them.

    def __post_init__(self) -> None:
        everything = range(self.n_positions)
        assert self.patches.step == 1, self.patches
        assert not self.patches or (self.patches[0] in everything and self.patches[-1] in everything), self
        assert self.cls is None or (self.cls in everything and self.cls not in self.patches), self

    @classmethod
    def of(cls, positions: range, layout: TokenLayout) -> Self:
        """Where the CLS token and the patches stand among some positions of an image."""
        content = layout.positions("content")
        n = len(positions)
        first = max(content.start, positions.start) - positions.start
        patches = range(first, n) if positions.stop >= content.stop else range(n, n)
        return cls(n, patches, 0 if layout.cls and positions.start == 0 and n else None)

    @property
    def ranked(self) -> range:
        """The positions by which images are ranked: the patches, or all where there are none."""
        return self.patches or range(self.n_positions)


@final
@dataclass(frozen=True)
class SparseCodes:
    """The codes of whole images that are above zero, token after token: a matrix in compressed rows."""

    n_images: int  # b.
    n_positions: int  # t.
    d_sae: int  # s.
    starts_r: NDArray[np.int64]  # int64 (b t + 1,), where the entries of each token begin, and the end.
    latents_n: NDArray[np.int32]  # int32, ascending within a token.
    values_n: Floats  # float32, above zero and finite.

    @classmethod
    def parts(cls, f_bts: Tensor) -> Iterator[tuple[slice, "SparseCodes"]]:
        """The entries of dense codes (b, t, s) on any device, compared as float32.

        They come in parts of so many images that each has about `MAX_PART_ENTRIES` entries at most, or one image.

        Raises:
            InputError: If a code is not finite.
        """
        b, t, d_sae = f_bts.shape
        per_slice = max(1, SLICE_CELLS // max(1, t * d_sae))
        found: list[SparseCodes] = []
        start = 0
        for stop in [*range(per_slice, b, per_slice), b]:
            found.append(SparseCodes.of(f_bts[start + sum(part.n_images for part in found) : stop]))
            if stop == b or sum(len(part.values_n) for part in found) >= MAX_PART_ENTRIES:
                yield slice(start, stop), SparseCodes.joined(found)
                start, found = stop, []

    @staticmethod
    def of(f_bts: Tensor) -> "SparseCodes":
        """All entries of dense codes (b, t, s) at once.

        Raises:
            InputError: If a code is not finite.
        """
        b, t, d_sae = f_bts.shape
        places, values_n = present(f_bts)
        # The places are sorted: where tokens begin is cheaper to search than to count.
        starts_r = np.searchsorted(places, np.arange(b * t + 1) * d_sae)
        latents_n = (places - np.repeat(np.arange(b * t) * d_sae, np.diff(starts_r))).astype(np.int32)
        return SparseCodes(b, t, d_sae, starts_r, latents_n, values_n)

    @property
    def counts_r(self) -> NDArray[np.int64]:
        """(b t,) entries of each token."""
        return np.diff(self.starts_r)

    @property
    def matrix(self) -> csr_array:
        """The codes (b t, s) as scipy's matrix, without a copy."""
        shape = (self.n_images * self.n_positions, self.d_sae)
        return csr_array((self.values_n, self.latents_n, self.starts_r), shape=shape)

    def dense(self) -> NDArray[np.float32]:
        """All codes (b, t, s)."""
        found: NDArray[np.float32] = self.matrix.toarray()
        return found.reshape(self.n_images, self.n_positions, self.d_sae)

    def mean(self, positions: range) -> Floats:
        """Mean codes (b, s) of each image over some of its positions."""
        inside_t = np.zeros(self.n_positions, dtype=np.bool_)
        inside_t[positions.start : positions.stop] = True
        rows_n = np.repeat(np.arange(self.n_images * self.n_positions), self.counts_r)
        kept_n = np.tile(inside_t, self.n_images)[rows_n]
        places = rows_n[kept_n] // self.n_positions * self.d_sae + self.latents_n[kept_n]
        sums = np.bincount(places, weights=self.values_n[kept_n], minlength=self.n_images * self.d_sae)
        found: Floats = (sums.reshape(self.n_images, self.d_sae) / len(positions)).astype(np.float32)
        return found

    def take(self, images: NDArray[np.int64]) -> "SparseCodes":
        """Some of the images, by their rows, in any order."""
        t = self.n_positions
        rows = (images[:, None] * t + np.arange(t)).reshape(-1)
        counts = self.counts_r[rows]
        entries = ranges(self.starts_r[rows], counts)
        starts_r = np.concatenate([[0], counts.cumsum()])
        return SparseCodes(len(images), t, self.d_sae, starts_r, self.latents_n[entries], self.values_n[entries])

    def at(self, positions: range) -> "SparseCodes":
        """One image at some positions that follow each other."""
        assert self.n_images == 1, f"{self.n_images} images"
        return self._rows(positions.start, positions.stop, 1)

    def span(self, images: range) -> "SparseCodes":
        """Images that follow each other, without a copy of their entries."""
        return self._rows(images.start * self.n_positions, images.stop * self.n_positions, len(images))

    def images(self) -> Iterator["SparseCodes"]:
        """One image after the other."""
        return (self.span(range(image, image + 1)) for image in range(self.n_images))

    def _rows(self, first: int, stop: int, n_images: int) -> "SparseCodes":
        starts_r = self.starts_r[first : stop + 1]
        part = slice(int(starts_r[0]), int(starts_r[-1]))
        t, latents_n, values_n = (stop - first) // max(1, n_images), self.latents_n[part], self.values_n[part]
        return SparseCodes(n_images, t, self.d_sae, starts_r - starts_r[0], latents_n, values_n)

    @staticmethod
    def joined(parts: "list[SparseCodes]") -> "SparseCodes":
        """All images of one part, then those of the next; one part or more."""
        if len(parts) == 1:
            return parts[0]
        ends = np.cumsum([len(part.values_n) for part in parts])
        starts = [part.starts_r[1:] + (end - len(part.values_n)) for part, end in zip(parts, ends, strict=True)]
        return SparseCodes(
            sum(part.n_images for part in parts),
            parts[0].n_positions,
            parts[0].d_sae,
            np.concatenate([np.zeros(1, np.int64), *starts]),
            np.concatenate([part.latents_n for part in parts]),
            np.concatenate([part.values_n for part in parts]),
        )


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
