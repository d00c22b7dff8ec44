"""Two-sided p values of statistics whose first moments under the null hypothesis are known exactly."""

import numpy as np
from scipy import special

from saev.probing.statistics.arrays import Bools, Floats
from saev.probing.statistics.scores import ratio

FLAT = 1e-5  # Skewness under which the normal distribution is used.


def of_correlation(r: Floats, n: Floats) -> Floats:
    """P(|R| >= |r|) of Pearson's correlation of n pairs, by Student's t of n - 2 degrees of freedom.

    r and n broadcast; nan under three pairs.

    >>> of_correlation(np.array([0.5]), np.array([20.0])).round(6)
    array([0.02477])
    """
    r, n = np.broadcast_arrays(r, n)
    enough = n > 2
    degrees = np.where(enough, n - 2, 1)
    return np.where(enough, special.betainc(degrees / 2, 0.5, np.clip(1 - r * r, 0, 1)), np.nan)


def of_rank_sum(s: Floats, n_positive: Floats, n: float, square: Floats, cube: Floats) -> Floats:
    """Two-sided p of a rank sum, by the Pearson type III distribution with its exact variance and skewness.

    Under the null hypothesis the n1 positives are drawn from n pictures without replacement, so that of their sum of
    centred mid-ranks d the variance is n1 n0 / (n (n - 1)) sum d^2, with ties or without, and the third moment
    n1 n0 (n0 - n1) / (n (n - 1)(n - 2)) sum d^3. Without skewness this is the usual tie-corrected normal approximation
    of the Wilcoxon-Mann-Whitney test, with its continuity correction of 1/2. Most values of a sparse latent tie at 0
    and rare attributes have few positives: there the normal tail is far too thin, and the skewed one is not (Mielke
    and Berry, Permutation Methods, 2007). The smaller tail is doubled.

    All arguments broadcast. nan where all labels are equal, 1 where all values are.

    Args:
        s: Sum of the centred mid-ranks of the positives.
        n_positive: n1.
        n: All.
        square: sum d^2 over all pictures.
        cube: sum d^3.

    >>> of_rank_sum(np.array([6.0]), np.array([4.0]), 8, np.array([42.0]), np.array([0.0])).round(4)  # ranks 1 to 8
    array([0.1124])
    """
    n_negative = n - n_positive
    pairs = n_positive * n_negative
    variance = ratio(pairs * square, n * (n - 1))
    deviation = np.sqrt(variance)
    third = ratio(pairs * (n_negative - n_positive) * cube, n * (n - 1) * (n - 2))
    skew = ratio(third, variance * deviation) * np.where(s < 0, -1, 1)
    z = ratio(np.maximum(np.abs(s) - 0.5, 0), deviation)
    p = np.minimum(2 * _upper(z, skew), 1)
    return np.where(pairs == 0, np.nan, p)


def _upper(z: Floats, skew: Floats) -> Floats:
    """P(Z >= z) of a standardised gamma variable, mirrored where the skewness is negative."""
    flat: Bools = np.abs(skew) < FLAT
    shape = 4 / np.where(flat, 1, skew) ** 2
    root = np.sqrt(shape)
    heavy = special.gammaincc(shape, np.maximum(shape + z * root, 0))
    light = special.gammainc(shape, np.maximum(shape - z * root, 0))
    found: Floats = np.where(flat, special.ndtr(-z), np.where(skew > 0, heavy, light))
    return found
