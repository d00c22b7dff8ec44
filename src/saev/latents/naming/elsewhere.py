r"""Whether a latent goes with its name also on the pictures that did not give it the name.

The strongest crops of a latent are few, and alike in more than what it stands for: those of a latent that fires on the
left of pictures, or on edges, have some colour, too. So other pictures judge a name, as explanations of Bills et al.
2023 are (https://openaipublic.blob.core.windows.net/neuron-explainer/paper/index.html): by the latent's largest value
v_i on each, 0 where it is silent, and by how well the word t fits the whole picture, of unit embedding e_i. Over the
pictures that were not cropped for the latent,

.. math:: z = \frac{t \sum_i (v_i - \bar v) e_i}{\sqrt{t C t \sum_i (v_i - \bar v)^2}},

with the covariance C of the embeddings of all pictures, counts deviations above what values reach that have nothing to
do with the word: it is their correlation times the root of the number of pictures. A name holds if z is above
`LEAST_Z`, and if the word is among the best tenth for these pictures. The first is not enough: on thousands of pictures
most words go a little with most latents. One that has nothing to do with the latent is among the best tenth in a tenth
of the cases, however many pictures there are.

Shape suffixes: i = pictures, e = width of the embedding, v = words, s = d_sae, l = latents, c = of a chunk.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from torch import Tensor

from saev.mixing import image_hashes

LEAST_Z: Final = 2.33
"""Which 1 % of the values reach that have nothing to do with a word."""
BEST: Final = 0.1
"""Share of the words."""
_CELLS: Final = 2**22  # Values (i, c), or scores (c, v), that are held at once.
_ROUNDING: Final = 1e-6  # Deviations below this share of a latent's values, or of an embedding, are rounding.
Ints = NDArray[np.int64]


@final
@dataclass(frozen=True)
class PictureValues:
    """The largest value of each latent on each of some pictures.

    Args:
        images_i: Their numbers.
        values_is: Above 0 where the latent fires.
    """

    images_i: Ints
    values_is: csc_array

    def some(self, among: Collection[int], most: int, seed: int) -> Ints:
        """At most so many of its pictures, a random choice of those that are among others."""
        found = np.intersect1d(self.images_i, np.fromiter(among, dtype=np.int64))
        return found[np.argsort(image_hashes(found, seed))[:most]]

    def at(self, images_i: Ints, latents_c: Sequence[int]) -> NDArray[np.float64]:
        """(i, c) the values of latents on some of its pictures."""
        order = np.argsort(self.images_i)
        rows_i = order[np.searchsorted(self.images_i, images_i, sorter=order)]
        found_ic: NDArray[np.float64] = self.values_is[:, list(latents_c)].toarray()[rows_i].astype(np.float64)
        return found_ic


@final
@dataclass(frozen=True)
class Judges:
    """Pictures that judge names.

    Args:
        images_i: Their numbers.
        centred_ie: Their embeddings, less the mean, float32.
        words_ve: The words, divided by the deviations of how well they fit these pictures; 0 for what fits all alike.
    """

    images_i: Ints
    centred_ie: Tensor
    words_ve: Tensor

    @classmethod
    def of(cls, images_i: Ints, e_ie: Tensor, words_ve: Tensor) -> Self:
        """From unit embeddings of the pictures and the words, of any floating dtype."""
        e_ie, words_ve = e_ie.double(), words_ve.double()
        centred_ie = e_ie - e_ie.mean(0)
        std_v = ((words_ve @ (centred_ie.T @ centred_ie / len(e_ie))) * words_ve).sum(1).clamp(min=0).sqrt()
        varies_v = std_v > _ROUNDING
        scaled_ve = torch.where(varies_v[:, None], words_ve / torch.where(varies_v, std_v, 1)[:, None], 0)
        return cls(images_i, centred_ie.float(), scaled_ve.float())

    def scores(self, values_ic: NDArray[np.float64], is_own_ic: NDArray[np.bool_]) -> Tensor:
        """(c, v) z of all words; 0 for latents whose values are all alike.

        Args:
            values_ic: Values of latents on these pictures.
            is_own_ic: Pictures that do not judge a latent.
        """
        n_c = np.maximum((~is_own_ic).sum(0), 1)
        above_ic = np.where(is_own_ic, 0, values_ic - np.where(is_own_ic, 0, values_ic).sum(0) / n_c)
        norm_c = np.linalg.norm(above_ic, axis=0)
        varies_c = norm_c > _ROUNDING * np.linalg.norm(values_ic, axis=0)
        shares_ic = torch.from_numpy(np.where(varies_c, above_ic / np.where(varies_c, norm_c, 1), 0)).float()
        return (shares_ic.T @ self.centred_ie) @ self.words_ve.T


def holding(
    values: PictureValues, judges: Judges, own: Mapping[int, Collection[int]], named: Mapping[int, int]
) -> set[int]:
    """The latents whose names hold.

    Args:
        values: What latents do on pictures, the judges among them.
        judges: The pictures that judge.
        own: The pictures that named each latent.
        named: The number of the word of each latent.
    """
    latents, n_words = list(named), len(judges.words_ve)
    held: set[int] = set()
    step = max(1, _CELLS // max(len(values.images_i), n_words))
    for start in range(0, len(latents), step):
        part = latents[start : start + step]
        is_own_ic = np.stack([np.isin(judges.images_i, list(own[latent])) for latent in part], axis=1)
        z_cv = judges.scores(values.at(judges.images_i, part), is_own_ic)
        z_c = z_cv[range(len(part)), [named[latent] for latent in part]]
        rank_c = 1 + (z_cv > z_c[:, None]).sum(1)
        holds_c = (z_c > LEAST_Z) & (rank_c <= max(1, BEST * n_words))
        held |= {latent for latent, holds in zip(part, holds_c.tolist(), strict=True) if holds}
    return held
