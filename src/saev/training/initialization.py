"""Where training starts: statistics of the activations and weights made from data points.

Shape suffixes: n = sampled tokens, d = d_in, s = d_sae.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from saev.nn.base import SparseAutoencoder
from saev.nn.functional import unit_rows

Init = Literal["data", "random"]
Normalization = Literal["scalar", "dimension", "none"]

DATA_SHARE = 0.8
FIT_TOKENS = 4096
STATISTICS_TOKENS = 65_536  # That are float64 at the same time.
ROUNDS = 16
MAX_PICKS_A_ROUND = 256  # Bounds the memory of the distances: samples times this.


@torch.no_grad()
def set_normalization(sae: SparseAutoencoder, x_nd: Tensor, kind: Normalization = "scalar") -> None:
    """Store the mean and the scale of a sample.

    Large means relative to the spread kill latents early (https://arxiv.org/abs/2605.31518). Float64 sums:
    some channels of a ViT are a thousand times larger than the others.

    Args:
        x_nd: Raw sampled activations.
        kind: scalar: z has mean 0 and mean squared norm d_in. dimension: so has each dimension for itself, with
            variance 1. none: z is x.
    """
    if kind == "none":
        return
    blocks = torch.split(x_nd, STATISTICS_TOKENS)
    mean_d = torch.stack([x.double().sum(0) for x in blocks]).sum(0) / len(x_nd)
    sae.mean_d.copy_(mean_d)
    variance_d = torch.stack([(x.double() - mean_d).square().sum(0) for x in blocks]).sum(0) / len(x_nd)
    if kind == "scalar":
        variance_d = variance_d.mean().expand_as(variance_d)
    sae.scale_d.copy_(variance_d.sqrt().clamp_min(1e-12))


@torch.no_grad()
def initialize_from_data(sae: SparseAutoencoder, x_nd: Tensor, generator: torch.Generator) -> None:
    r"""Point the latents at data: rows of W_dec are directions of sampled tokens far apart, blended with noise.

    .. math:: W_{dec} = unit(0.8 \, unit(z) + 0.2 \, unit(\epsilon)), \quad W_{enc} = \alpha W_{dec}^T

    where :math:`\alpha = \langle z, \hat z \rangle / \langle \hat z, \hat z \rangle` makes the first
    reconstruction as good as a scalar can. Neighbouring tokens of a ViT are near-duplicates: many similar
    latents add up, and without the fit the first error is a hundred times the variance.
    Data-point initialisation: https://transformer-circuits.pub/2023/monosemantic-features.

    Args:
        sae: The SAE; its normalisation is already set.
        x_nd: Raw sampled activations; used repeatedly where there are fewer than d_sae.
    """
    u_nd = unit_rows(sae.normalize(x_nd))
    points_p = _spread_points(u_nd, sae.n_points, generator)
    sae.keep_points(u_nd[points_p])
    points_s = points_p.repeat(math.ceil(sae.d_sae / sae.n_points))[: sae.d_sae]
    noise_sd = torch.randn(sae.d_sae, sae.d_in, generator=generator)[sae.own_latents].to(u_nd)
    w_sd = unit_rows(DATA_SHARE * u_nd[points_s[sae.own_latents]] + (1 - DATA_SHARE) * unit_rows(noise_sd))
    everything = torch.arange(len(w_sd), device=w_sd.device)
    z_nd = sae.normalize(x_nd[:FIT_TOKENS])
    sae.reset_latents(everything, w_sd, w_sd.new_ones(()))
    sae.calibrate(z_nd)
    z_hat_nd = sae.reconstruct(sae.codes(z_nd))
    alpha = (z_nd * z_hat_nd).sum() / z_hat_nd.square().sum().clamp_min(1e-12)
    sae.reset_latents(everything, w_sd, alpha)
    sae.calibrate(z_nd)


def _spread_points(u_nd: Tensor, n_points: int, generator: torch.Generator) -> Tensor:
    """Indices (n_points,) of unit vectors that are far from each other.

    k-means|| (Bahmani et al. 2012, https://arxiv.org/abs/1203.6402): in each round points are drawn with a
    probability proportional to their squared distance to the nearest point drawn before. A plain draw
    would take most points from the backgrounds that fill most patches, and all but a few of these latents die.
    """
    n_distinct = min(n_points, len(u_nd))
    nearest_n = u_nd.new_full((len(u_nd),), -1.0)
    drawn: list[Tensor] = []
    left = n_distinct
    while left:
        # 1 - cosine is half the squared distance; a little is added for duplicates, points drawn have nothing.
        weights_n = (1 - nearest_n).clamp_min(1e-6)
        weights_n[torch.cat(drawn) if drawn else slice(0)] = 0
        size = min(left, MAX_PICKS_A_ROUND, -(-n_distinct // ROUNDS))
        drawn.append(torch.multinomial(weights_n.cpu(), size, generator=generator).to(u_nd.device))
        nearest_n = torch.maximum(nearest_n, (u_nd @ u_nd[drawn[-1]].T).amax(1))
        left -= size
    return torch.cat(drawn).repeat(math.ceil(n_points / n_distinct))[:n_points]
