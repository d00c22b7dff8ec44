"""Which scores notice wrong labels (arXiv 2506.05774)."""

from collections.abc import Callable

import numpy as np
import pytest

from saev.errors import InputError
from saev.probing.statistics import scores
from saev.probing.statistics.sanity import extra_labels, missing_labels, sanity

RNG = np.random.default_rng(0)


def plausible(rng: np.random.Generator, prevalence: float, n: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Values of a sparse latent that fires on most pictures with the label, and on some without."""
    y = np.arange(n) < prevalence * n
    fires = rng.random(n) < np.where(y, rng.uniform(0.4, 0.95), rng.uniform(0.2, 1) * min(prevalence, 0.3))
    return fires * rng.gamma(2, 1, n) * np.where(y, 1.5, 1), y


def share_that_passes(score: Callable[..., float], prevalence: float) -> float:
    rng = np.random.default_rng(round(1000 * prevalence))
    return float(np.mean([sanity(score, *plausible(rng, prevalence), rng, n=10).passes for _ in range(40)]))


@pytest.mark.parametrize("prevalence", [0.5, 0.1, 0.01])
def test_the_score_of_the_verdict_passes_at_any_prevalence(prevalence: float) -> None:
    assert share_that_passes(lambda a, y: scores.mcc(a > 0, y), prevalence) >= 0.95
    assert share_that_passes(scores.correlation, prevalence) >= 0.95


def test_auroc_does_not_see_that_labels_of_rare_concepts_are_missing() -> None:
    assert share_that_passes(scores.auroc, 0.01) < 0.2
    assert sanity(scores.auroc, *plausible(RNG, 0.01), RNG).extra_falls == 1


def test_recall_and_precision_each_miss_one() -> None:
    a, y = plausible(RNG, 0.1)
    recall = sanity(lambda a, y: scores.counts(a > 0, y).recall(), a, y, RNG)
    precision = sanity(lambda a, y: scores.counts(a > 0, y).precision(), a, y, RNG)
    assert recall.missing_falls < 0.9 and recall.extra_falls == 1 and not recall.passes
    assert precision.missing_falls == 1 and precision.extra_falls < 0.9 and not precision.passes


def test_labels_are_dropped_and_added_as_often_as_said() -> None:
    y = np.arange(20) < 6
    fewer, more = missing_labels(y, RNG), extra_labels(y, RNG)
    assert fewer.sum() == 3 and not fewer[~y].any()
    assert more.sum() == 12 and more[y].all()
    assert extra_labels(np.arange(20) < 15, RNG).sum() == 17  # some are left without
    assert y.sum() == 6


def test_labels_that_are_too_few() -> None:
    with pytest.raises(InputError, match="there are 1"):
        missing_labels([1, 0, 0], RNG)
    with pytest.raises(InputError, match="3 are positive and 1 are not"):
        extra_labels([1, 1, 1, 0], RNG)
