"""What latents and controls reach where one may look, on pictures that did not choose them.

One half of the pictures both chooses and judges: each fold is judged by what the other folds chose.

Shape suffixes: i = pictures, s = columns of values, j = attributes, m = strengths of a probe, b = draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations, product
from typing import Any, Final, NamedTuple, final

import numpy as np

from saev.probing.controls.choosing import best_column
from saev.probing.controls.judging import LINEAR, MEANS
from saev.probing.controls.pooled_activations import dense
from saev.probing.controls.probes import N_FOLDS, mean_and_deviation
from saev.probing.statistics.arrays import Bools, Floats, Integers, equal_ones
from saev.probing.statistics.scores import Counts, average_precision, ratio

N_CLOSE: Final = 32
"""Columns whose thresholds are tried: those that correlate most with the attribute."""
LEAST: Final = 5
"""Units with an attribute, and without it, of which an MCC says anything."""
STRENGTHS: Final = (0.1, 1.0, 10.0)
"""Of ridge regression, in units of the mean eigenvalue of the pictures' products."""


N_DRAWS: Final = 200


class Crossed(NamedTuple):
    """What each kind reaches on pictures that did not choose it; NaN where too few units tell."""

    mcc: dict[str, Floats]  # MCC (j,) by kind.
    passed: dict[str, Floats]
    """By kind, the share (j,) of draws of units in which the first kind of values has the larger MCC."""


def crossed(
    values: Mapping[str, Any], probed: str | None, y_ij: Any, weights_ij: Floats, group_i: Integers, seed: int
) -> Crossed:
    """The best column of each kind of values, and probes, on pictures that did not choose it.

    Five folds that part no unit; by four the column is chosen, its threshold, and what probes weigh, and all decisions
    on the fifth ones together are compared with the attribute. NaN where fewer than `LEAST` units have the attribute,
    or lack it. Draws (bootstrap) are of these decisions: nothing is chosen again in them.

    Args:
        values: Of each kind, (i, s), dense or sparse.
        probed: The kind on whose columns the difference of class means and a linear probe are fitted; None for neither.
        y_ij: int8: 1 yes, 0 no, -1 unknown.
        weights_ij: For how many pictures each stands.
        group_i: The unit of each picture.
        seed: Of the folds and the draws.

    >>> y, x = np.array([[1], [0]] * 10, np.int8), np.array([[3.0, 1], [1, 1]] * 10)
    >>> crossed({"neuron": x}, "neuron", y, np.ones(y.shape), np.arange(20), 0).mcc["neuron"].tolist()
    [1.0]
    """
    names = [*values, *((MEANS, LINEAR) if probed else ())]
    found = Crossed(*({name: np.full(y_ij.shape[1], np.nan) for name in names} for _ in range(2)))
    for known_i, own in equal_ones((y_ij >= 0).T):
        y, group = y_ij[known_i][:, own] == 1, group_i[known_i]
        enough = [j for j in range(len(own)) if _n_least(y[:, j], group) >= LEAST]
        if not enough:
            continue
        own, y = own[enough], y[:, enough]
        rng = np.random.default_rng(seed)
        part = _Part(y, weights_ij[known_i][:, own], _folds(y, group, rng))
        fires = {name: part.best(x_is[known_i]) for name, x_is in values.items()}
        if probed:
            x_is = dense(values[probed][known_i])
            fires |= {MEANS: part.probed(_class_means, x_is), LINEAR: part.probed(_ridge, x_is)}
        draws_bi = _draws(group, rng)
        drawn = {name: part.mcc(one, draws_bi) for name, one in fires.items()}
        for name, mcc_bj in drawn.items():
            found.mcc[name][own] = mcc_bj[0]
            ahead_bj = drawn[names[0]][1:] - mcc_bj[1:]
            found.passed[name][own] = (ahead_bj > 0).mean(0) + 0.5 * (ahead_bj == 0).mean(0)
    return found


def _draws(group_i: Integers, rng: np.random.Generator) -> Floats:
    """How often each picture (b, i) is drawn with its unit: once, then by chance."""
    groups, number_i = np.unique(group_i, return_inverse=True)
    n_bg = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), N_DRAWS)
    return np.concatenate([np.ones((1, len(group_i))), n_bg[:, number_i]])


def _n_least(y_i: Bools, group_i: Integers) -> int:
    return min(len(np.unique(group_i[y_i])), len(np.unique(group_i[~y_i])))


def _folds(y_ij: Bools, group_i: Integers, rng: np.random.Generator) -> Integers:
    """Folds (i,) that part no group; groups are dealt out by the rarest attribute that they have."""
    groups, number_i = np.unique(group_i, return_inverse=True)
    rare_j = np.argsort(y_ij.sum(0), kind="stable")
    has_ij = np.column_stack([y_ij[:, rare_j], np.ones(len(y_ij), np.bool_)])
    kind_g = np.full(len(groups), len(rare_j))
    np.minimum.at(kind_g, number_i, has_ij.argmax(1))
    order = rng.permutation(len(groups))
    fold_g = np.empty(len(groups), np.int64)
    fold_g[order[np.argsort(kind_g[order], kind="stable")]] = np.arange(len(groups)) % N_FOLDS
    found: Integers = fold_g[number_i]
    return found


Scores = Callable[[Floats, Bools, Floats], Floats]
"""From standardised values and labels of some pictures to scores (m, i, j) of others, by each strength."""


@final
@dataclass(frozen=True)
class _Part:
    """Pictures of which the same attributes are known."""

    y_ij: Bools
    w_ij: Floats
    fold_i: Integers

    def mcc(self, fires_ij: Bools, draws_bi: Floats) -> Floats:
        """(b, j)."""
        y, w = self.y_ij, self.w_ij
        cells = [draws_bi @ (w * one) for one in (fires_ij & y, fires_ij & ~y, ~fires_ij & y, ~fires_ij & ~y)]
        found: Floats = Counts(*cells).mcc()
        return found

    def best(self, x_is: Any) -> Bools:
        """Decisions (i, j) by single columns."""
        fires_ij = np.zeros_like(self.y_ij)
        for fold in range(N_FOLDS):
            out_i = self.fold_i == fold
            x, y, others = x_is[~out_i], self.y_ij[~out_i], x_is[out_i]
            telling_sj = ratio(x.T @ (y - y.mean(0)), mean_and_deviation(x)[1][:, None])
            for j in range(y.shape[1]):
                close = np.sort(np.argsort(-telling_sj[:, j], kind="stable")[:N_CLOSE])
                best = best_column(dense(x[:, close]), y[:, j], self.w_ij[~out_i, j])
                fires_ij[out_i, j] = dense(others[:, [close[best.column]]])[:, 0] > best.threshold
        return fires_ij

    def probed(self, scores: Scores, x_is: Floats) -> Bools:
        """Decisions (i, j) by a probe; its threshold and strength come from folds within those that it is fitted on."""
        whole = [self._left_out(scores, x_is, (fold,)) for fold in range(N_FOLDS)]
        inner = np.zeros((N_FOLDS, len(whole[0]), *self.y_ij.shape))
        for pair in combinations(range(N_FOLDS), 2):
            found = self._left_out(scores, x_is, pair)
            for outer, other in permutations(pair):
                inner[outer][:, self.fold_i == other] = found[:, self.fold_i == other]
        fires_ij = np.zeros_like(self.y_ij)
        for fold, j in product(range(N_FOLDS), range(self.y_ij.shape[1])):
            in_i = self.fold_i != fold
            y_i, w_i, own_mi = self.y_ij[in_i, j], self.w_ij[in_i, j], inner[fold][:, in_i, j]
            best = int(np.argmax([average_precision(one_i, y_i, w_i) for one_i in own_mi]))
            threshold = best_column(own_mi[best][:, None], y_i, w_i).threshold
            fires_ij[~in_i, j] = whole[fold][best, ~in_i, j] > threshold
        return fires_ij

    def _left_out(self, scores: Scores, x_is: Floats, folds: tuple[int, ...]) -> Floats:
        """Scores (m, i, j) of the pictures of some folds, by the others; 0 elsewhere."""
        out_i = np.isin(self.fold_i, folds)
        mean_s, deviation_s = mean_and_deviation(x_is[~out_i])
        z_is = ratio(x_is - mean_s, deviation_s)
        some = scores(z_is[~out_i], self.y_ij[~out_i], z_is[out_i])
        found = np.zeros((len(some), *self.y_ij.shape))
        found[:, out_i] = some
        return found


def _class_means(x_is: Floats, y_ij: Bools, others_is: Floats) -> Floats:
    """By the difference of the means of pictures with and without the attribute."""
    difference_js = ratio(y_ij.T @ x_is, y_ij.sum(0)[:, None]) - ratio(~y_ij.T @ x_is, (~y_ij).sum(0)[:, None])
    found: Floats = (others_is @ difference_js.T)[None]
    return found


def _ridge(x_is: Floats, y_ij: Bools, others_is: Floats) -> Floats:
    """By ridge regression of the labels as 1 and 0: one decomposition serves all attributes and strengths."""
    value_i, vector_ii = np.linalg.eigh(x_is @ x_is.T)
    turned_ij, across = vector_ii.T @ (y_ij - y_ij.mean(0)), others_is @ x_is.T @ vector_ii
    strengths = [strength * max(value_i.mean(), np.finfo(np.float64).tiny) for strength in STRENGTHS]
    return np.stack([across @ (turned_ij / (np.maximum(value_i, 0) + one)[:, None]) for one in strengths])
