r"""Scores of words that can be compared with what a meaningless latent reaches.

A shuffled latent has as many crops as a real one, of different pictures and with a real one's odds, but drawn
from the crops of all latents. A first set of shuffled latents gives mean and deviation of each word's evidence, and
with them the score z of a word for a latent; this takes away that some words fit all pictures of a collection, as the
prior of CLIP-Dissect does. A second set gives the distribution of the best word's score, and with it

.. math:: p = \frac{1 + \#\{\text{shuffled latents whose best score reaches the latent's}\}}{1 + \#\text{shuffled}}.

A latent whose crops are a random draw is one more shuffled latent, so its p is uniform: naming where p <= 1 % names 1 %
of the meaningless latents, whatever the number of words. A latent on coherent pictures for which the
vocabulary has no word gets the nearest one: calibration separates chance from agreement, not right words from wrong
ones.

Shape suffixes as in `saev.latents.naming.evidence`; r = shuffled latents, b = best words.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from saev.latents.naming.evidence import TopCrops, evidence_chunks

N_SHUFFLED = 1000
N_BEST = 5
_ROUNDING = 1e-5  # Deviations of the evidence below this share of its mean are rounding.

Chunks = Iterable[Tensor]


@final
@dataclass(frozen=True)
class Pool:
    """What shuffled latents draw from: one entry for each crop of each latent, so that shared crops come more often.

    Args:
        crops: Numbers of the crops.
        pictures: The pictures that these are of; those of one latent are different.
    """

    crops: npt.NDArray[np.int64]
    pictures: npt.NDArray[np.int64]


@final
@dataclass(frozen=True)
class BestWords:
    """The best words of latents.

    Args:
        words_lb: Numbers (l, b) of the words, best first.
        z_lb: Their scores, in deviations of the same word's evidence for shuffled latents.
        p_l: Share of shuffled latents whose best word has a score as high.
    """

    words_lb: Tensor
    z_lb: Tensor
    p_l: Tensor


def best_words(
    crops_ne: Tensor,
    pool: Pool,
    words_ve: Tensor,
    tops: TopCrops,
    rng: np.random.Generator,
) -> BestWords:
    """The best words of latents that have equally many crops, calibrated.

    Memory: `evidence.PROBABILITY_BYTES` three times over, and a few numbers for each latent.

    Args:
        crops_ne: Unit embeddings of the crops of all latents.
        pool: The crops of all latents, also of those that are not in `tops`.
        words_ve: Unit embeddings of the words.
        tops: The latents.
        rng: Draws the shuffled latents.
    """

    def shuffled() -> Chunks:
        return evidence_chunks(crops_ne, words_ve, shuffled_tops(pool, tops, N_SHUFFLED, rng))

    return calibrated(evidence_chunks(crops_ne, words_ve, tops), shuffled)


def calibrated(scores: Chunks, shuffled: Callable[[], Chunks]) -> BestWords:
    """Compare scores (c, v) of words, in chunks of latents, with those of two sets of shuffled latents.

    Args:
        scores: Of the latents.
        shuffled: Draws and scores a set of shuffled latents.
    """
    mean_v, std_v = _moments(shuffled())
    highest_r = torch.cat([standardised(chunk, mean_v, std_v).amax(1) for chunk in shuffled()]).sort().values
    words, zs, ps = [], [], []
    for chunk in scores:
        z_cv = standardised(chunk, mean_v, std_v)
        z_cb, words_cb = z_cv.topk(min(N_BEST, z_cv.shape[1]), dim=1)
        reached_c = len(highest_r) - torch.searchsorted(highest_r, z_cb[:, 0].contiguous())
        words.append(words_cb)
        zs.append(z_cb)
        ps.append((1 + reached_c) / (1 + len(highest_r)))
    return BestWords(torch.cat(words), torch.cat(zs), torch.cat(ps))


def standardised(scores_cv: Tensor, mean_v: Tensor, std_v: Tensor) -> Tensor:
    """Scores in deviations from a word's mean; 0 for words whose scores do not vary but for rounding."""
    varies_v = std_v > _ROUNDING * mean_v.abs()
    z_cv = (scores_cv.double() - mean_v) / torch.where(varies_v, std_v, 1)
    return torch.where(varies_v, z_cv, 0)


def _moments(chunks: Chunks) -> tuple[Tensor, Tensor]:
    """Mean and deviation (v,) over all latents, float64, by chunks (Chan et al. 1983)."""
    n, mean_v, squares_v = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for chunk in chunks:
        chunk_cv = chunk.double()
        n_new, new_mean_v = len(chunk_cv), chunk_cv.mean(0)
        delta_v = new_mean_v - mean_v
        squares_v = squares_v + (chunk_cv - new_mean_v).square().sum(0) + delta_v.square() * n * n_new / (n + n_new)
        mean_v = mean_v + delta_v * n_new / (n + n_new)
        n += n_new
    return mean_v, (squares_v / (n - 1)).sqrt()


def shuffled_tops(pool: Pool, tops: TopCrops, n_shuffled: int, rng: np.random.Generator) -> TopCrops:
    """Shuffled latents with as many crops as those of `tops`, and the odds of some of them."""
    n_latents, n_crops = tops.crops_lk.shape
    drawn_rk = np.stack([_of_different_pictures(pool.pictures, n_crops, rng) for _ in range(n_shuffled)])
    odds_rk = tops.odds_lk[torch.from_numpy(rng.integers(n_latents, size=n_shuffled))]
    return TopCrops(torch.from_numpy(pool.crops[drawn_rk]), odds_rk)


def _of_different_pictures(
    pictures: npt.NDArray[np.int64], n_crops: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The first entries of a random order that are of pictures not seen before; a few are drawn first, then all."""
    for n_drawn in (min(4 * n_crops, len(pictures)), len(pictures)):
        drawn = rng.choice(len(pictures), n_drawn, replace=False, shuffle=True)
        firsts = np.sort(np.unique(pictures[drawn], return_index=True)[1])
        if len(firsts) >= n_crops:
            break
    assert len(firsts) >= n_crops, f"a latent has {n_crops} crops, but all are of {len(firsts)} pictures"
    return drawn[firsts[:n_crops]]
