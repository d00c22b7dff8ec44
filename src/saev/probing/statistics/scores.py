"""How well a latent agrees with a label: scores of one latent and one attribute.

Shape suffixes: i = pictures, s = steps, the distinct values from the largest to the smallest.

The verdict rests on the Matthews correlation coefficient (MCC); the others are shown beside it. All take weights of
pictures, for samples that were drawn with unequal chances (Horvitz and Thompson, 1952).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from saev.artifacts.typed_json import OrNan
from saev.probing.statistics.arrays import Bools, Floats, as_floats, as_labels, as_strata, as_weights, same_length


@dataclass(frozen=True)
class Counts:
    """The four counts of firing against a label, or arrays of them; sums of weights where there are weights.

    Args:
        tp: Fires, and the label is there (hits).
        fp: Fires without it (false alarms).
        fn: Silent with it (misses).
        tn: Silent without it.

    >>> Counts(tp=30, fp=10, fn=20, tn=40).mcc()
    array(0.40824829)
    """

    tp: Any
    fp: Any
    fn: Any
    tn: Any

    def mcc(self) -> Any:
        """(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)) (Matthews, 1975); 0 where a factor is 0."""
        margins = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        found = ratio(self.tp * self.tn - self.fp * self.fn, np.sqrt(margins))
        return np.clip(found, -1, 1, out=found)  # the root of weights rounds

    def mcc_within(self) -> Any:
        """MCC of firing and label around their means in each stratum, of arrays whose last axis is strata.

        The sum over strata of the covariances, over the root of the product of the sums of the variances: the partial
        correlation, given the stratum. MCC where there is one stratum; 0 where none holds both kinds of both.

        >>> tp, fp, fn, tn = np.array([[16, 1], [4, 4], [4, 4], [1, 16]])  # two classes, within which nothing agrees
        >>> Counts(tp, fp, fn, tn).mcc_within(), Counts(tp.sum(), fp.sum(), fn.sum(), tn.sum()).mcc()
        (array(0.), array(0.36))
        """
        fires, labelled = self.tp + self.fp, self.tp + self.fn
        total = fires + self.fn + self.tn
        together = (self.tp - ratio(fires * labelled, total)).sum(-1)
        of_fires, of_labels = (ratio(one * (total - one), total).sum(-1) for one in (fires, labelled))
        found = ratio(together, np.sqrt(of_fires * of_labels))
        return np.clip(found, -1, 1, out=found)

    def f1(self) -> Any:
        """2 TP / (2 TP + FP + FN); 0 where that is empty."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def iou(self) -> Any:
        """TP / (TP + FP + FN), the intersection over the union; 0 where that is empty."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    def precision(self) -> Any:
        """TP / (TP + FP); 0 where nothing fires."""
        return ratio(self.tp, self.tp + self.fp)

    def recall(self) -> Any:
        """TP / (TP + FN); 0 where no label is there."""
        return ratio(self.tp, self.tp + self.fn)


def ratio(above: Any, below: Any) -> Any:
    """Quotients, 0 where the divisor is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, 0. ])
    """
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.zeros(above.shape), where=below != 0)


def counts(
    fires_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None, confounder_i: ArrayLike | None = None
) -> Counts:
    """Count hits, false alarms, misses and what is rightly silent, in pictures or weights.

    Args:
        fires_i: (i,) whether the latent fires.
        y_i: (i,) labels, 0 or 1.
        weights_i: (i,) weights, 1 without them.
        confounder_i: (i,) what to count apart by: arrays, as `Counts.mcc_within` takes them.

    Raises:
        InputError: If values are other than 0 and 1, a weight is negative, or lengths differ.

    >>> counts([1, 1, 0, 0], [1, 0, 1, 0], [2, 1, 1, 1])
    Counts(tp=2.0, fp=1.0, fn=1.0, tn=1.0)
    """
    fires, y = as_labels(fires_i, "values of firing"), as_labels(y_i)
    same_length(y.size, firing=fires, labels=y)
    own = as_strata(confounder_i, y.size, "confounders")
    n = own.max(initial=0) + 1
    cells = np.bincount(4 * own + 2 * fires + y, weights=as_weights(weights_i, y.size), minlength=4 * n).reshape(n, 4)
    tn, fn, fp, tp = map(float, cells[0]) if confounder_i is None else cells.T
    return Counts(tp, fp, fn, tn)


def mcc(fires_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None) -> float:
    """`Counts.mcc` of firing against a label: the correlation of two yes-or-no values, from -1 to 1.

    0 is chance, 1 is agreement on each picture; 0 where everything or nothing fires, or has the label. Arguments and
    errors are those of `counts`.

    >>> mcc([1, 1, 0, 0], [1, 1, 1, 0])
    0.5773502691896258
    """
    return float(counts(fires_i, y_i, weights_i).mcc())


def auroc(a_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None) -> float:
    """P(a+ > a-) + P(a+ = a-) / 2: how often a picture with the label has the larger value; ties count half.

    The area under the receiver operating characteristic (Hanley and McNeil, 1982); nan where all labels are equal.

    Args:
        a_i: (i,) values of the latent, of any sign.
        y_i: (i,) labels, 0 or 1.
        weights_i: (i,) weights, 1 without them.

    Raises:
        InputError: If a value is not finite, a label other than 0 and 1, a weight negative, or lengths differ.

    >>> auroc([0, 0, 2, 3], [0, 1, 0, 1])
    0.625
    """
    tp_s, fp_s = _steps(a_i, y_i, weights_i)
    if not (tp_s[-1:] > 0).all() or not (fp_s[-1:] > 0).all() or not tp_s.size:
        return float("nan")
    below_s = fp_s[-1] - (fp_s + np.append(0, fp_s[:-1])) / 2
    return float(np.diff(tp_s, prepend=0) @ below_s / (tp_s[-1] * fp_s[-1]))


def average_precision(a_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None) -> float:
    """The sum over distinct values, from the largest, of (recall - recall before) times precision.

    Chance is the prevalence: say it beside. nan where no label is there. Arguments and errors are those of `auroc`.

    >>> average_precision([3, 2, 1, 0], [1, 0, 1, 0])
    0.8333333333333333
    """
    recall_s, precision_s = precision_recall(a_i, y_i, weights_i)
    return float(np.diff(recall_s, prepend=0) @ precision_s) if recall_s.size else float("nan")


def precision_recall(a_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Recall (s,) and precision (s,) where all values down to each distinct one fire, from the largest.

    Empty where no label is there. Arguments and errors are those of `auroc`.

    >>> precision_recall([3, 2, 1, 0], [1, 0, 1, 0])
    (array([0.5, 0.5, 1. , 1. ]), array([1.        , 0.5       , 0.66666667, 0.5       ]))
    """
    tp_s, fp_s = _steps(a_i, y_i, weights_i)
    if not tp_s.size or tp_s[-1] == 0:
        return np.empty(0), np.empty(0)
    return tp_s / tp_s[-1], ratio(tp_s, tp_s + fp_s)


def correlation(a_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None = None) -> float:
    """cov(a, y) / (sd(a) sd(y)) (Pearson); 0 where one of them is constant, as MCC.

    Arguments and errors are those of `auroc`; y may also be numbers.

    >>> correlation([1, 2, 3, 4], [0, 0, 1, 1])
    0.8944271909999159
    """
    a, y = as_floats(a_i), as_floats(y_i, "labels")
    same_length(y.size, values=a, labels=y)
    w = as_weights(weights_i, y.size)
    if not y.size or np.ptp(a[w > 0]) == 0 or np.ptp(y[w > 0]) == 0:
        return 0.0
    a, y = a - np.average(a, weights=w), y - np.average(y, weights=w)
    return float(np.clip((w * a) @ y / np.sqrt(((w * a) @ a) * ((w * y) @ y)), -1, 1))


def _steps(a_i: ArrayLike, y_i: ArrayLike, weights_i: ArrayLike | None) -> tuple[Floats, Floats]:
    """Hits and false alarms (s,) where all values down to each distinct one fire."""
    a, y = as_floats(a_i), as_labels(y_i)
    same_length(y.size, values=a, labels=y)
    w = as_weights(weights_i, y.size)
    order = np.argsort(-a, kind="stable")
    is_last: Bools = np.append(np.diff(a[order]) != 0, True)[: y.size]
    w, y = w[order], y[order]
    return np.cumsum(w * y)[is_last], np.cumsum(w * ~y)[is_last]


@dataclass(frozen=True)
class Scores:
    """All scores of a latent for an attribute.

    Args:
        n: Pictures.
        n_positive: Those with the label.
        prevalence: Their share, weighted where there are weights: the base rate of average precision and precision.
        mcc, f1, iou, precision, recall: At the threshold.
        correlation, average_precision, auroc: Of the values.
    """

    n: int
    n_positive: int
    prevalence: float
    mcc: float
    f1: float
    iou: float
    precision: float
    recall: float
    correlation: float
    average_precision: OrNan
    auroc: OrNan


def scores(a_i: ArrayLike, y_i: ArrayLike, threshold: float, weights_i: ArrayLike | None = None) -> Scores:
    """Score a latent that fires where its value is above the threshold.

    Args:
        a_i: (i,) values of the latent.
        y_i: (i,) labels, 0 or 1.
        threshold: It fires above it, not at it.
        weights_i: (i,) weights, 1 without them.

    Raises:
        InputError: If there is no picture, and as `auroc`.

    >>> found = scores([0, 0, 2, 3], [0, 0, 1, 1], threshold=0)
    >>> found.mcc, found.auroc, found.prevalence
    (1.0, 1.0, 0.5)
    """
    a, y = as_floats(a_i), as_labels(y_i)
    same_length(y.size, values=a, labels=y)
    w = as_weights(weights_i, y.size)
    cells = counts(a > threshold, y, w)
    return Scores(
        n=y.size,
        n_positive=int(y.sum()),
        prevalence=float(ratio(w @ y, w.sum())),
        mcc=float(cells.mcc()),
        f1=float(cells.f1()),
        iou=float(cells.iou()),
        precision=float(cells.precision()),
        recall=float(cells.recall()),
        correlation=correlation(a, y, w),
        average_precision=average_precision(a, y, w),
        auroc=auroc(a, y, w),
    )
