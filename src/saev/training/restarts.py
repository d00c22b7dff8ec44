"""New starts for dead latents.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae, a = latents that start anew.
"""

import torch
from torch import Tensor

from saev.nn.base import SparseAutoencoder
from saev.nn.functional import unit_rows


@torch.no_grad()
def worst_directions(sae: SparseAutoencoder, x_bd: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Directions (n, d) in which the reconstruction of some tokens is wrong, the same in each process.

    Tokens are drawn with a probability proportional to their squared error. Resampling of dead neurons after
    Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features, which takes
    directions of the tokens; the directions of what is missing do not repeat what other latents have learned.

    Args:
        x_bd: Raw activations, equally many in each process and at least n in all of them.
        generator: A CPU generator for the draw, in the same state in each process.
    """
    z_bd = sae.normalize(x_bd)
    tokens = sae.processes.tokens
    residual_bd = z_bd - sae.reconstruct(sae.codes(z_bd))
    error_b = residual_bd.square().sum(-1).nan_to_num(0, 0, 0) + torch.finfo(residual_bd.dtype).tiny
    drawn = torch.multinomial(tokens.rows(error_b).cpu(), n, generator=generator).to(x_bd.device)
    own = drawn - tokens.rank * len(x_bd)
    directions_nd = residual_bd[own.clamp(0, len(x_bd) - 1)]
    directions_nd[(own < 0) | (own >= len(x_bd))] = 0
    return unit_rows(tokens.sum(directions_nd))


@torch.no_grad()
def forget_moments(optimizer: torch.optim.Optimizer, sae: SparseAutoencoder, latents_a: Tensor) -> None:
    """Zero what the optimizer remembers of latents; it would push their new weights the old way."""
    for weight, dim in sae.latent_parameters():
        for moment in optimizer.state.get(weight, {}).values():
            if moment.shape == weight.shape:
                moment.index_fill_(dim, latents_a, 0)
