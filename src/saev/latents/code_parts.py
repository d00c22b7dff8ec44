"""Parts of codes that are held or lie on disk, by image and by latent.

Shape suffixes: b = images, a = some latents, n = active codes.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from typing_extensions import override

from saev.errors import InputError
from saev.latents.code_files import SavedFile
from saev.latents.sparse import SparseCodes
from saev.ranges import Ints, ranges
from saev.shards.format.hashing import BLOCK_BYTES

NEAR: Final = BLOCK_BYTES // 4  # Entries that lie nearer than this are read in one go: a block is verified as a whole.


class Columns(NamedTuple):
    """The active codes of some latents, latent after latent: how many each has, their tokens, ascending, and values."""

    counts_a: Ints
    tokens_n: NDArray[np.integer[Any]]
    values_n: NDArray[np.float32]


class Part(ABC):
    """The codes of some images that follow each other."""

    @property
    @abstractmethod
    def image_starts(self) -> Ints:
        """(b + 1,) where the entries of each image begin, and the end."""

    @abstractmethod
    def rows(self, images: range) -> SparseCodes:
        """The codes of images that follow each other, by their rows in the part."""

    @abstractmethod
    def columns(self, latents_a: Ints) -> Columns:
        """The active codes of some latents; tokens are numbered in the part."""


@final
@dataclass(frozen=True)
class InMemory(Part):
    """Codes that are held."""

    codes: SparseCodes

    @property
    @override
    def image_starts(self) -> Ints:
        return self.codes.starts_r[:: self.codes.n_positions]

    @override
    def rows(self, images: range) -> SparseCodes:
        return self.codes.span(images)

    @override
    def columns(self, latents_a: Ints) -> Columns:
        matrix = self._by_latent[:, latents_a]
        return Columns(np.diff(matrix.indptr).astype(np.int64), matrix.indices, matrix.data)

    @cached_property
    def _by_latent(self) -> csc_array:
        return self.codes.matrix.tocsc()


@final
@dataclass(frozen=True)
class OnDisk(Part):
    """Codes that are read, and verified, when they are asked for."""

    saved: SavedFile

    @property
    @override
    def image_starts(self) -> Ints:
        return _token_starts(self.saved)[:: self.saved.shape.n_positions]

    @override
    def rows(self, images: range) -> SparseCodes:
        shape = self.saved.shape
        t = shape.n_positions
        starts_r = _token_starts(self.saved)[images.start * t : images.stop * t + 1]
        first, stop = int(starts_r[0]), int(starts_r[-1])
        latents_n, values_n = self.saved.read("latents", first, stop), self.saved.read("values", first, stop)
        if len(latents_n) and (latents_n.min() < 0 or latents_n.max() >= shape.d_sae):
            raise self._edited("latents")
        return SparseCodes(len(images), t, shape.d_sae, starts_r - first, latents_n, self._checked(values_n))

    @override
    def columns(self, latents_a: Ints) -> Columns:
        starts = self.saved.read("latent_starts")
        self._check_starts(starts)
        wanted = np.unique(latents_a)
        firsts, stops = starts[wanted], starts[wanted + 1]
        tokens, values = [], []
        # What lies near each other is read in one go, with what lies between.
        for near in np.split(np.arange(len(wanted)), np.flatnonzero(firsts[1:] - stops[:-1] > NEAR) + 1):
            if not len(near):
                continue
            first, stop = int(firsts[near[0]]), int(stops[near[-1]])
            own = ranges(firsts[near] - first, stops[near] - firsts[near])
            tokens.append(self.saved.read("tokens", first, stop)[own])
            values.append(self.saved.read("values_by_latent", first, stop)[own])
        counts, tokens_n = stops - firsts, np.concatenate([np.empty(0, np.int32), *tokens])
        values_n = self._checked(np.concatenate([np.empty(0, np.float32), *values]))
        n_tokens = self.saved.shape.n_images * self.saved.shape.n_positions
        if len(tokens_n) and (tokens_n.min() < 0 or tokens_n.max() >= n_tokens):
            raise self._edited("tokens")
        place_a = np.searchsorted(wanted, latents_a)
        entries = ranges((counts.cumsum() - counts)[place_a], counts[place_a])
        return Columns(counts[place_a], tokens_n[entries], values_n[entries])

    def _checked(self, values_n: NDArray[np.float32]) -> NDArray[np.float32]:
        if not (np.isfinite(values_n) & (values_n > 0)).all():
            raise self._edited("values")
        return values_n

    def _check_starts(self, starts: Ints) -> None:
        if starts[0] != 0 or starts[-1] != self.saved.shape.n_entries or (np.diff(starts) < 0).any():
            raise self._edited("starts")

    def _edited(self, what: str) -> InputError:
        return InputError(f"{self.saved.directory / self.saved.name}: its {what} were edited: encode again")


@lru_cache(maxsize=4)
def _token_starts(saved: SavedFile) -> Ints:
    starts: Ints = saved.read("token_starts")
    OnDisk(saved)._check_starts(starts)
    return starts
