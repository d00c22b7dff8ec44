r"""Whether latents go with labels more often than chance explains, of all latents and labels together.

The unit is the image. Of n images, K have the label, and M are those of a latent; under chance the number x that have
both is hypergeometric:

.. math:: P(X = x) = \binom K x \binom{n-K}{M-x} / \binom n M

Labels that nearly all images have somewhere, such as a background, cannot be judged like that. There chance may also be
that of a place in each image, which has the label with probability s: then x is binomial.

Shape suffixes: s = d_sae, l = labels, a = some latents, t = tests.
"""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP: Final = 0.02
"""Width of a bin of -ln p: q values are too large by at most so much of themselves."""
N_BINS: Final = 50_000  # Up to p = e^-1000; smaller values count as that.


@final
class Enrichment:
    """Tests of latents against labels, one-sided.

    Args:
        base_l: (l,) images with the label.
        n: Images with any label.
        share_l: (l,) the chance s of the labels for which x is binomial, nan for the others; by default of none.
    """

    def __init__(self, base_l: NDArray[np.int64], n: int, share_l: Floats | None = None) -> None:
        from scipy.special import gammaln  # here: it takes a while to import

        self._base_l, self._n = base_l, n
        self._share_l = np.full(len(base_l), np.nan) if share_l is None else share_l
        self._log_factorial: Floats = gammaln(np.arange(n + 1) + 1.0)

    def log_p(self, counts_al: NDArray[np.int64], fires_a: NDArray[np.int64]) -> Floats:
        """(a, l) upper bounds of ln p: the chance of at least so many images with the label.

        From the mode on, the ratio of one term of the distribution to the one before falls. So the tail is at most the
        first term over 1 - the first ratio, which is near the truth where p is small, and 1 up to the mode.

        Args:
            counts_al: Images of each latent that have the label.
            fires_a: Its images that have any label.
        """
        latents_t, labels_t = np.nonzero(counts_al)
        x, m, s = counts_al[latents_t, labels_t], fires_a[latents_t], self._share_l[labels_t]
        k = np.where(np.isnan(s), self._base_l[labels_t], x)
        log_term, ratio = self._hypergeometric(x, k, m)
        is_binomial = np.flatnonzero(~np.isnan(s))
        log_term[is_binomial], ratio[is_binomial] = self._binomial(x[is_binomial], m[is_binomial], s[is_binomial])
        tail = np.where(ratio < 1, log_term - np.log1p(-np.minimum(ratio, 1 - 1e-12)), 0.0)
        found = np.zeros(counts_al.shape)
        found[latents_t, labels_t] = np.minimum(tail, 0.0)
        return found

    def _hypergeometric(
        self, x: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Ln P(X = x), and the ratio of the next term to it."""
        n, ln = self._n, self._log_factorial
        neither = n - k - m + x
        log_term = ln[k] - ln[x] - ln[k - x] + ln[n - k] - ln[m - x] - ln[neither] - ln[n] + ln[m] + ln[n - m]
        return log_term, (k - x) * (m - x) / ((x + 1) * (neither + 1))

    def _binomial(self, x: NDArray[np.int64], m: NDArray[np.int64], s: Floats) -> tuple[Floats, Floats]:
        ln, odds = self._log_factorial, s / np.maximum(1 - s, 1e-300)
        log_term = ln[m] - ln[x] - ln[m - x] + x * np.log(s) + (m - x) * np.log1p(-np.minimum(s, 1 - 1e-16))
        return log_term, (m - x) * odds / (x + 1)


@final
class QValues:
    """Benjamini-Hochberg q values of more tests than are in memory at a time: p values are counted by their size.

    For independent or positively dependent tests, q <= .05 keeps the expected share of false ones among those that are
    shown at 5 % (Benjamini and Hochberg, 1995).

    >>> q = QValues()
    >>> q.add(np.log([0.01, 0.04, 0.03]), 3)
    >>> q.of(np.log([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.04, 0.04]
    """

    def __init__(self) -> None:
        self._n_tests = 0
        self._counts = np.zeros(N_BINS, dtype=np.int64)

    def add(self, log_p: Floats, n_tests: int) -> None:
        """Count tests.

        Args:
            log_p: ln p, of any shape.
            n_tests: How many tests these are; those of p = 1 may be left out of `log_p`, or come too often.
        """
        self._n_tests += n_tests
        self._counts += np.bincount(_bins(log_p[log_p < 0]), minlength=N_BINS)

    def of(self, log_p: Floats) -> Floats:
        """The q value of each."""
        n_below = self._counts[::-1].cumsum()[::-1]  # as small as the bin or smaller
        upper = np.exp(-STEP * np.arange(N_BINS))
        q = np.where(n_below > 0, self._n_tests * upper / np.maximum(n_below, 1), 1.0)
        return np.where(log_p < 0, np.minimum.accumulate(np.minimum(q, 1.0))[_bins(log_p)], 1.0)


def _bins(log_p: Floats) -> NDArray[np.int64]:
    """Bins of -ln p, rounded towards 0."""
    return np.minimum(-log_p / STEP, N_BINS - 1).astype(np.int64)
