"""Values by label, and precision against recall.

Shape suffixes: k = pictures that the effect is measured on, s = steps of a curve.
"""

import numpy as np

from saev.probing.report.drawing import Axis, line, number, rect, svg, value, words
from saev.probing.report.reported import Reported
from saev.probing.statistics.arrays import Floats
from saev.probing.statistics.scores import precision_recall

N_BINS = 24
_WIDTH, _ROW, _LEFT = 560, 96, 54


def distribution(one: Reported) -> str:
    """Two histograms above each other: values of pictures that have the attribute, and of those that have not."""
    used_k, threshold = one.values.used_k, one.result.threshold
    a_k, y_k, w_k = (array[used_k] for array in (one.values.a_k, one.values.y_k, one.values.weights_k))
    edges = bin_edges(float(a_k.max(initial=0)), threshold)
    axis = Axis(edges[0], edges[-1], _LEFT + 44, _WIDTH - 12)
    shares = [_shares(a_k[y_k == label], w_k[y_k == label], edges) for label in (1, 0)]
    top = max(0.01, *(share.max() for share in shares))
    parts = [
        part
        for row, (label, share) in enumerate(zip((1, 0), shares, strict=True))
        for part in _histogram(row, share, top, edges, axis, threshold, ("no", "yes")[label], int((y_k == label).sum()))
    ]
    x, bottom = axis.at(threshold), 2 * _ROW + 6
    parts += [line(x, 14, x, bottom, "threshold"), words(x, 10, f"threshold {value(threshold)}", _anchor(x))]
    parts += [words(_LEFT + 17, bottom + 16, "0"), words(_WIDTH - 12, bottom + 16, value(edges[-1]), "end")]
    said = f"Values of pictures with and without the attribute; the latent fires above {value(threshold)}"
    return svg(_WIDTH, bottom + 22, said, parts)


def bin_edges(top: float, threshold: float) -> Floats:
    """Edges of bins from 0 to the largest value, of which the threshold is one.

    >>> bin_edges(12.0, 3.0)[[0, 6, -1]].tolist()
    [0.0, 3.0, 12.0]
    """
    top = max(top, threshold * 1.25, 1e-9)
    n = min(max(round(N_BINS * threshold / top), 1), N_BINS - 1) if threshold > 0 else 0
    below = np.linspace(0, threshold, n + 1)
    return np.concatenate([below, np.linspace(threshold, top, N_BINS - n + 1)[1:]])


def _shares(a_k: Floats, w_k: Floats, edges: Floats) -> Floats:
    """The share (bins + 1,) of pictures that are silent, and in each bin; its upper edge is part of a bin."""
    place_k = np.searchsorted(edges, a_k, side="left").clip(0, len(edges) - 1)
    found: Floats = np.bincount(place_k, weights=w_k, minlength=len(edges)) / max(w_k.sum(), 1e-300)
    return found


def _histogram(
    row: int, share: Floats, top: float, edges: Floats, axis: Axis, threshold: float, label: str, n: int
) -> list[str]:
    base = 6 + _ROW * (row + 1)
    height = [float(one) / top * (_ROW - 26) for one in share]
    parts = [words(0, base - 26, label, "start"), words(0, base - 10, f"{n:,}", "start")]
    parts.append(rect(_LEFT, base - height[0], 34, height[0], "share silent"))
    for low, high, tall in zip(edges, edges[1:], height[1:], strict=False):
        kind = "share fires" if low >= threshold else "share silent"
        x = axis.at(low)
        parts.append(rect(x, base - tall, max(axis.at(high) - x - 1, 1), tall, kind))
    parts.append(words(_LEFT + 17, base - height[0] - 4, f"{100 * share[0]:.0f} %"))
    return [*parts, line(_LEFT, base, _WIDTH - 12, base, "axis")]


def curve(one: Reported) -> str:
    """Precision against recall as the threshold falls, with the point of the frozen threshold and the base rate."""
    used_k, scores = one.values.used_k, one.result.scores
    recall_s, precision_s = precision_recall(
        one.values.a_k[used_k], one.values.y_k[used_k] == 1, one.values.weights_k[used_k]
    )
    across, up = Axis(0, 1, 40, 256), Axis(0, 1, 226, 14)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = across.at(tick), up.at(tick)
        parts += [line(40, y, 256, y, "grid"), line(x, 14, x, 226, "grid")]
    for tick in (0, 0.5, 1):
        parts += [words(34, up.at(tick) + 4, f"{tick:g}", "end"), words(across.at(tick), 242, f"{tick:g}")]
    base = up.at(scores.prevalence)
    parts.append(line(40, base, 256, base, "base"))
    if recall_s.size:
        steps = [f"{across.at(r)} {up.at(p)}" for r, p in zip(recall_s.tolist(), precision_s.tolist(), strict=True)]
        parts.append(f'<path class="curve" d="M{"L".join(_thinned(steps))}"/>')
    x, y = across.at(scores.recall), up.at(scores.precision)
    parts.append(f'<path class="frozen" d="M{x} {y - 6.5} {x + 6.5} {y} {x} {y + 6.5} {x - 6.5} {y}Z"/>')
    parts.append(words(252, base + (-6 if base > 40 else 15), f"chance {number(scores.prevalence)}", "end"))
    upwards = '<text transform="translate(12 120) rotate(-90)" text-anchor="middle">precision</text>'
    parts += [words(148, 258, "recall"), upwards]
    said = (
        f"Precision against recall: at the frozen threshold precision {number(scores.precision)} and recall "
        f"{number(scores.recall)}; the base rate is {number(scores.prevalence)}"
    )
    return svg(268, 264, said, parts)


def _thinned(steps: list[str]) -> list[str]:
    """At most a few hundred of them, with both ends: more than a screen shows."""
    places = np.unique(np.linspace(0, len(steps) - 1, 400).round().astype(np.int64))
    return [steps[place] for place in places.tolist()]


def _anchor(x: float) -> str:
    return "end" if x > _WIDTH - 90 else "start" if x < 90 else "middle"
