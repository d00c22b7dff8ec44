"""Tokens that are sparse sums of known directions.

Shape suffixes: n = tokens, t = true directions, d = width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
PART = 8192  # Tokens drawn at once.


@dataclass(frozen=True)
class SparseDictionary:
    """Unit directions; each takes part in a token on its own, direction i with a probability
    proportional to i^-exponent.

    The probabilities are capped at 1 and scaled so that `n_active` directions are expected in a token. Coefficients
    are uniform between .5 and 1.5, and isotropic noise is added, in each dimension of the stated standard deviation.
    """

    n_directions: int
    width: int
    n_active: float
    noise: float
    exponent: float
    seed: int

    def directions(self) -> Floats:
        """(t, d)."""
        w_td = np.random.default_rng(self.seed).standard_normal((self.n_directions, self.width))
        unit_td: Floats = (w_td / np.linalg.norm(w_td, axis=1, keepdims=True)).astype(np.float32)
        return unit_td

    def frequencies(self) -> NDArray[np.float64]:
        """(t,) probabilities; bisection finds their scale."""
        rank_t = np.arange(1, self.n_directions + 1) ** -self.exponent
        low, high = 0.0, float(self.n_directions)
        for _ in range(60):
            middle = (low + high) / 2
            too_few = np.minimum(middle * rank_t, 1).sum() < self.n_active
            low, high = (middle, high) if too_few else (low, middle)
        found_t: NDArray[np.float64] = np.minimum(low * rank_t, 1)
        return found_t

    def draw(self, n_tokens: int, stream: int) -> tuple[Floats, Floats]:
        """Tokens (n, d) and their coefficients (n, t); each stream is another independent draw."""
        rng = np.random.default_rng([self.seed, stream])
        present_nt = rng.random((n_tokens, self.n_directions), dtype=np.float32) < self.frequencies()
        code_nt = (present_nt * rng.uniform(0.5, 1.5, present_nt.shape)).astype(np.float32)
        noise_nd = self.noise * rng.standard_normal((n_tokens, self.width), dtype=np.float32)
        return code_nt @ self.directions() + noise_nd, code_nt

    def tokens(self, n_tokens: int, stream: int) -> Floats:
        """Tokens (n, d), drawn in parts."""
        x_nd = np.empty((n_tokens, self.width), dtype=np.float32)
        for part, start in enumerate(range(0, n_tokens, PART)):
            stop = min(start + PART, n_tokens)
            x_nd[start:stop] = self.draw(stop - start, stream * 2**20 + part)[0]
        return x_nd

    def best_fvu(self, k: int) -> float:
        """FVU of the true directions with the k largest true coefficients of each token."""
        x_nd, code_nt = self.draw(PART, 2**30)
        least_n1 = np.sort(code_nt, axis=1)[:, -k, None]
        error = ((x_nd - np.where(code_nt >= least_n1, code_nt, 0) @ self.directions()) ** 2).sum()
        return float(error / ((x_nd - x_nd.mean(0)) ** 2).sum())
