"""The pages of latents.

Shape suffixes: k = images of a latent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.gallery.data import N_SMALL, LatentExample, LatentPage, SampleGroup, ShownName
from saev.gallery.families import Families
from saev.gallery.image_sets import Place
from saev.gallery.judging import Judging
from saev.gallery.label_counts import BestLabels
from saev.gallery.labels import LatentLabels
from saev.latents.encoding import ImageCodes, Images
from saev.latents.heatmaps import heatmaps, in_parts
from saev.latents.survey import PERCENTILES, LatentSurvey, Order, quantile_groups
from saev.metrics import Nearest, nearest
from saev.nn import SparseAutoencoder

N_NEIGHBOURS = 8
N_GROUPS = 5
N_OF_GROUP = 6


@final
@dataclass(frozen=True)
class Subject:
    """An SAE that is shown, its codes of the images, and what a survey found of its latents."""

    sae: SparseAutoencoder
    codes: ImageCodes
    survey: LatentSurvey


@final
class Pages:
    """The pages of some latents; heatmaps of a part of them are in memory at once.

    Args:
        labels: What its latents fire on.
        directions: Words to which decoder directions point.
        judging: What its latents are judged by.
        scale_s: What the largest level of each latent stands for; by default its largest value.
    """

    def __init__(
        self,
        subject: Subject,
        latents: Sequence[int],
        labels: LatentLabels,
        sort_by: Order = "patch",
        directions: Mapping[int, ShownName] | None = None,
        judging: Judging | None = None,
        scale_s: NDArray[np.float32] | None = None,
    ) -> None:
        survey = subject.survey
        self._scale_s = survey.moments.max_value.numpy() if scale_s is None else scale_s
        self._directions, self._judging = directions or {}, judging
        self._subject, self._survey, self._labels = subject, survey, labels
        self._latents = torch.tensor(latents, dtype=torch.int64)
        orders = sorted(survey.top, key=lambda order: order != sort_by)
        self._top = {
            order: (survey.top[order].images[self._latents], survey.top[order].values[self._latents])
            for order in orders
        }
        self._sampled = survey.sample.images[self._latents], survey.sample.values[self._latents]
        rows = subject.sae.W_dec
        self._decoders = nearest(rows[self._latents], rows, N_NEIGHBOURS, self._latents)
        self._coactive = survey.tokens.nearest(self._latents, N_NEIGHBOURS)
        most_s1 = survey.moments.max_value[self._latents, None]
        # They are middles of bins, of which that of the largest value may lie above it.
        self._percentiles = survey.histogram.percentiles()[self._latents].minimum(most_s1)
        self._shown = {latent: self._shown_at(row) for row, latent in enumerate(latents)}
        self._n_full = len(latents)

    def __len__(self) -> int:
        return len(self._latents)

    def __contains__(self, latent: int) -> bool:
        return latent in self._shown

    def page(self, latent: int, check: Callable[[], None] = lambda: None) -> LatentPage:
        """The page of one of the latents, with near misses, which are looked for anew.

        Args:
            latent: The latent.
            check: Called before each batch of pictures is looked at; what it raises ends the making.

        Raises:
            InputError: If a shard is damaged.
        """
        if self._judging is not None:
            self._judging.look_alone(latent, len(self), check)
        (found,) = self._with_heatmaps({latent: self._shown[latent]}, check)
        return found

    def __iter__(self) -> Iterator[LatentPage]:
        """The pages in the order of the latents."""
        return self._with_heatmaps(self._shown)

    def families(self, names: Mapping[int, ShownName], labels: Sequence[BestLabels], seed: int) -> Families:
        """Families of the latents that get a page, named by what is found of latents: names first, then labels."""
        words = [{latent: one.name for latent, one in names.items()}]
        words += [{latent: one.label for latent, one in kind.labels.items()} for kind in labels]
        latents = self._latents.tolist()
        return Families.of(self._subject.sae, latents, self._decoders, self._coactive, words, seed)

    @property
    def images(self) -> Iterator[list[int]]:
        """Ids, ascending, of the pictures that each page shows."""
        return (images.tolist() for images in self._shown.values())

    @property
    def first_images(self) -> set[int]:
        """Ids of all pictures that the pages show if all are small."""
        images_sk, _ = next(iter(self._top.values()))
        return {image for image in np.unique(images_sk[:, :N_SMALL].numpy()).tolist() if image >= 0}

    def make_small(self, first: int) -> None:
        """From the page of this number on, pages are small."""
        self._n_full = min(first, len(self))
        images_sk, _ = next(iter(self._top.values()))
        for row, latent in enumerate(self._latents[first:].tolist(), first):
            ids = np.unique(images_sk[row, :N_SMALL].numpy())
            self._shown[latent] = ids[ids >= 0]
        if self._judging is not None:
            self._judging.look_at_silent(self._latents[: self._n_full].tolist())

    def drafts(self) -> Iterator[LatentPage]:
        """The pages without heatmaps, for which no image is encoded."""
        return (self._draft(row) for row in range(len(self)))

    def first(self, n_pages: int, n_pictures: int) -> Iterator[LatentPage]:
        """The first pages, with heatmaps of so many of their top pictures only."""
        few = {page.index: [one.image_id for one in page.best[:n_pictures]] for page in islice(self.drafts(), n_pages)}
        return self._with_heatmaps(few)

    def _with_heatmaps(
        self, shown: Mapping[int, Images], check: Callable[[], None] = lambda: None
    ) -> Iterator[LatentPage]:
        rows = {latent: row for row, latent in enumerate(self._latents.tolist())}
        for part in in_parts(shown, self._subject.codes.grid):
            found = heatmaps(self._subject.codes, part, self._scale_s, check)
            for latent in part:
                draft, own = self._draft(rows[latent]), found.pop(latent)
                if rows[latent] >= self._n_full:
                    draft = draft.small()
                yield replace(draft, heatmaps=own, peaks=self._labels.at_peaks(own))

    def _shown_at(self, row: int) -> NDArray[np.int64]:
        """Ids of all pictures of a latent, ascending."""
        sampled = [example.image_id for group in self._samples(row) for example in group.examples]
        top = [images[row].numpy() for images, _ in self._top.values()]
        if self._judging is not None:
            sampled += self._judging.shown(int(self._latents[row]))
        ids = np.unique(np.concatenate([*top, np.array(sampled, dtype=np.int64)]))
        return ids[ids >= 0]

    def _samples(self, row: int) -> list[SampleGroup]:
        """Random images, in groups from the lowest values to the highest."""
        groups = quantile_groups(self._sampled[1][row], self._sampled[0][row], N_GROUPS, N_OF_GROUP)
        return [
            SampleGroup((number / N_GROUPS, (number + 1) / N_GROUPS), [LatentExample(*example) for example in group])
            for number, group in enumerate(reversed(groups))
            if group
        ]

    def _draft(self, row: int) -> LatentPage:
        """A page without its heatmaps."""
        latent = int(self._latents[row])
        survey = self._survey
        return LatentPage(
            index=latent,
            top={order: _examples(images[row], values[row]) for order, (images, values) in self._top.items()},
            samples=self._samples(row),
            histogram=survey.histogram.counts[latent].numpy(),
            percentiles=dict(zip(PERCENTILES, self._percentiles[row].tolist(), strict=True)),
            labels=self._labels.of_images(latent),
            patch_labels=self._labels.of_patches(latent),
            columns=self._labels.of_columns(latent),
            neighbours=_pairs(self._decoders, row),
            coactive=_pairs(self._coactive, row),
            directions=_words(self._directions.get(latent)),
            mean_p=survey.places.mean(latent).numpy() if survey.places else None,
            judged=self._judging.of(latent) if self._judging is not None and row < self._n_full else None,
        )


def _examples(images_k: Tensor, values_k: Tensor) -> list[LatentExample]:
    found = zip(images_k.tolist(), values_k.tolist(), strict=True)
    return [LatentExample(image, value) for image, value in found if image >= 0]


def _words(name: ShownName | None) -> list[tuple[str, float]]:
    return [] if name is None else [(name.name, name.score), *name.runners_up]


def _pairs(found: Nearest, row: int) -> list[tuple[int, float]]:
    pairs = zip(found.numbers[row].tolist(), found.cosines[row].tolist(), strict=True)
    return [(latent, cosine) for latent, cosine in pairs if latent >= 0]


def scales(survey: LatentSurvey, place: Place) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """(s,) what the largest level of each latent stands for, and the 99th percentile of its values.

    All image sets of a gallery have those of the first one, so that their colours compare; those of a latent that is
    silent there are its own. The percentiles are not known where an earlier version wrote the first set.
    """
    max_s = survey.moments.max_value.numpy()
    p99_s = np.minimum(survey.histogram.percentiles()[:, PERCENTILES.index(99)].numpy(), max_s)
    if place.is_first or place.first is None:
        return max_s, p99_s
    fires_s = place.first.max_value > 0
    known = place.first.p99
    return np.where(fires_s, place.first.max_value, max_s), None if known is None else np.where(fires_s, known, p99_s)
