"""Which labels latents fire on, and which of these are no chance.

Shape suffixes: a = some latents, l = labels, n = labels given of each.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.gallery.data import BestLabels, LabelCount
from saev.latents.labels import Labels
from saev.latents.survey import Enrichment, LabelCounts, LatentSurvey, QValues

N_LABELS: Final = 6
MIN_LIFT: Final = 1.25
"""A label below this says less about a latent than about the pictures."""
MAX_Q: Final = 0.05
"""Of the labels that stand beside latents, an expected share of at most this is chance."""
CELLS_AT_ONCE: Final = 2**20


class _Table(NamedTuple):
    """Labels of one kind: what each latent fires on, and whether that is more than chance, by images."""

    kind: str
    names: Sequence[str]
    counts: LabelCounts
    test: Enrichment


@final
class LatentLabels:
    """The labels of the latents of an SAE.

    Args:
        survey: What its latents fire on.
        labels: What the labels are called.
    """

    def __init__(self, survey: LatentSurvey, labels: Labels) -> None:
        self._images = _by_image("images", labels.names, survey.image_labels)
        self._columns = [
            _Table(column.name, column.values, counts, Enrichment(counts.overlaps))
            for column, counts in zip(labels.counted, survey.columns, strict=True)
        ]
        self._patches: _Table | None = None
        if survey.patch_labels is not None and survey.patch_label_images is not None:
            test = Enrichment(survey.patch_label_images.overlaps)
            self._patches = _Table("patches", labels.patch_names, survey.patch_labels, test)
        self._q = QValues(sum(table.test.n_tests for table in self._tables))
        for table in self._tables:
            for latents_a in _parts(table):
                self._q.add(table.test.log_p(latents_a))

    @property
    def _tables(self) -> list[_Table]:
        return [table for table in (self._patches, self._images, *self._columns) if table is not None]

    def best(self) -> list[BestLabels]:
        """By kind of labels, that of patches first: for each latent the label that describes it best.

        That is the one which contributes most to the divergence from the base rates, purity x log(lift), among those
        that are no chance: the most frequent one would be the background for nearly all latents. A latent whose label
        is hardly more frequent than among all has none.
        """
        return [BestLabels(table.kind, self._best(table)) for table in self._tables]

    def of_images(self, latent: int) -> list[LabelCount]:
        """Labels of the images on which a latent fires, the most frequent first."""
        return self._first(self._images, latent)

    def of_patches(self, latent: int) -> list[LabelCount]:
        """Labels of the patches on which it fires."""
        return self._first(self._patches, latent)

    def of_columns(self, latent: int) -> dict[str, list[LabelCount]]:
        """Values of the images on which it fires, by column."""
        return {table.kind: self._first(table, latent) for table in self._columns}

    def _best(self, table: _Table) -> dict[int, LabelCount]:
        found: dict[int, LabelCount] = {}
        for latents_a in _parts(table):
            rows_a = torch.from_numpy(latents_a)
            purity_al, lift_al = table.counts.purity(rows_a).numpy(), table.counts.lift(rows_a).numpy()
            q_al = self._q.of(table.test.log_p(latents_a))
            shown_al = (q_al <= MAX_Q) & (lift_al >= MIN_LIFT)
            telling_al = np.where(shown_al, purity_al * np.log(np.maximum(lift_al, 1)), -1.0)
            best_a = telling_al.argmax(1)
            for row in np.flatnonzero(shown_al.any(1)).tolist():
                latent, label = int(latents_a[row]), int(best_a[row])
                found[latent] = LabelCount(
                    table.names[label],
                    int(table.counts.counts[latent, label]),
                    float(purity_al[row, label]),
                    float(lift_al[row, label]),
                    float(q_al[row, label]),
                )
        return found

    def _first(self, table: _Table | None, latent: int) -> list[LabelCount]:
        if table is None:
            return []
        top = table.counts.top(torch.tensor([latent]), N_LABELS)
        q_l = self._q.of(table.test.log_p(np.array([latent])))[0]
        rows = zip(*(values[0].tolist() for values in top), strict=True)
        return [
            LabelCount(table.names[label], count, purity, lift, float(q_l[label]))
            for label, count, purity, lift in rows
            if label >= 0
        ]


def _by_image(kind: str, names: Sequence[str], counts: LabelCounts | None) -> _Table | None:
    return None if counts is None else _Table(kind, names, counts, Enrichment(counts.overlaps))


def _parts(table: _Table) -> Iterator[NDArray[np.int64]]:
    """All latents, so many at a time as memory is meant for."""
    n_latents, n_labels = table.counts.counts.shape
    at_once = max(1, CELLS_AT_ONCE // n_labels)
    for start in range(0, n_latents, at_once):
        yield np.arange(start, min(start + at_once, n_latents))
