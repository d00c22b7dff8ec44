"""What all latents of an SAE do, gathered in one bounded pass over images.

Shape suffixes: b = images of a batch, t = positions of an image, c = patches among them, s = d_sae.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, Literal, Self, final, get_args

import numpy as np
from numpy.typing import NDArray

from saev.latents.sparse import SparseCodes, Spots
from saev.latents.survey.boundaries import BoundaryCounts, boundaries
from saev.latents.survey.by_latent import LatentCodes, Pairs
from saev.latents.survey.image_values import MAX_IMAGES, MAX_PAIRS, ImageValues
from saev.latents.survey.kept_images import LAST_ID, ImageSample, TopImages
from saev.latents.survey.labels import LabelCounts
from saev.latents.survey.places import PlaceSums
from saev.latents.survey.strongest import StrongPatches
from saev.latents.survey.token_sample import TokenSample
from saev.latents.survey.values import N_QUARTERS, Moments, ValueHistogram, bins_of

Order = Literal["patch", "img", "cls"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
"""The ways to order pictures: by the strongest patch, by the sum over the patches, by the CLS token."""
N_SAMPLE = 64
NO_LABELS: Final = np.empty(0, np.int64)


@final
class LatentSurvey:
    """Moments, histograms, top images, random images, labels and companions of all latents.

    Where the positions have patches, images are ranked and sampled by the values there; otherwise by those at all
    positions, which for CLS tokens alone makes all three orders the same. Processes that see different images make a
    survey each, and `merge` makes of them what one process would have found: all the same to the last bit, except for
    the mean values, whose sums are rounded. Everything is kept on the CPU, within `tables_bytes`.

    Args:
        spots: Which positions are what.
        top_k: Images kept for each latent, in each order.
        n_image_labels: Labels of images, 0 if there are none. Labels are not counted, and `image_labels` is None,
            where their counts would not fit (`LabelCounts.fits`).
        n_patch_labels: Labels of patches, likewise.
        n_values: Of each column of what else is known of images, how many values it has.
        grid: The patches of an image (h, w), if it is to be known where in pictures latents fire.
        n_images: Upper bound of the images that will be added, if it is known: what they cannot fill takes no memory.

    Attributes:
        moments: Frequencies over tokens and images, mean and largest value, at all positions.
        histogram: Values at all positions.
        top: Top images by order: `patch` by the largest value, `img` by the sum, `cls` by the value at the CLS token,
            which is missing where CLS tokens are not among the positions.
        sample: Random images on which each latent fires, with the largest value.
        image_labels: Labels of the images on which each latent fires at some position.
        patch_labels: Labels of the patches on which each latent fires.
        boundaries: Labelled patches at the boundaries of masks on which each latent fires; there with `patch_labels`
            and a grid.
        places: Where in pictures each latent fires; None without a grid or patches, or where that would not fit
            (`PlaceSums.fits`).
        strong_patches: The strongest patches of each latent; there with `patch_labels`.
        image_values: The largest value of each latent on each image, or on a random choice of images.
        patch_values: `patch_labels` by quarters of an octave of the value within each label; None where that would not
            fit.
        tokens: Random tokens, and which latents fire there together.

    Raises:
        InputError: If the counts of `n_values` would not fit.
    """

    def __init__(
        self,
        d_sae: int,
        spots: Spots,
        top_k: int = 128,
        n_sample: int = N_SAMPLE,
        n_image_labels: int = 0,
        n_patch_labels: int = 0,
        seed: int = 0,
        n_values: Sequence[int] = (),
        grid: tuple[int, int] | None = None,
        n_images: int = MAX_IMAGES,
    ) -> None:
        self.spots = spots
        self.moments = Moments(d_sae)
        self.histogram = ValueHistogram(d_sae)
        orders = [order for order in ORDERS if order != "cls" or spots.cls is not None]
        self.top: dict[Order, TopImages] = {order: TopImages(d_sae, top_k) for order in orders}
        self.sample = ImageSample(d_sae, n_sample, seed)
        self.image_labels = _label_counts(d_sae, n_image_labels)
        self.patch_labels = _label_counts(d_sae, n_patch_labels)
        self._grid = grid if spots.patches else None
        has_boundaries = self.patch_labels is not None and self._grid is not None
        self.boundaries = BoundaryCounts(d_sae, n_patch_labels) if has_boundaries else None
        self.strong_patches = self.patch_labels and StrongPatches(d_sae, n_patch_labels, spots)
        self.patch_values = _label_counts(d_sae, n_patch_labels * N_QUARTERS)
        self._ends = [0, *accumulate(n_values)]
        self._values = LabelCounts(d_sae, self._ends[-1]) if n_values else None
        has_places = self._grid is not None and PlaceSums.fits(d_sae, self._grid)
        self.places = PlaceSums(d_sae, self._grid) if self._grid is not None and has_places else None
        self.tokens = TokenSample(d_sae, seed)
        self.image_values = ImageValues(d_sae, seed, *pair_bounds(d_sae, n_images))

    def add(
        self,
        codes: SparseCodes,
        ids_b: NDArray[np.int64],
        labels_b: NDArray[Any] | None = None,
        labels_bc: NDArray[Any] | None = None,
        values_jb: Sequence[NDArray[Any]] = (),
    ) -> None:
        """Add images that were not seen before.

        Args:
            ids_b: Integers from 0 to 2^32 - 1.
            labels_b: Labels of the images, -1 for none.
            labels_bc: Labels of their patches, -1 for none.
            values_jb: (b,) values of each column, as numbers from 0 on; -1 for none.
        """
        assert not len(ids_b) or (ids_b.min() >= 0 and ids_b.max() <= LAST_ID), "image ids must fit 32 bits"
        assert codes.n_positions == self.spots.n_positions, f"{codes.n_positions} for {self.spots}"
        self.tokens.update(codes, ids_b)
        by_latent = LatentCodes.of(codes)
        pairs = Pairs.of(by_latent, self.spots, codes.n_images)
        self._add(by_latent, pairs, ids_b)
        if self.places is not None:
            self.places.update(by_latent, pairs, self.spots, codes.n_images)
        if self.patch_labels is not None and labels_bc is not None:
            labels_r = _at_all_positions(labels_bc, self.spots).reshape(-1)
            labels_n = labels_r[by_latent.tokens_n]
            self.patch_labels.update(labels_r, by_latent.latents_n, labels_n)
            if self.boundaries is not None and self._grid is not None:
                at_boundary_bc = boundaries(labels_bc, self._grid)
                at_boundary_r = _at_all_positions(at_boundary_bc, self.spots).reshape(-1) > 0
                self.boundaries.update(by_latent, labels_r, at_boundary_r)
            if self.patch_values is not None:
                places_n = labels_n * N_QUARTERS + bins_of(by_latent.values_n) // 2
                self.patch_values.update(NO_LABELS, by_latent.latents_n, np.where(labels_n >= 0, places_n, -1))
            assert self.strong_patches is not None, "there with the labels"
            self.strong_patches.update(by_latent, labels_bc, labels_n, ids_b)
        if self.image_labels is not None and labels_b is not None:
            self.image_labels.update(labels_b, pairs.latents_p, labels_b[pairs.images_p])
        for start, numbers_b in zip(self._ends, values_jb, strict=False):
            assert self._values is not None, "columns that were not announced"
            numbers_b = np.where(numbers_b >= 0, numbers_b + start, -1)
            self._values.update(numbers_b, pairs.latents_p, numbers_b[pairs.images_p])

    def _add(self, codes: LatentCodes, pairs: Pairs, ids_b: NDArray[np.int64]) -> None:
        """Add what needs no labels."""
        self.moments.update(codes, pairs, len(ids_b), self.spots.n_positions)
        self.histogram.update(codes)
        ids_p = ids_b[pairs.images_p]
        self.top["patch"].update(pairs.latents_p, pairs.best_p, ids_p)
        self.top["img"].update(pairs.latents_p, pairs.sums_p, ids_p)
        self.sample.update(pairs.latents_p, pairs.best_p, ids_p)
        self.image_values.update(pairs, ids_b)
        if self.spots.cls is not None:
            cls = range(self.spots.cls, self.spots.cls + 1)
            at_cls_n = codes.within(cls, len(ids_b), self.spots.n_positions)
            ids_n = ids_b[codes.images_n[at_cls_n]]
            self.top["cls"].update(codes.latents_n[at_cls_n], codes.values_n[at_cls_n], ids_n)

    @property
    def columns(self) -> list[LabelCounts]:
        """Values of the images on which each latent fires, by column; not copied."""
        return [] if self._values is None else [self._values.part(range(*ends)) for ends in pairwise(self._ends)]

    def merge(self, other: Self) -> None:
        """Add a survey with the same arguments of other images."""
        for own, its in zip(self.parts, other.parts, strict=True):
            own.merge(its)

    @property
    def parts(self) -> list[Any]:
        """All that has its own `merge`."""
        parts = [
            self.moments,
            self.histogram,
            self.sample,
            self.image_labels,
            self.patch_labels,
            self.strong_patches,
            self.patch_values,
            self.image_values,
            self._values,
            self.places,
            self.boundaries,
            self.tokens,
            *self.top.values(),
        ]
        return [part for part in parts if part is not None]


def pair_bounds(d_sae: int, n_images: int) -> tuple[int, int]:
    """Images, and pairs of a latent and an image, of which `image_values` has room."""
    n = min(n_images, MAX_IMAGES)
    return n, min(n * d_sae, MAX_PAIRS)


def _label_counts(d_sae: int, n_labels: int) -> LabelCounts | None:
    return LabelCounts(d_sae, n_labels) if n_labels and LabelCounts.fits(d_sae, n_labels) else None


def _at_all_positions(labels_bc: NDArray[Any], spots: Spots) -> NDArray[np.int32]:
    """Labels (b, t) of labels (b, c) of the patches: -1 elsewhere."""
    assert labels_bc.shape[1] == len(spots.patches), f"{labels_bc.shape} for {spots}"
    labels_bt = np.full((len(labels_bc), spots.n_positions), -1, dtype=np.int32)
    labels_bt[:, spots.patches.start : spots.patches.stop] = labels_bc
    return labels_bt
