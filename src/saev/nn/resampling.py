"""New starts for dead latents.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae, a = latents that start anew.
"""

import torch
from torch import Tensor

from saev.nn.base import SparseAutoencoder
from saev.nn.functional import unit_rows
from saev.nn.processes import rank, rows_of_processes, sum_over_processes


@torch.no_grad()
def worst_directions(sae: SparseAutoencoder, x_bd: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Directions (n, d) in which the reconstruction of some tokens is wrong, the same in each process.

    Tokens are drawn with a probability proportional to their squared error. Resampling of dead neurons after
    Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features, which takes
    directions of the tokens; the directions of what is missing do not repeat what other latents have learned.

    Args:
        sae: The SAE in training.
        x_bd: Raw activations, equally many in each process and at least n in all of them.
        n: Number of directions.
        generator: A CPU generator for the draw, in the same state in each process.
    """
    z_bd = sae.normalize(x_bd)
    residual_bd = z_bd - sae.reconstruct(sae.activate(sae.pre_activations(z_bd)))
    error_b = residual_bd.square().sum(-1) + torch.finfo(residual_bd.dtype).tiny
    drawn = torch.multinomial(rows_of_processes(error_b).cpu(), n, generator=generator).to(x_bd.device)
    own = drawn - rank() * len(x_bd)
    directions_nd = residual_bd[own.clamp(0, len(x_bd) - 1)]
    directions_nd[(own < 0) | (own >= len(x_bd))] = 0
    return unit_rows(sum_over_processes(directions_nd))


@torch.no_grad()
def restart_latents(sae: SparseAutoencoder, latents_a: Tensor, directions_ad: Tensor) -> None:
    """Let latents decode to and encode from directions (a, d) of norm 1, with encoders of average size.

    Args:
        sae: The SAE in training.
        latents_a: Indices of the latents, not all that there are.
        directions_ad: Their new directions.
    """
    others_s = torch.ones(sae.d_sae, dtype=torch.bool, device=latents_a.device)
    others_s[latents_a] = False
    size = torch.linalg.vector_norm(sae.W_enc[:, others_s], dim=0).mean()
    sae.W_dec[latents_a] = directions_ad.to(sae.W_dec.dtype)
    sae.W_enc[:, latents_a] = size * directions_ad.T.to(sae.W_enc.dtype)
    sae.b_enc[latents_a] = 0


@torch.no_grad()
def forget_moments(optimizer: torch.optim.Optimizer, sae: SparseAutoencoder, latents_a: Tensor) -> None:
    """Zero what the optimizer remembers of latents; it would push their new weights the old way."""
    places = ((sae.W_enc, (slice(None), latents_a)), (sae.W_dec, latents_a), (sae.b_enc, latents_a))
    for weight, place in places:
        for moment in optimizer.state.get(weight, {}).values():
            if moment.shape == weight.shape:
                moment[place] = 0
