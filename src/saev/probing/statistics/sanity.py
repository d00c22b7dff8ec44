"""Whether a score notices labels that are wrong: the two sanity tests of arXiv 2506.05774 on one's own labels.

Shape suffix: i = pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from saev.errors import InputError
from saev.probing.statistics.arrays import Bools, Floats, as_floats, as_labels, same_length

ENOUGH: Final = 0.9
"""Share of the draws of wrong labels in which a score that passes falls."""


@dataclass(frozen=True)
class Sanity:
    """How a score answers to wrong labels.

    Args:
        score: With the labels as they are.
        missing: Mean where half of the positive labels are missing.
        extra: Mean where as many random pictures are labelled too.
        missing_falls: Share of draws in which it falls for missing labels.
        extra_falls: The same for extra ones.
    """

    score: float
    missing: float
    extra: float
    missing_falls: float
    extra_falls: float

    @property
    def passes(self) -> bool:
        """Whether the score falls both times, in at least 90 % of the draws of each."""
        return min(self.missing_falls, self.extra_falls) >= ENOUGH


def missing_labels(y_i: ArrayLike, rng: np.random.Generator) -> Bools:
    """Labels (i,) of which a random half of the positive ones is gone.

    Raises:
        InputError: If fewer than two are positive.

    >>> missing_labels([1, 1, 1, 1, 0], np.random.default_rng(0)).sum()
    np.int64(2)
    """
    y = as_labels(y_i)
    positive = np.flatnonzero(y)
    if len(positive) < 2:
        raise InputError(f"half of the positive labels cannot be left out: there are {len(positive)}")
    y[rng.choice(positive, len(positive) // 2, replace=False)] = False
    return y


def extra_labels(y_i: ArrayLike, rng: np.random.Generator) -> Bools:
    """Labels (i,) with as many random positive ones more; at most half of the others, so that some are left.

    Raises:
        InputError: If none is positive, or fewer than two are not.

    >>> extra_labels([1, 0, 0, 0, 0], np.random.default_rng(0)).sum()
    np.int64(2)
    """
    y = as_labels(y_i)
    others = np.flatnonzero(~y)
    n = min(int(y.sum()), len(others) // 2)
    if not n:
        raise InputError(f"labels cannot be added: {int(y.sum())} are positive and {len(others)} are not")
    y[rng.choice(others, n, replace=False)] = True
    return y


def sanity(
    score: Callable[[Floats, Bools], float], a_i: ArrayLike, y_i: ArrayLike, rng: np.random.Generator, n: int = 20
) -> Sanity:
    """Test a score on a latent's values and one's own labels: it must fall with missing and with extra labels.

    Args:
        score: Of values (or firing) and labels.
        a_i: (i,) what the score takes of the latent.
        y_i: (i,) labels, 0 or 1.
        n: Draws of wrong labels of each kind.

    Raises:
        InputError: If labels are too few to be wrong, or lengths differ.

    >>> from saev.probing.statistics.scores import mcc
    >>> y = np.arange(100) < 30
    >>> sanity(lambda a, y: mcc(a > 0, y), y.astype(float), y, np.random.default_rng(0)).passes
    True
    """
    a, y = as_floats(a_i), as_labels(y_i)
    same_length(y.size, values=a)
    true = score(a, y)
    missing = np.array([score(a, missing_labels(y, rng)) for _ in range(n)])
    extra = np.array([score(a, extra_labels(y, rng)) for _ in range(n)])
    return Sanity(
        true, float(missing.mean()), float(extra.mean()), float((missing < true).mean()), float((extra < true).mean())
    )
