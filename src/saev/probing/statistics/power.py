"""How many pictures a test needs."""

from math import atanh, ceil
from typing import Final

from scipy.stats import norm

from saev.errors import InputError

FEWEST: Final = 4
"""Fisher's z has a standard error from four pictures on."""


def n_needed(correlation: float, power: float = 0.8, alpha: float = 0.05, against: float = 0.0) -> int:
    """Pictures that tell a correlation (MCC is one) from another with the stated power, two-sided.

    By Fisher's z (1921), whose standard error is 1 / sqrt(n - 3): n = 3 + ((z_{1 - alpha / 2} + z_power) /
    (atanh r - atanh r0))^2. For small correlations against 0 that is about (2.8 / r)^2.

    Args:
        correlation: The true one, between -1 and 1.
        power: The chance to find it.
        alpha: The chance to find one that is not there.
        against: What it is told from.

    Raises:
        InputError: If the correlations are equal or not between -1 and 1, or power or alpha is not between 0 and 1.

    >>> n_needed(0.28), n_needed(0.14)
    (98, 399)
    """
    if not (-1 < correlation < 1 and -1 < against < 1 and 0 < power < 1 and 0 < alpha < 1):
        raise InputError(
            f"correlations are between -1 and 1, power and alpha between 0 and 1: "
            f"got {correlation}, {against}, {power} and {alpha}"
        )
    distance = abs(atanh(correlation) - atanh(against))
    if distance == 0:
        raise InputError(f"no number of pictures tells a correlation of {correlation} from itself")
    spread = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    # A difference near the smallest double would overflow.
    n = 3 + min((spread / distance), 1e100) ** 2
    return max(FEWEST, ceil(n))
