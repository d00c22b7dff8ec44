"""What the page makes of its counts is what saev.probing.statistics makes of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open

from saev.probing.statistics.scores import Counts, average_precision, counts

pytestmark = pytest.mark.browser

SCORES = ("precision", "recall", "f1", "lift", "mcc")


def scored_by_hand(own: Counts) -> list[float]:
    return [float(lift(own) if name == "lift" else getattr(own, name)()) for name in SCORES]


def lift(own: Counts) -> float:
    """How much more often the label is there where it fires than everywhere; 0 where either is nowhere."""
    share = (own.tp + own.fn) / max(1, own.tp + own.fp + own.fn + own.tn)
    return float(own.precision()) / share if share > 0 else 0.0


def tables(n: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Values, labels, labels of what is silent, and a threshold: ties, empty ones, all with the label or none."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(n):
        sizes = rng.integers(0, [1, 5, 40, 3000][i % 4], 2, endpoint=True)
        values = rng.choice([0.25, 0.5, 2.0, 1e3], sizes[0]) if i % 3 else rng.exponential(size=sizes[0]) + 1e-3
        share = [0.0, 1.0, 0.02, 0.5, 0.9][i % 5]
        threshold = float(rng.choice([0.0, 0.5, *values[:1], 1e4]))
        found.append((values, rng.random(sizes[0]) < share, rng.random(sizes[1]) < share, threshold))
    return found


def test_the_page_scores_as_the_statistics_do(index: Path, open_page: Open) -> None:
    given = tables(120)
    found = open_page(index).evaluate(
        """(given) => {
          const [tables, names] = JSON.parse(given);
          return tables.map(([values, labels, silentWith, silentWithout, threshold]) => {
            const curve = new FireCurve(values, labels, silentWith, silentWithout);
            const at = curve.above(threshold);
            return [[at.tp, at.fp, at.fn, at.tn], names.map((name) => at[name]), curve.averagePrecision];
          });
        }""",
        json.dumps(  # one text: of a list, each number would be sent as an object of its own
            [
                [
                    (values.tolist(), labels.tolist(), int(silent.sum()), int((~silent).sum()), threshold)
                    for values, labels, silent, threshold in given
                ],
                SCORES,
            ]
        ),
    )
    for (values, labels, silent, threshold), (cells, scored, precision) in zip(given, found, strict=True):
        a, y = np.append(values, np.zeros(len(silent))), np.append(labels, silent)
        own = counts(a > threshold, y)
        assert cells == [own.tp, own.fp, own.fn, own.tn]
        assert scored == pytest.approx(scored_by_hand(own), rel=1e-12, abs=1e-15)
        expected = average_precision(a, y)  # nan of no label, which the browser says as nan, too
        assert precision == pytest.approx(expected, rel=1e-12, nan_ok=True)
