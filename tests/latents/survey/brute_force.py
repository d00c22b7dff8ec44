"""Codes with many ties, and what a survey must find in them, by plain loops."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saev.latents.sparse import SparseCodes, Spots
from saev.latents.survey import LatentSurvey
from saev.latents.survey.hashed_rows import HashedRows
from saev.latents.survey.kept_images import LargestKeys

# Few values, so that ties are the rule; the least and the largest floats, because keys are made of bits.
VALUES = st.sampled_from([0.0, 0.0, -0.0, -2.0, 1e-45, 0.5, 1.0, 1.0000001, 3.0, 3.4028235e38])


@dataclass
class Seen:
    """Images with codes (n, t, s), ids (n,), labels (n,) and (n, c)."""

    f: np.ndarray
    ids: np.ndarray
    spots: Spots
    labels: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch_labels: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def grid(self) -> tuple[int, int]:
        """Two rows of patches, or one."""
        n = len(self.spots.patches)
        return (2, n // 2) if n % 2 == 0 else (1, n)

    def take(self, rows: Any) -> "Seen":
        return Seen(self.f[rows], self.ids[rows], self.spots, self.labels[rows], self.patch_labels[rows])

    def survey(self, batches: list[list[int]], **options: Any) -> LatentSurvey:
        """A survey of the images in these batches."""
        d_sae = self.f.shape[2]
        options = {"n_images": 16, "grid": self.grid} | options
        survey = LatentSurvey(d_sae, self.spots, n_image_labels=3, n_patch_labels=4, **options)
        for rows in batches:
            part = self.take(rows)
            add(survey, torch.from_numpy(np.ascontiguousarray(part.f)), part.ids, part.labels, part.patch_labels)
        return survey


def add(survey: LatentSurvey, f_bts: torch.Tensor, ids: Any, labels: Any = None, patch_labels: Any = None) -> None:
    """Add images with these codes, of which everything is known."""
    given = [None if one is None else np.asarray(one) for one in (labels, patch_labels)]
    for images, part in SparseCodes.parts(f_bts):
        survey.add(part, np.asarray(ids, np.int64)[images], *(None if one is None else one[images] for one in given))


def arrays_of(survey: LatentSurvey) -> dict[str, np.ndarray]:
    """Everything that a survey knows, by where it is kept; keys in order."""
    found = {}
    for number, part in enumerate(survey.parts):
        for name, value in vars(part).items():
            arrays = [np.array(value)] if isinstance(value, int | np.ndarray) else []
            if isinstance(value, LargestKeys):
                arrays = [value.keys]
            elif isinstance(value, HashedRows):
                arrays = [*value.settle(), np.array(value._stop)]
            found |= {f"{number}.{i} {type(part).__name__}.{name}": array for i, array in enumerate(arrays)}
    return found


SPOTS = st.sampled_from(
    [
        Spots(4, range(4)),
        Spots(4, range(1, 4), cls=0),
        Spots(5, range(3, 5), cls=0),
        Spots(1, range(0), cls=0),
        Spots(2, range(0)),
    ]
)


@st.composite
def seen(draw: st.DrawFn, max_images: int = 12) -> Seen:
    n, s, spots = draw(st.integers(1, max_images)), draw(st.integers(1, 5)), draw(SPOTS)
    f = draw(arrays(np.float32, (n, spots.n_positions, s), elements=VALUES))
    most = 2**32 // max(1, len(spots.patches)) - 1  # so that patches can be numbered
    ids = st.lists(st.integers(0, most), min_size=n, max_size=n, unique=True) | st.permutations(range(n))
    labels = draw(arrays(np.int64, n, elements=st.integers(-1, 2)))
    patch_labels = draw(arrays(np.int64, (n, len(spots.patches)), elements=st.integers(-1, 3)))
    return Seen(f, np.array(draw(ids), dtype=np.int64), spots, labels, patch_labels)


@st.composite
def batches_of(draw: st.DrawFn, n: int) -> list[list[int]]:
    """The numbers below n in any order, cut anywhere; some batches may be empty."""
    order = draw(st.permutations(range(n)))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=4)))
    return [order[start:stop] for start, stop in zip([0, *cuts], [*cuts, n], strict=True)]


def in_order(values: np.ndarray) -> np.float32:
    """Sum in float64 from left to right, as float32 no greater than the largest one."""
    total = 0.0
    for value in values.tolist():
        total += value
    return np.float32(min(total, float(np.finfo(np.float32).max)))


def ranked(seen: Seen, order: str) -> Iterator[list[tuple[float, int]]]:
    """For each latent what images are worth and their ids, best first, only those above zero."""
    for f_nt in np.moveaxis(np.maximum(seen.f, 0), 2, 0):
        at = f_nt[:, list(seen.spots.ranked)]
        if order == "cls":
            worth = f_nt[:, seen.spots.cls]
        else:
            worth = at.max(1) if order == "patch" else np.array([in_order(row) for row in at])
        found = [(float(value), int(i)) for value, i in zip(worth, seen.ids, strict=True) if value > 0]
        yield sorted(found, key=lambda image: (-image[0], image[1]))


def sparse_codes(f: torch.Tensor) -> SparseCodes:
    """Few codes (b, t, s), which come in one part."""
    ((_, codes),) = SparseCodes.parts(f)
    return codes
