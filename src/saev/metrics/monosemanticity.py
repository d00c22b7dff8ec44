"""Whether the images that a latent fires on are alike.

Shape suffixes: i = images of a batch, e = width of the embedding, s = d_sae.
"""

from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchmetrics import Metric
from typing_extensions import override


class MonosemanticitySums(NamedTuple):
    """Sums over images: their number, their unit embeddings e; for each latent where it fired, its a, a^2 and a e."""

    n: Tensor
    e_e: Tensor
    fires_s: Tensor
    a_s: Tensor
    a2_s: Tensor
    ae_se: Tensor


def monosemanticity_sums(a_is: Tensor, embeddings_ie: Tensor) -> MonosemanticitySums:
    """Sums of one batch of images."""
    a, e = a_is.double(), normalize(embeddings_ie.double(), dim=-1)
    n = torch.tensor(len(a), dtype=torch.float64, device=a.device)
    return MonosemanticitySums(n, e.sum(0), (a > 0).sum(0), a.sum(0), a.square().sum(0), a.T @ e)


def monosemanticity_scores(sums: MonosemanticitySums) -> Tensor:
    r"""Score (s,) of each latent: the mean cosine of two images, weighted by its activations on both.

    .. math:: MS = \frac{\sum_{n<m} a_n a_m \cos(e_n, e_m)}{\sum_{n<m} a_n a_m}
        = \frac{\|\sum_n a_n e_n\|^2 - \sum_n a_n^2}{(\sum_n a_n)^2 - \sum_n a_n^2} \quad (\|e_n\| = 1)

    NaN where the latent fired on fewer than two images. The left side is Pach et al. 2025
    (https://arxiv.org/abs/2504.02821) for activations whose minimum is 0: dividing by the maximum changes nothing. The
    right side, linear in the number of images, is that of Nasiri-Sarvi et al. 2026 (https://arxiv.org/abs/2602.12403).
    """
    weighted_s = sums.ae_se.square().sum(-1) - sums.a2_s
    return torch.where(sums.fires_s > 1, weighted_s / (sums.a_s.square() - sums.a2_s), torch.nan)


def mean_pair_cosine(sums: MonosemanticitySums) -> Tensor:
    """Mean cosine of two different images: the score of a latent that fires equally on all of them."""
    return (sums.e_e.square().sum() - sums.n) / (sums.n.square() - sums.n)


@final
class Monosemanticity(Metric):
    """Monosemanticity scores over all updates and processes, in time linear in the number of images.

    `update` takes the activations (i, s) of images, for each latent the largest over the image's tokens, and
    embeddings (i, e) of the same images: the CLS token or the mean patch. `compute` gives scalars:
    ``"monosemanticity"`` (mean over the latents that fired on two images or more), ``"monosemanticity_best"`` (the
    largest), ``"monosemanticity_baseline"`` (mean cosine of two images) and ``"monosemanticity_scored"`` (share of the
    latents that have a score). It keeps d_sae x d_embedding float64 sums.

    Args:
        d_embedding: Width of the embeddings.
    """

    full_state_update = False
    is_differentiable = False

    def __init__(self, d_sae: int, d_embedding: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shapes = {"n": (), "e_e": (d_embedding,), "ae_se": (d_sae, d_embedding)}
        for name in MonosemanticitySums._fields:
            dtype = torch.int64 if name == "fires_s" else torch.float64
            self.add_state(name, torch.zeros(shapes.get(name, (d_sae,)), dtype=dtype), dist_reduce_fx="sum")

    @override
    def update(self, a_is: Tensor, embeddings_ie: Tensor) -> None:
        for name, value in monosemanticity_sums(a_is, embeddings_ie)._asdict().items():
            setattr(self, name, getattr(self, name) + value)

    @override
    def compute(self) -> dict[str, Tensor]:
        """The scores of everything since the last reset; NaN where there are none."""
        sums = MonosemanticitySums(*(getattr(self, name) for name in MonosemanticitySums._fields))
        scores = monosemanticity_scores(sums)
        scored = scores[scores.isfinite()]
        return {
            "monosemanticity": scored.mean(),
            "monosemanticity_best": scored.max() if len(scored) else scored.mean(),
            "monosemanticity_baseline": mean_pair_cosine(sums),
            "monosemanticity_scored": scores.isfinite().double().mean(),
        }
