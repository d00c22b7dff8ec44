"""A random choice of tokens with their active latents, and which latents fire together there.

Tokens are chosen by a hash of the image's id, the position and a seed. Of the tokens in the order of their hashes,
those are kept that come before the first one that would exceed a bound. Whatever is dropped on the way would be dropped
in the end, so that the choice depends neither on the order of images nor on who saw them.

Shape suffixes: s = d_sae, c = chosen tokens, e = entries, a = some latents, n = neighbours, r = latents of a block.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from saev.latents.sparse import SparseCodes
from saev.latents.survey.kept_images import LAST_ID, value_bits, values_of_bits
from saev.metrics import Nearest
from saev.mixing import token_hashes
from saev.ranges import ranges

MAX_TOKENS: Final = 2**17
MAX_SAMPLE_ENTRIES: Final = 2**22
PAIR_CELLS: Final = 2**20  # Co-occurrences in memory at once.


class _Tokens(NamedTuple):
    """Hashes (c,) int64 and numbers (c,) int64 of entries of tokens; latents (e,) int32, token after token."""

    hashes_c: NDArray[np.int64]
    counts_c: NDArray[np.int64]
    latents_e: NDArray[np.int32]

    def take(self, tokens: NDArray[np.int64]) -> "_Tokens":
        """Some of the tokens, in any order."""
        counts = self.counts_c[tokens]
        starts = (self.counts_c.cumsum() - self.counts_c)[tokens]
        return _Tokens(self.hashes_c[tokens], counts, self.latents_e[ranges(starts, counts)])


@final
class TokenSample:
    """Tokens on which some latent fires, every such token as likely as another, and their latents.

    Memory: 16 bytes for each of `max_tokens`, 4 bytes for each of `max_entries`, and three times that now and then.

    Args:
        d_sae: Number of latents.
        seed: Fixes the choice.
        max_tokens: Tokens at most.
        max_entries: Active latents of all these tokens at most.
    """

    def __init__(
        self, d_sae: int, seed: int, max_tokens: int = MAX_TOKENS, max_entries: int = MAX_SAMPLE_ENTRIES
    ) -> None:
        self._d_sae = d_sae
        self._seed = seed
        self._max_tokens = max_tokens
        self._max_entries = max_entries
        self._parts = [_Tokens(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))]
        self._n_pending = 0
        self._stop = np.iinfo(np.int64).max  # Tokens from this hash on are not kept.

    def update(self, codes: SparseCodes, image_ids: NDArray[np.int64]) -> None:
        """Offer the tokens of images."""
        hashes = token_hashes(image_ids, codes.n_positions, self._seed).reshape(-1)
        tokens = np.flatnonzero((codes.counts_r > 0) & (hashes < self._stop))
        everything = _Tokens(hashes, codes.counts_r, codes.latents_n)
        if len(tokens):
            self._add(everything if len(tokens) == len(hashes) else everything.take(tokens))

    def _add(self, tokens: _Tokens) -> None:
        self._parts.append(tokens)
        self._n_pending += 4 * len(tokens.counts_c) + len(tokens.latents_e)
        if self._n_pending > (4 * self._max_tokens + self._max_entries) // 4:
            self._settle()

    def _settle(self) -> _Tokens:
        """The chosen tokens of all so far, in the order of their hashes."""
        if len(self._parts) > 1:
            everything = _Tokens(*(np.concatenate(arrays) for arrays in zip(*self._parts, strict=True)))
            order = everything.hashes_c.argsort()
            n = int(np.searchsorted(everything.counts_c[order].cumsum(), self._max_entries, side="right"))
            n = min(n, self._max_tokens)
            if n < len(order):
                self._stop = min(self._stop, int(everything.hashes_c[order[n]]))
            self._parts, self._n_pending = [everything.take(order[:n])], 0
        return self._parts[0]

    @property
    def n_tokens(self) -> int:
        """Tokens in the sample."""
        return len(self._settle().counts_c)

    def tokens(self) -> csr_array:
        """The chosen tokens (c, s): 1 where a latent fires."""
        found = self._settle()
        starts = np.concatenate([[0], found.counts_c.cumsum()])
        ones = np.ones(len(found.latents_e), dtype=np.float32)
        return csr_array((ones, found.latents_e, starts), shape=(len(found.counts_c), self._d_sae))

    def nearest(self, latents_a: Tensor, n: int, at_least: int = 3) -> Nearest:
        r"""The latents that fire most on the same tokens, by the cosine :math:`n_{ij} / \sqrt{n_i n_j}`.

        `n_i` are the tokens on which latent i fires, `n_ij` those on which both do. Ties go to the lower latent. Beside
        two copies of the sample it takes 64 MiB, and the time grows with the entries times the active latents a token.

        Args:
            latents_a: Latents.
            n: Neighbours of each.
            at_least: Latents that fire on fewer tokens of the sample have no neighbours and are none: with one token
                each, any two that met are perfect neighbours.
        """
        tokens = self.tokens()
        fires_s = np.bincount(tokens.indices, minlength=self._d_sae)
        columns = tokens.tocsc()
        step = max(1, PAIR_CELLS // self._d_sae)
        found = [
            _nearest(tokens, columns, fires_s, rows.numpy(), n, at_least)
            for rows in torch.split(latents_a, step)
            if len(rows)
        ]
        keys_an = np.concatenate([np.empty((0, n), dtype=np.int64), *found])
        latents = np.where(keys_an == 0, -1, LAST_ID - (keys_an & LAST_ID))
        return Nearest(torch.from_numpy(latents), torch.from_numpy(values_of_bits(keys_an >> 32)))

    def state(self) -> dict[str, Tensor]:
        """The sample, filled up with 0 to the same shape whatever was seen, and its numbers of tokens and entries."""
        found = self._settle()
        return {
            "sizes": torch.tensor([len(found.counts_c), len(found.latents_e), self._stop]),
            "hashes": _filled_up(found.hashes_c, self._max_tokens),
            "counts": _filled_up(found.counts_c, self._max_tokens),
            "latents": _filled_up(found.latents_e, self._max_entries),
        }

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the state of a process that saw other images."""
        n_tokens, n_entries, stop = state["sizes"].tolist()
        self._stop = min(self._stop, stop)
        hashes, counts = (state[name].numpy()[:n_tokens] for name in ("hashes", "counts"))
        # What follows the other's first dropped token must go, even where there is room for it.
        self._parts.append(_Tokens(hashes, counts, state["latents"].numpy()[:n_entries]))
        everything = self._settle()
        kept = np.flatnonzero(everything.hashes_c < self._stop)
        self._parts = [everything.take(kept)]


def _filled_up(array: NDArray[np.integer[Any]], size: int) -> Tensor:
    filled = np.zeros(size, dtype=array.dtype)
    filled[: len(array)] = array
    return torch.from_numpy(filled)


def _nearest(
    tokens: csr_array,
    columns: csc_array,
    fires_s: NDArray[np.int64],
    rows_r: NDArray[np.int64],
    n: int,
    at_least: int,
) -> NDArray[np.int64]:
    """(r, n) keys of the neighbours of a block of latents: the cosine's bits, then the lower latent; 0 for none."""
    together_rs = (columns[:, rows_r].T.tocsr() @ tokens).toarray()
    enough_s = fires_s >= at_least
    norms_rs = np.sqrt(np.maximum(fires_s[rows_r, None] * fires_s, 1))
    cosines_rs = (together_rs / norms_rs).astype(np.float32)
    cosines_rs[~enough_s[rows_r]] = 0
    cosines_rs[:, ~enough_s] = 0
    cosines_rs[np.arange(len(rows_r)), rows_r] = 0
    keys_rs = (value_bits(cosines_rs) << 32) | (LAST_ID - np.arange(len(fires_s)))
    keys_rs = np.where(cosines_rs > 0, keys_rs, 0)
    best_rn = np.zeros((len(rows_r), n), dtype=np.int64)
    n_found = min(n, len(fires_s))
    best_rn[:, :n_found] = np.sort(np.partition(keys_rs, -n_found, axis=1)[:, -n_found:], axis=1)[:, ::-1]
    return best_rn
