"""Which labels the strongest tenth of what latents fire on has, and which of these are no chance.

Shape suffixes: s = d_sae, a = some latents, l = labels, n = labels given of each, i = images whose values are kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.gallery.label_counts import IMAGES, PATCHES, BestLabels, LabelCount, kind_of_column
from saev.latents.heatmaps import Levels
from saev.latents.labels import Labels
from saev.latents.survey import (
    LEAST_IMAGES,
    Enrichment,
    LabelCounts,
    LatentSurvey,
    QValues,
    Ranking,
    Strongest,
    strongest_images,
)  # fmt: skip
from saev.latents.survey.image_values import Has
from saev.latents.survey.strongest import MAX_PATCHES
from saev.vit.images.base import NO_LABEL

N_LABELS: Final = 6
MIN_PURITY: Final = 0.25
"""A label of less of the strongest tenth says less about a latent than the other labels do."""
MAX_Q: Final = 0.05
"""Of the labels that stand beside latents, an expected share of at most this is chance."""
COMMON: Final = 0.5
"""Labels that more of the images have somewhere are judged by where in them a latent is strongest."""
CELLS_AT_ONCE: Final = 2**20
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Kind:
    """Labels of one kind."""

    name: str  # Of the kind, or of the column.
    names: Sequence[str]
    counts: LabelCounts  # All that latents fire on.
    strongest: Callable[[Ints], Strongest]  # Their strongest tenth, of some latents.
    test: Enrichment  # Whether that is more than chance.
    has: Has  # Whether images whose values are kept have labels, for average precision.
    known_i: NDArray[np.bool_]  # Of which of these images it is known.
    positive_l: Ints  # Of these, those with each label.

    def log_p(self, strongest: Strongest) -> NDArray[np.float64]:
        """(a, l) of the tests; 0 for latents of too few images."""
        enough_a = strongest.n_images_a >= LEAST_IMAGES
        return self.test.log_p(strongest.images_al * enough_a[:, None], strongest.n_images_a)

    def parts(self) -> Iterator[Ints]:
        """All latents, so many at a time as memory is meant for."""
        n_latents, n_labels = self.counts.counts.shape
        at_once = max(1, CELLS_AT_ONCE // max(n_labels, 2 * MAX_PATCHES))
        for start in range(0, n_latents, at_once):
            yield np.arange(start, min(start + at_once, n_latents))


@dataclass(frozen=True)
class _First:
    """The labels (s, n) that most of the strongest tenth has, -1 where there are fewer, with their figures."""

    labels: Ints
    counts: Ints
    purity: NDArray[np.float32]
    lift: NDArray[np.float32]
    q: NDArray[np.float64]
    overall: NDArray[np.float32]
    precision: NDArray[np.float32]
    prevalence: NDArray[np.float64]

    def of(self, latent: int, place: int, names: Sequence[str]) -> LabelCount:
        """One of them."""
        at = latent, place
        return LabelCount(
            label=names[int(self.labels[at])],
            count=int(self.counts[at]),
            purity=float(self.purity[at]),
            lift=float(self.lift[at]),
            q=float(self.q[at]),
            precision=None if np.isnan(self.precision[at]) else float(self.precision[at]),
            overall=float(self.overall[at]),
            prevalence=float(self.prevalence[at]),
        )


@final
class LatentLabels:
    """The labels of the latents of an SAE."""

    def __init__(self, survey: LatentSurvey, labels: Labels) -> None:
        ids_i, values = survey.image_values.table()
        patches, images = _of_patches(survey, labels, ids_i), _of_images(survey, labels, ids_i)
        self._n_patches, self._n_images = len(patches), len(images)
        columns = _of_columns(survey, labels, ids_i)
        self._kinds = [*patches, *images, *columns]
        q, ranking = _q_values(self._kinds), Ranking(values)
        self._first = [_first(kind, q, ranking) for kind in self._kinds]
        self._patch_names, self._numbers_ic = labels.patch_names, labels.patch_numbers

    def best(self) -> list[BestLabels]:
        """By kind of labels, that of patches first: for each latent the label that describes it best.

        That is the one which contributes most to the divergence from the base rates, purity x log(lift), among those
        that are no chance and that at least `MIN_PURITY` of the strongest tenth has.
        """
        n_own = self._n_patches + self._n_images
        return [
            BestLabels(kind.name if number < n_own else kind_of_column(kind.name), _best(first, kind.names))
            for number, (kind, first) in enumerate(zip(self._kinds, self._first, strict=True))
        ]

    def of_patches(self, latent: int) -> list[LabelCount]:
        """Labels of the strongest patches on which it fires, the most frequent first."""
        return [one for number in range(self._n_patches) for one in self._of(number, latent)]

    def of_images(self, latent: int) -> list[LabelCount]:
        """Labels of the strongest images on which it fires."""
        numbers = range(self._n_patches, self._n_patches + self._n_images)
        return [one for number in numbers for one in self._of(number, latent)]

    def of_columns(self, latent: int) -> dict[str, list[LabelCount]]:
        """Values of these images, by column."""
        numbers = range(self._n_patches + self._n_images, len(self._kinds))
        return {self._kinds[number].name: self._of(number, latent) for number in numbers}

    def at_peaks(self, heatmaps: Mapping[int, Levels]) -> dict[int, str]:
        """By picture the label of the strongest patch, the first of equal ones, where it has one."""
        found: dict[int, str] = {}
        if self._numbers_ic is None:
            return found
        for image, levels in heatmaps.items():
            number = int(self._numbers_ic[image, int(levels.argmax())])
            if number != NO_LABEL and levels.any():
                found[image] = self._patch_names[number]
        return found

    def _of(self, number: int, latent: int) -> list[LabelCount]:
        first, names = self._first[number], self._kinds[number].names
        return [first.of(latent, int(place), names) for place in np.flatnonzero(first.labels[latent] >= 0)]


def _of_patches(survey: LatentSurvey, labels: Labels, ids_i: Ints) -> list[_Kind]:
    counts, strong, numbers_ic = survey.patch_labels, survey.strong_patches, labels.patch_numbers
    if counts is None or strong is None or numbers_ic is None:
        return []
    fires_s, base_l = counts.counts.sum(1).numpy(), counts.base_counts.numpy()
    images_l, n_images = strong.label_images
    share_l = np.where(images_l > COMMON * n_images, base_l / max(1, base_l.sum()), np.nan)
    has_il = np.zeros((len(ids_i), len(base_l)), dtype=np.bool_)
    for place, own_c in enumerate(numbers_ic[ids_i]):
        has_il[place, own_c[own_c < len(base_l)]] = True
    return [
        _Kind(
            PATCHES,
            labels.patch_names,
            counts,
            lambda latents_a: strong.strongest(latents_a, fires_s[latents_a], numbers_ic),
            Enrichment(images_l, n_images, share_l),
            lambda images, given: has_il[images, given],
            has_il.max(axis=1),
            has_il.sum(0),
        )
    ]


def _of_images(survey: LatentSurvey, labels: Labels, ids_i: Ints) -> list[_Kind]:
    if survey.image_labels is None:
        return []
    return [_by_image(IMAGES, labels.names, labels.numbers, survey.image_labels, survey, ids_i)]


def _of_columns(survey: LatentSurvey, labels: Labels, ids_i: Ints) -> list[_Kind]:
    return [
        _by_image(column.name, column.values, column.numbers_i, counts, survey, ids_i)
        for column, counts in zip(labels.counted, survey.columns, strict=True)
    ]


def _by_image(
    name: str, names: Sequence[str], numbers: Ints, counts: LabelCounts, survey: LatentSurvey, ids_i: Ints
) -> _Kind:
    top, fires_s = survey.top["patch"], survey.moments.image_fires.numpy()
    images_sk, values_sk = top.images.numpy(), top.values.numpy()
    base_l, numbers_i = counts.base_counts.numpy(), numbers[ids_i]
    return _Kind(
        name,
        names,
        counts,
        lambda a: strongest_images(images_sk[a], values_sk[a], fires_s[a], numbers, len(names)),
        Enrichment(base_l, int(base_l.sum())),
        lambda images, given: numbers_i[images] == given,
        numbers_i >= 0,
        np.bincount(numbers_i[numbers_i >= 0], minlength=len(names)),
    )


def _q_values(kinds: Sequence[_Kind]) -> QValues:
    """Of all latents and labels: those are tests whose latent has enough images and whose label some image has."""
    q = QValues()
    for kind in kinds:
        n_labels = int(np.count_nonzero(kind.counts.base_counts))
        for latents_a in kind.parts():
            strongest = kind.strongest(latents_a)
            n_tested = int(np.count_nonzero(strongest.n_images_a >= LEAST_IMAGES))
            q.add(kind.log_p(strongest), n_labels * n_tested)
    return q


def _first(kind: _Kind, q: QValues, ranking: Ranking) -> _First:
    base_l = kind.counts.base_counts.numpy()
    share_l = base_l / max(1, base_l.sum())
    parts = []
    for latents_a in kind.parts():
        strongest = kind.strongest(latents_a)
        counts_al = strongest.counts_al
        labels_an = np.argsort(-counts_al, axis=1, kind="stable")[:, :N_LABELS]
        counts_an = np.take_along_axis(counts_al, labels_an, axis=1)
        purity_an = counts_an / np.maximum(counts_al.sum(1, keepdims=True), 1)
        lift_an = purity_an / np.maximum(share_l[labels_an], 1e-30)
        q_an = np.take_along_axis(q.of(kind.log_p(strongest)), labels_an, axis=1)
        overall_an = np.take_along_axis(kind.counts.purity(torch.from_numpy(latents_a)).numpy(), labels_an, axis=1)
        parts.append((np.where(counts_an > 0, labels_an, -1), counts_an, purity_an, lift_an, q_an, overall_an))
    labels, counts, purity, lift, q_sn, overall = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    precision = [ranking.average_precision(one_s, kind.has, kind.known_i, kind.positive_l) for one_s in labels.T]
    prevalence = np.where(labels >= 0, kind.positive_l[labels], 0) / max(1, np.count_nonzero(kind.known_i))
    return _First(labels, counts, purity, lift, q_sn, overall, np.stack(precision, axis=1), prevalence)


def _best(first: _First, names: Sequence[str]) -> dict[int, LabelCount]:
    shown_sn = (first.q <= MAX_Q) & (first.purity >= MIN_PURITY) & (first.lift > 1)
    telling_sn = np.where(shown_sn, first.purity * np.log(np.maximum(first.lift, 1)), -1.0)
    best_s = telling_sn.argmax(1)
    latents = np.flatnonzero(shown_sn.any(1)).tolist()
    return {latent: first.of(latent, int(best_s[latent]), names) for latent in latents}
