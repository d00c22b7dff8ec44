"""Planted truth through the whole of a test: what is there is confirmed, what is not is not."""

import numpy as np

from saev.probing.statistics.bootstrap import interval
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.permutation import permutation_test
from saev.probing.statistics.scores import Counts, auroc, mcc
from saev.probing.statistics.verdict import Evidence, Verdict, judge

N_TRIALS, N_EACH = 100, 50
SHIFT = 0.954  # Between two normal distributions of which one is the larger in 75 % of pairs.


def planted(rng: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a latent on 50 + 50 pictures, half of them 0, as a sparse one's are; and the labels."""
    y = np.repeat([True, False], N_EACH)
    return np.maximum(rng.normal(size=2 * N_EACH) + shift * (y - 0.5), 0), y


def best_threshold(a: np.ndarray, y: np.ndarray) -> float:
    return float(max(np.unique(a)[:-1], key=lambda threshold: mcc(a > threshold, y)))


def judged(rng: np.random.Generator, shift: float) -> Verdict:
    """The verdict on one half, at the threshold that the other half chose, beside random latents that fire as often."""
    threshold = best_threshold(*planted(rng, shift))
    a, y = planted(rng, shift)
    fires = a > threshold
    random_ones = [mcc(rng.permutation(fires), y) for _ in range(100)]
    found = interval(Counts.mcc, fires, y, 400, rng)
    return judge(
        Evidence(
            *found,
            p_corrected=permutation_test(fires, Exchange.of(y), 400, rng).p,
            n=len(y),
            matched_quantile=float(np.quantile(random_ones, 0.95)),
        )
    )


def test_eight_of_ten_latents_of_auroc_75_are_confirmed_with_50_and_50_pictures() -> None:
    rng = np.random.default_rng(0)
    a, y = planted(np.random.default_rng(1), SHIFT)
    assert abs(auroc(a, y) - 0.75) < 0.08
    verdicts = [judged(rng, SHIFT).verdict for _ in range(N_TRIALS)]
    assert verdicts.count("confirmed") >= 0.8 * N_TRIALS
    assert "rejected" not in verdicts


def test_at_most_one_in_twenty_latents_that_know_nothing_is_confirmed() -> None:
    rng = np.random.default_rng(2)
    verdicts = [judged(rng, 0).verdict for _ in range(N_TRIALS)]
    assert verdicts.count("confirmed") <= 0.05 * N_TRIALS
    assert verdicts.count("rejected") >= 0.4 * N_TRIALS  # MCC of .2 can be ruled out with a chance of about one half
