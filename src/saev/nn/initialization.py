"""Where training starts: statistics of the activations and weights made from data points.

Shape suffixes: n = sampled tokens, d = d_in, s = d_sae.
"""

import math

import torch
from torch import Tensor

from saev.nn.base import SparseAutoencoder
from saev.nn.functional import unit_rows

DATA_SHARE = 0.8


@torch.no_grad()
def set_normalization(sae: SparseAutoencoder, x_nd: Tensor) -> None:
    """Store the mean and the scale of a sample, so that z has mean 0 and mean squared norm d_in.

    Large means relative to the spread kill latents early (https://arxiv.org/abs/2605.31518). Float64 sums:
    some channels of a ViT are a thousand times larger than the others.
    """
    x = x_nd.double()
    sae.mean_d.copy_(x.mean(0))
    sae.scale.copy_((x - x.mean(0)).square().mean().sqrt().clamp_min(1e-12))


@torch.no_grad()
def initialize_from_data(sae: SparseAutoencoder, x_nd: Tensor, generator: torch.Generator) -> None:
    r"""Point the latents at data: rows of W_dec are directions of sampled tokens, blended with noise.

    .. math:: W_{dec} = unit(0.8 \, unit(z) + 0.2 \, unit(\epsilon)), \quad W_{enc} = \alpha W_{dec}^T

    where :math:`\alpha = \langle z, \hat z \rangle / \langle \hat z, \hat z \rangle` makes the first
    reconstruction as good as a scalar can. Neighbouring tokens of a ViT are near-duplicates: many similar
    latents add up, and without the fit the first error is a hundred times the variance.
    Data-point initialisation: https://transformer-circuits.pub/2023/monosemantic-features.

    Args:
        sae: The SAE; its normalisation is already set.
        x_nd: Raw sampled activations; drawn with replacement where there are fewer than d_sae.
        generator: Source of the noise and of the draw.
    """
    n_samples = len(x_nd)
    draw = torch.randperm(n_samples, generator=generator)
    draw = draw.repeat(math.ceil(sae.d_sae / n_samples))[: sae.d_sae]
    points_sd = unit_rows(sae.normalize(x_nd[draw]))
    noise_sd = unit_rows(torch.randn(sae.d_sae, sae.d_in, generator=generator).to(points_sd))
    w_sd = unit_rows(DATA_SHARE * points_sd + (1 - DATA_SHARE) * noise_sd)
    sae.W_dec.copy_(w_sd)
    sae.W_enc.copy_(w_sd.T)
    z_nd = sae.normalize(x_nd[: min(n_samples, 4096)])
    z_hat_nd = sae.reconstruct(sae.activate(sae.pre_activations(z_nd)))
    alpha = (z_nd * z_hat_nd).sum() / z_hat_nd.square().sum().clamp_min(1e-12)
    sae.W_enc.mul_(alpha)
