"""Relaxed archetypal sparse autoencoder."""

import math
from typing import Literal, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.nn.functional import unit_rows
from saev.nn.selecting import SelectingAutoencoder

OWN_SHARE = 0.9  # Of the data point that a latent starts from, in its mixture.
BLOCK = 1024  # Latents started at once: bounds the memory of their mixtures.


@final
class Archetypal(SelectingAutoencoder):
    r"""TopK or BatchTopK with a dictionary that stays close to the data, and so changes little with the seed.

    Each row of the decoder is a mixture of data points C (p, d), normalised activations of norm 1, and a bounded
    deviation from it:

    .. math::
        W_{dec} = A C + \Lambda, \quad A = softmax(A_{logits}) \text{ over each row}, \quad
        \|\Lambda_s\| \le \delta.

    With :math:`\delta = 0` all latents decode to the convex hull of the points. The points are drawn far from each
    other when training starts from data, and never change. Mixtures are trained as logits, where the paper projects
    them onto the simplex after each step: steps of Adam are as large for the thousands of points that a latent has
    nothing of as for its own, and would fill all mixtures evenly.

    Fel et al. 2025, "Archetypal SAE: Adaptive and Stable Dictionary Learning for Concept Extraction in Large Vision
    Models", https://arxiv.org/abs/2502.12892.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Active latents a token.
        per: Whether each token keeps k (TopK), or a batch k a token on average (BatchTopK).
        n_points: Number of data points p; A has d_sae times as many entries.
        delta: The most that a row may deviate from its mixture.

    Raises:
        InputError: If k is out of range, n_points is not positive, or delta is negative.

    >>> sae = Archetypal(d_in=8, d_sae=32, k=4, n_points=16)
    >>> sae.points.shape, sae.A_logits.shape, sae.W_dec.shape
    (torch.Size([16, 8]), torch.Size([32, 16]), torch.Size([32, 8]))
    """

    points: Tensor

    def __init__(
        self,
        d_in: int,
        d_sae: int = 16_384,
        k: int = 32,
        per: Literal["token", "batch"] = "token",
        n_points: int = 4096,
        delta: float = 1.0,
    ) -> None:
        super().__init__(d_in, d_sae, k, per)
        if n_points < 1:
            raise InputError(f"n_points={n_points} must be at least 1")
        if not 0 <= delta < math.inf:
            raise InputError(f"delta={delta} must be 0 or more, and finite")
        self.per = per
        self.delta = delta
        self.has_unit_rows = False
        self.register_buffer("points", unit_rows(torch.randn(n_points, d_in)))
        self.A_logits = nn.Parameter(torch.zeros(d_sae, n_points))
        self.deviation = nn.Parameter(torch.zeros(d_sae, d_in))
        # Follows from the others; kept so that decoding needs no product with the points.
        self.W_dec.requires_grad_(False)
        if self.W_dec.is_meta:
            return  # it is looked at for its sizes alone, which may be beyond all memory
        self.reset_latents(torch.arange(d_sae), self.points.repeat(-(-d_sae // n_points), 1)[:d_sae], torch.ones(()))

    @property
    @override
    def n_points(self) -> int:
        return len(self.points)

    @override
    def keep_points(self, points_pd: Tensor) -> None:
        """From now on these are what the dictionary is made of."""
        self.points.copy_(points_pd)

    @override
    def decoder(self) -> Tensor:
        return self.A_logits.softmax(1) @ self.points + self.deviation

    @override
    @torch.no_grad()
    def constrain(self) -> None:
        """Shorten deviations to delta, and bring W_dec up to date."""
        norm_s1 = torch.linalg.vector_norm(self.deviation, dim=1, keepdim=True)
        self.deviation.mul_((self.delta / norm_s1.clamp_min(1e-12)).clamp_max(1))
        self.W_dec.copy_(self.decoder())

    @override
    @torch.no_grad()
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        """Mixtures start at the point nearest to the direction, and deviate towards it as far as they may."""
        for part_a, toward_ad in zip(torch.split(latents_a, BLOCK), torch.split(directions_ad, BLOCK), strict=True):
            self._start(part_a, toward_ad.to(self.points))
        self.constrain()
        rows_ad = self.W_dec[latents_a]
        super().reset_latents(latents_a, unit_rows(rows_ad), size)
        self.W_dec[latents_a] = rows_ad

    def _start(self, latents_a: Tensor, toward_ad: Tensor) -> None:
        nearest_a = (toward_ad @ self.points.T).argmax(1)
        others = (1 - OWN_SHARE) / max(1, self.n_points - 1)
        logits_ap = toward_ad.new_zeros(len(latents_a), self.n_points)
        logits_ap.scatter_(1, nearest_a[:, None], math.log(OWN_SHARE / others))
        self.A_logits[latents_a] = logits_ap
        self.deviation[latents_a] = toward_ad - logits_ap.softmax(1) @ self.points
