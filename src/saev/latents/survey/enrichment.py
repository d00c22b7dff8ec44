r"""Whether latents fire in more images with a label than chance explains, of all latents and labels together.

The unit is the image. Of n images, K have the label and a latent fires in M; under chance the number x that have both
is hypergeometric:

.. math:: P(X = x) = \binom K x \binom{n-K}{M-x} / \binom n M

Shape suffixes: s = d_sae, l = labels, a = some latents, t = tests.
"""

from typing import Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP: Final = 0.02
"""Width of a bin of -ln p: q values are too large by at most so much of themselves."""
N_BINS: Final = 50_000  # Up to p = e^-1000; smaller values count as that.


class Overlaps(NamedTuple):
    """In how many images each latent fires, and how many of these have each label.

    Args:
        counts_sl: (s, l) images with the label in which the latent fires.
        fires_s: (s,) images with any label in which it fires.
        base_l: (l,) images with the label.
        n: Images with any label.
    """

    counts_sl: NDArray[np.int32]
    fires_s: NDArray[np.integer]
    base_l: NDArray[np.int64]
    n: int


@final
class Enrichment:
    """Tests of the latents against the labels of a table, one-sided.

    Args:
        overlaps: The counts.
    """

    def __init__(self, overlaps: Overlaps) -> None:
        from scipy.special import gammaln  # here: it takes a while to import

        self._overlaps = overlaps
        self._log_factorial: Floats = gammaln(np.arange(overlaps.n + 1) + 1.0)

    @property
    def n_tests(self) -> int:
        """Latents that fire in some image, times labels that some image has."""
        return int(np.count_nonzero(self._overlaps.fires_s)) * int(np.count_nonzero(self._overlaps.base_l))

    def log_p(self, latents_a: NDArray[np.int64]) -> Floats:
        """(a, l) upper bounds of ln p: the chance of at least so many images with the label.

        From the mode on, the ratio of one term of the distribution to the one before falls. So the tail is at most the
        first term over 1 - the first ratio, which is near the truth where p is small, and 1 up to the mode.
        """
        counts_sl, fires_s, base_l, n = self._overlaps
        latents_t, labels_t = np.nonzero(counts_sl[latents_a])
        x, k = counts_sl[latents_a[latents_t], labels_t].astype(np.int64), base_l[labels_t]
        m = fires_s[latents_a[latents_t]].astype(np.int64)
        ln = self._log_factorial
        neither = n - k - m + x
        log_term = ln[k] - ln[x] - ln[k - x] + ln[n - k] - ln[m - x] - ln[neither] - ln[n] + ln[m] + ln[n - m]
        ratio = (k - x) * (m - x) / ((x + 1) * (neither + 1))
        tail = np.where(ratio < 1, log_term - np.log1p(-np.minimum(ratio, 1 - 1e-12)), 0.0)
        found = np.zeros((len(latents_a), len(base_l)))
        found[latents_t, labels_t] = np.minimum(tail, 0.0)
        return found


@final
class QValues:
    """Benjamini-Hochberg q values of more tests than are in memory at a time: p values are counted by their size.

    For independent or positively dependent tests, q <= .05 keeps the expected share of false ones among those that are
    shown at 5 % (Benjamini and Hochberg, 1995). Those that `add` did not get have p = 1.

    Args:
        n_tests: All tests.

    >>> q = QValues(3)
    >>> q.add(np.log([0.01, 0.04, 0.03]))
    >>> q.of(np.log([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.04, 0.04]
    """

    def __init__(self, n_tests: int) -> None:
        self._n_tests = n_tests
        self._counts = np.zeros(N_BINS, dtype=np.int64)

    def add(self, log_p: Floats) -> None:
        """Count tests by ln p, of any shape; those of 0 may be left out."""
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
