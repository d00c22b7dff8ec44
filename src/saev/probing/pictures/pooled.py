"""What latents do on whole pictures: their values on a picture's tokens, pooled.

Shape suffixes: i = pictures, l = latents, n = active codes, c = cells, pairs of a latent and a picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.free_memory import known_free_memory
from saev.latents.code_parts import Columns
from saev.latents.codes import Codes, checked_numbers
from saev.latents.encoding import Images
from saev.probing.pictures.pooling import Pooling
from saev.progress import progress_bar
from saev.ranges import Ints, ranges


def pooled(
    codes: Codes,
    images: Images,
    pooling: Pooling = "max",
    count_above: float = 0.0,
    latents: Images | None = None,
    *,
    positions: range | None = None,
    progress: bool = True,
) -> csc_array:
    """The pooled values of latents on pictures: a float32 matrix (i, l) of those that are not 0, column after column.

    Silent tokens count as 0 in max, mean and sum; count is the number of tokens above `count_above`. Memory: 16 bytes
    for each value that is stored, and that of one file of codes, several times.

    Args:
        codes: Of the recording; `saev.encode` or `open_codes` gives them.
        images: (i,) numbers of pictures in the recording, ascending, each once.
        pooling: max, mean, sum or count.
        count_above: For count; at least 0.
        latents: (l,) which latents, in this order; what belongs to these alone is read. By default all.
        positions: Tokens that are pooled, as places among those that are encoded; by default the patches, or all where
            no patches are encoded.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If there is no such picture, latent, token or pooling, a file is damaged, or memory is short.
    """
    rows = checked_numbers(images, codes.n_images, "images")
    if (np.diff(rows) <= 0).any():
        raise InputError("images must ascend, each once: sort them, for instance with numpy.unique")
    pool = _Pool.of(codes, pooling, count_above, positions)
    latents_l = checked_numbers(range(codes.d_sae) if latents is None else latents, codes.d_sae, "latents")
    return _assembled(_parts(codes, rows, latents_l, pool, progress), len(rows), len(latents_l))


@final
@dataclass(frozen=True)
class _Pool:
    """How the values of tokens become one of a picture."""

    pooling: Pooling
    count_above: float
    positions: range
    n_positions: int

    @classmethod
    def of(cls, codes: Codes, pooling: Pooling, count_above: float, positions: range | None) -> "_Pool":
        n = codes.n_positions
        positions = codes.spots.ranked if positions is None else positions
        if pooling not in get_args(Pooling):
            raise InputError(f"pooling {pooling!r}: give one of {', '.join(get_args(Pooling))}")
        if not 0 <= count_above < float("inf"):
            raise InputError(f"count_above={count_above}: give a finite number of at least 0")
        if not positions or positions.step != 1 or positions.start < 0 or positions.stop > n:
            raise InputError(f"positions={positions}: give a range of the tokens 0 to {n - 1}, those that are encoded")
        return cls(pooling, count_above, positions, n)

    def kept(self, tokens_n: NDArray[np.integer[Any]], values_n: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which values count, by the numbers of their tokens."""
        above = self.count_above if self.pooling == "count" else 0.0
        kept_n: NDArray[np.bool_] = values_n > np.float32(above)
        if len(self.positions) < self.n_positions:
            place_n = tokens_n % self.n_positions
            kept_n &= (place_n >= self.positions.start) & (place_n < self.positions.stop)
        return kept_n

    def cells(
        self, cells_n: NDArray[np.integer[Any]], values_n: NDArray[np.float32]
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Cells (c,) with values, each once, and their pooled values; from the cell of each value, ascending."""
        is_first_n = np.ones(len(cells_n), dtype=np.bool_)
        np.not_equal(cells_n[1:], cells_n[:-1], out=is_first_n[1:])
        begin_c = np.flatnonzero(is_first_n)
        if self.pooling == "max":
            found_c: NDArray[Any] = np.maximum.reduceat(values_n, begin_c)
        elif self.pooling == "count":
            found_c = np.diff(begin_c, append=len(cells_n))
        else:
            found_c = np.add.reduceat(values_n, begin_c, dtype=np.float64)
            found_c /= len(self.positions) if self.pooling == "mean" else 1
        return cells_n[begin_c], found_c.astype(np.float32)


class _Part(NamedTuple):
    """Pooled values of pictures that follow each other, latent after latent.

    `counts_l` says how many each latent has; `rows_n` are their pictures, ascending within a latent.
    """

    counts_l: NDArray[np.integer[Any]]
    rows_n: NDArray[np.int32]
    values_n: NDArray[np.float32]


def _parts(codes: Codes, images: Ints, latents_l: Ints, pool: _Pool, progress: bool) -> Iterator[_Part]:
    """The pictures of one part of the codes after those of another: its values stand latent after latent already."""
    first = 0
    with progress_bar(total=len(images), desc="pooling", unit=" images", disable=not progress) as bar:
        for part in codes.parts:
            n = min(codes.images_per_part, codes.n_images - first)
            low, high = np.searchsorted(images, [first, first + n])
            if low < high:
                row_of = np.full(n, -1, dtype=np.int32)
                row_of[images[low:high] - first] = np.arange(high - low)
                yield _part(part.columns(latents_l), row_of, int(low), pool)
            bar.update(high - low)
            first += n


def _part(found: Columns, row_of: NDArray[np.int32], first_row: int, pool: _Pool) -> _Part:
    n_latents, n_rows = len(found.counts_a), int(row_of.max()) + 1
    rows_n = row_of[found.tokens_n // pool.n_positions]
    kept_n = pool.kept(found.tokens_n, found.values_n) & (rows_n >= 0)
    # Half as many bytes as int64 where they suffice: reading and writing these takes most of the time.
    begin_l = np.arange(n_latents, dtype=np.int32 if n_latents * n_rows < 2**31 else np.int64) * n_rows
    cells_n = np.repeat(begin_l, found.counts_a) + rows_n
    cells, values = pool.cells(cells_n[kept_n], found.values_n[kept_n])
    latents, rows = np.divmod(cells, n_rows)
    return _Part(np.bincount(latents, minlength=n_latents), (rows + first_row).astype(np.int32), values)


def _assembled(parts: Iterator[_Part], n_images: int, n_latents: int) -> csc_array:
    """The matrix (i, l) of all parts; those are given up one by one, so that little is held twice."""
    free, held, found = known_free_memory(), 0, []
    for part in parts:
        found.append(part)
        held += part.rows_n.nbytes + part.values_n.nbytes
        if free is not None and 2 * held > free[0]:
            raise InputError(
                f"the pooled values take more than the {byte_text(free[0])} that are free on {free[1]}: give fewer "
                "images, or some of the latents"
            )
    starts = np.zeros(n_latents + 1, dtype=np.int64)
    for part in found:
        starts[1:] += part.counts_l
    starts = starts.cumsum()
    rows_n, values_n = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    begin_l = starts[:-1].copy()
    found.reverse()
    while found:
        part = found.pop()
        places = ranges(begin_l, part.counts_l.astype(np.int64))
        rows_n[places], values_n[places] = part.rows_n, part.values_n
        begin_l += part.counts_l
    narrow = starts.astype(np.int32) if starts[-1] < 2**31 else starts
    return csc_array((values_n, rows_n, narrow), shape=(n_images, n_latents))
