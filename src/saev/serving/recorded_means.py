"""Recorded images as one point each, and which of them are near to another point.

Shape suffixes: n = images, b = images of a batch, q = tokens that the SAE takes, d = d_in, s = d_sae.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from saev.latents.encoding import ImageCodes, together
from saev.nn import SparseAutoencoder
from saev.ranges import Ints
from saev.shards.tokens import random_subset


@final
@dataclass(frozen=True)
class Neighbour:
    """A recorded image and how near it is: the cosine of the two points, seen from the mean of all."""

    image_id: int
    cosine: float


@final
class RecordedMeans:
    """For each of some recorded images the mean reconstruction of its tokens.

    All such points lie far from 0 on one side of it, so that their own cosines are all near 1. They are compared by
    how they differ from the mean of all.

    Args:
        images: (n,) ids.
        means_nd: The points, on the CPU.
    """

    def __init__(self, images: Ints, means_nd: Tensor) -> None:
        assert len(images) == len(means_nd) > 0, "no images"
        self.images = images
        self._centre_d = means_nd.mean(0)
        self._units_nd = normalize(means_nd - self._centre_d, dim=-1)

    def nearest(self, point_d: Tensor, k: int) -> list[Neighbour]:
        """The k nearest images to a point (d,), the nearest first, ties by their ids."""
        cosine_n = self._units_nd @ normalize(point_d - self._centre_d, dim=-1)
        order = torch.argsort(cosine_n, descending=True, stable=True)[:k].tolist()
        return [Neighbour(int(self.images[i]), float(cosine_n[i])) for i in order]


@torch.no_grad()
def recorded_means(
    saes: Mapping[str, SparseAutoencoder], codes: Mapping[str, ImageCodes], images: Ints
) -> dict[str, RecordedMeans]:
    """The points of some images, ascending, for each SAE, by name, in one bounded pass.

    It keeps n d float32 numbers for each SAE.

    Raises:
        InputError: If a shard is damaged.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in saes}
    for name, _ids_b, part in together(codes, images, "neighbours"):
        sae = saes[name]
        mean_bs = torch.from_numpy(part.mean(codes[name].spots.ranked)).to(sae.mean_d.device)
        found[name].append(sae.decode(mean_bs).cpu())
    return {name: RecordedMeans(images, torch.cat(means)) for name, means in found.items()}


def chosen_images(n_images: int, most: int, preferred: Sequence[int], seed: int = 0) -> Ints:
    """At most so many of n images, ascending: those preferred first, then a random choice of the others.

    >>> chosen_images(10, 4, [7, 2]).tolist()
    [2, 5, 7, 9]
    """
    first = np.unique(np.asarray([image for image in preferred if image < n_images], dtype=np.int64))
    first = first[random_subset(len(first), most, seed)]
    others = np.setdiff1d(np.arange(n_images), first)
    return np.sort(np.concatenate([first, others[random_subset(len(others), most - len(first), seed)]]))
