"""A random choice of tokens with their active latents, and which latents fire together there.

Tokens are chosen by a hash of the image's id, the position and a seed, see `saev.latents.survey.hashed_rows`.

Shape suffixes: s = d_sae, c = chosen tokens, a = some latents, n = neighbours, r = latents of a block.
"""

from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from saev.latents.sparse import SparseCodes
from saev.latents.survey.hashed_rows import NO_VALUES, HashedRows, Rows
from saev.latents.survey.kept_images import LAST_ID, value_bits, values_of_bits
from saev.metrics import Nearest
from saev.mixing import token_hashes

MAX_TOKENS: Final = 2**17
MAX_SAMPLE_ENTRIES: Final = 2**22
PAIR_CELLS: Final = 2**20  # Co-occurrences in memory at once.


@final
class TokenSample:
    """Tokens on which some latent fires, every such token as likely as another, and their latents.

    Memory: that of `HashedRows`.

    Args:
        max_entries: Active latents of all these tokens at most.
    """

    def __init__(
        self, d_sae: int, seed: int, max_tokens: int = MAX_TOKENS, max_entries: int = MAX_SAMPLE_ENTRIES
    ) -> None:
        self._d_sae = d_sae
        self._seed = seed
        self._rows = HashedRows(max_tokens, max_entries)

    def update(self, codes: SparseCodes, image_ids: NDArray[np.int64]) -> None:
        """Offer the tokens of images."""
        hashes = token_hashes(image_ids, codes.n_positions, self._seed).reshape(-1)
        self._rows.add(Rows(hashes, codes.counts_r, codes.latents_n, NO_VALUES), codes.counts_r > 0)

    @property
    def n_tokens(self) -> int:
        """Tokens in the sample."""
        return len(self._rows.settle().counts_c)

    def tokens(self) -> csr_array:
        """The chosen tokens (c, s): 1 where a latent fires."""
        found = self._rows.settle()
        starts = np.concatenate([[0], found.counts_c.cumsum()])
        ones = np.ones(len(found.latents_e), dtype=np.float32)
        return csr_array((ones, found.latents_e, starts), shape=(len(found.counts_c), self._d_sae))

    def nearest(self, latents_a: Tensor, n: int, at_least: int = 3) -> Nearest:
        r"""The latents that fire most on the same tokens, by the cosine :math:`n_{ij} / \sqrt{n_i n_j}`.

        `n_i` are the tokens on which latent i fires, `n_ij` those on which both do. Ties go to the lower latent. Beside
        two copies of the sample it takes 64 MiB, and the time grows with the entries times the active latents a token.

        Args:
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

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._rows.merge(other._rows)


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
