r"""How well words fit the crops on which a latent is strongest: soft-WPMI of CLIP-Dissect, without its prior.

For a latent with crops c of membership m_c, and P(w | c) the softmax over words of the scaled cosines, the evidence is

.. math:: S_w = \log E[P(w | B)] = \sum_c \log(1 + m_c (P(w | c) - 1))
        = \sum_c \log(1 + \tfrac{m_c}{1 - m_c} P(w | c)) + \sum_c \log(1 - m_c),

the logarithm of a product of mixtures: with probability m_c the crop belongs to the set B that the latent stands for,
and then w has to explain it; else it asks nothing of w, so that one odd crop cannot rule out a word. The last sum is
the same for all words and is left out: small probabilities would drown in it. Oikarinen & Weng 2023
(https://arxiv.org/abs/2204.10965) subtract log P(w), the word's prior; here a word's evidence is compared with its mean
and deviation over shuffled latents instead, see `saev.latents.naming.calibration`.

Shape suffixes: n = crops, e = width of the embedding, v = words, l = latents, k = crops of a latent, c = of a chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

PROBABILITY_BYTES = 2**26  # Bound of the probabilities (c, k, v) that are held at once; the cosines double it.
SCALE = 10.0  # Of the cosines, as in CLIP-Dissect.
# Memberships of a crop of value 0 and of the latent's strongest crop. CLIP-Dissect has 0.97 and 0.998 by rank. With a
# vocabulary of a thousand words P is small and the evidence goes with m / (1 - m) P: the strongest crops would weigh 15
# times as much as the weakest. Here they weigh at most twice as much.
MEMBERSHIPS = (0.96, 0.98)


@final
@dataclass(frozen=True)
class TopCrops:
    """The crops of several latents that have equally many.

    Args:
        crops_lk: Numbers (l, k) of the crops.
        odds_lk: Odds m / (1 - m), (l, k), that a crop belongs to what the latent stands for.
    """

    crops_lk: Tensor
    odds_lk: Tensor


def odds(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Odds of crops by a latent's values (k,) on them, which are above 0.

    >>> odds(np.array([4.0, 2.0])).round(1).tolist()
    [49.0, 32.3]
    """
    least, most = MEMBERSHIPS
    membership_k: npt.NDArray[np.float64] = least + (most - least) * values / values.max()
    return membership_k / (1 - membership_k)


def evidence_chunks(crops_ne: Tensor, words_ve: Tensor, tops: TopCrops) -> Iterator[Tensor]:
    """Evidence (c, v), float32, of all words for the latents, a chunk of latents at a time.

    Args:
        crops_ne: Unit embeddings of all crops, of any floating dtype.
        words_ve: Unit embeddings of the words, float32.
        tops: The latents.
    """
    n_latents, n_crops = tops.crops_lk.shape
    per_chunk = max(1, PROBABILITY_BYTES // (4 * n_crops * len(words_ve)))
    for start in range(0, n_latents, per_chunk):
        crops_cke = crops_ne[tops.crops_lk[start : start + per_chunk]].float()
        p_ckv = torch.softmax(SCALE * (crops_cke @ words_ve.T), dim=-1)
        odds_ck1 = tops.odds_lk[start : start + per_chunk, :, None].float()
        yield p_ckv.mul_(odds_ck1).log1p_().sum(1)
