r"""The largest value of each latent on each of some images, and how well these values rank images by their labels.

.. math:: AP = \frac{1}{K} \sum_v h_v \frac{H_v}{N_v}

is the average precision: over the distinct values v of a latent, h_v of the K images with the label have the value,
H_v have it or a larger one, and so have N_v images altogether. Images on which the latent does not fire have the
value 0.

Shape suffixes: s = d_sae, i = chosen images, p = pairs of a latent and an image on which it fires.
"""

from collections.abc import Callable
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array

from saev.latents.sparse import Floats
from saev.latents.survey.by_latent import Pairs
from saev.latents.survey.hashed_rows import HashedRows, Rows
from saev.mixing import hashed_images, image_hashes

MAX_IMAGES: Final = 2**20
MAX_PAIRS: Final = 2**24
Ints = NDArray[np.int64]
Has = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]


@final
class ImageValues:
    """A random choice of images with the largest value of each latent there; all images, where these fit.

    Memory: that of `HashedRows`.

    Args:
        max_pairs: Pairs of an image and a latent that fires there, at most.
    """

    def __init__(self, d_sae: int, seed: int, max_images: int = MAX_IMAGES, max_pairs: int = MAX_PAIRS) -> None:
        self._d_sae, self._seed = d_sae, seed
        self._rows = HashedRows(max_images, max_pairs)

    def update(self, pairs: Pairs, image_ids: Ints) -> None:
        """Offer images, and what fires there; values of 0 do not count."""
        fires_p = pairs.best_p > 0
        latents_p, images_p, best_p = pairs.latents_p[fires_p], pairs.images_p[fires_p], pairs.best_p[fires_p]
        by_image = coo_array((best_p, (images_p, latents_p)), shape=(len(image_ids), self._d_sae)).tocsr()
        counts = np.diff(by_image.indptr).astype(np.int64)
        rows = Rows(image_hashes(image_ids, self._seed), counts, by_image.indices.astype(np.int32), by_image.data)
        self._rows.add(rows, np.ones(len(image_ids), dtype=np.bool_))

    def table(self) -> tuple[Ints, csc_array]:
        """The ids (i,) of the chosen images, and the values (i, s) there."""
        found = self._rows.settle()
        rows = np.repeat(np.arange(len(found.counts_c)), found.counts_c)
        shape = (len(found.counts_c), self._d_sae)
        values = coo_array((found.values_e, (rows, found.latents_e)), shape=shape).tocsc()
        return hashed_images(found.hashes_c, self._seed), values

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._rows.merge(other._rows)


@final
class Ranking:
    """The images on which latents fire, latent after latent, those of the largest value first.

    Args:
        values: (i, s), as `ImageValues.table` has them; what is not stored is 0.
    """

    def __init__(self, values: csc_array) -> None:
        self.n_images, self._d_sae = values.shape
        self._latents_p = np.repeat(np.arange(self._d_sae), np.diff(values.indptr))
        order = np.lexsort((-values.data, self._latents_p))
        self._images_p, self._values_p = values.indices[order], values.data[order]

    def average_precision(self, labels_s: Ints, has: Has, known_i: NDArray[np.bool_], positive_l: Ints) -> Floats:
        """(s,) how well each latent ranks the images by a label of its own; nan where it has none, or no image has it.

        Args:
            labels_s: The label of each latent, -1 for none.
            has: Of images and labels, whether each image has that label.
            known_i: Images of which it is known.
            positive_l: Of these, the images with each label.
        """
        used_p = known_i[self._images_p] & (labels_s[self._latents_p] >= 0)
        latents_p, values_p = self._latents_p[used_p], self._values_p[used_p]
        n_s = np.bincount(latents_p, minlength=self._d_sae)
        starts_s = np.cumsum(n_s) - n_s
        rank_p = np.arange(1, len(latents_p) + 1) - starts_s[latents_p]
        hits_p = np.append(0, np.cumsum(has(self._images_p[used_p], labels_s[latents_p])))
        # Those of equal values count together, at the last of them.
        is_last_p = np.append(np.diff(latents_p) != 0, True)[: len(latents_p)]
        is_last_p[:-1] |= values_p[1:] != values_p[:-1]
        last = np.flatnonzero(is_last_p)
        upto = hits_p[last + 1]
        own = latents_p[last]
        steps = np.diff(upto, prepend=0) * (upto - hits_p[starts_s[own]]) / rank_p[last]
        found_s = np.bincount(own, steps, self._d_sae).astype(np.float64)  # of no entries it counts in integers
        n_hits_s = hits_p[starts_s + n_s] - hits_p[starts_s]
        positive_s = np.where(labels_s >= 0, positive_l[labels_s], 0)
        # The images on which it does not fire have one value, and after them all have come.
        found_s += (positive_s - n_hits_s) * positive_s / max(1, np.count_nonzero(known_i))
        return np.where(positive_s > 0, found_s / np.maximum(positive_s, 1), np.nan).astype(np.float32)
