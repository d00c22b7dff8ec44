"""Matching pursuit sparse autoencoder."""

from typing import Self, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, SparseAutoencoder, TrainingPass
from saev.nn.pre_activations import rows_of_a_block
from saev.nn.pursuit import pursue, residual
from saev.nn.selecting import check_k


@final
class MatchingPursuit(SparseAutoencoder):
    r"""Finds k codes a token one after the other, each of what those before it left.

    There is no encoder: with :math:`r_0 = z - b_{dec}`, each step t < k takes the latent whose row of W_dec has the
    largest inner product with the residual, and that product as its code:

    .. math::
        s_t = argmax_s \langle r_t, W_{dec,s} \rangle, \quad v_t = ReLU(\langle r_t, W_{dec,s_t} \rangle), \quad
        r_{t+1} = r_t - v_t W_{dec,s_t}, \quad f_s = \sum_{t: s_t = s} v_t.

    Correlated latents do not all fire for the same thing, which suits hierarchical concepts. The loss is the mean
    squared error, :math:`\|r_k\|^2 / d_{in}`, with gradients through all steps. Encoding costs k products with W_dec,
    where other architectures need one. Costa et al. 2025, "From Flat to Hierarchical: Extracting Sparse
    Representations with Matching Pursuit", https://arxiv.org/abs/2506.03093.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Steps a token, and the most latents that can be active on it.

    Raises:
        InputError: If k is not between 1 and d_sae.

    >>> sae, x_bd = MatchingPursuit(d_in=8, d_sae=32, k=4), torch.randn(5, 8)
    >>> (sae.encode(x_bd) > 0).sum(dim=1).max().item() <= 4, ((sae(x_bd) - x_bd).norm() < x_bd.norm()).item()
    (True, True)
    """

    def __init__(self, d_in: int, d_sae: int = 16_384, k: int = 32) -> None:
        super().__init__(d_in, d_sae)
        check_k(k, d_sae)
        self.k = k

    @override
    def codes(self, z_bd: Tensor) -> Tensor:
        """What k steps find; no gradient flows back from here."""
        r_bd = (z_bd - self.b_dec).reshape(-1, self.d_in)
        found = pursue(r_bd, self.W_dec, self.k, rows_of_a_block(r_bd, self.d_sae))
        f_bs = found.values_bk.new_zeros(len(r_bd), self.d_sae)
        f_bs.scatter_add_(1, found.latents_bk, found.values_bk)
        return f_bs.view(*z_bd.shape[:-1], self.d_sae)

    @override
    def pre_activations(self, z_bd: Tensor, latents_a: Tensor | None = None) -> Tensor:
        """The inner products that the first step chooses by."""
        W_dec = self.W_dec if latents_a is None else self.W_dec[latents_a]
        return (z_bd - self.b_dec) @ W_dec.T

    @override
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        k = min(round(self.k * progress.k), self.d_sae)
        r_bd = z_bd - self.b_dec
        found = pursue(r_bd, self.W_dec, k, rows_of_a_block(r_bd, self.d_sae))
        with torch.autocast(z_bd.device.type, enabled=False):
            left_bd = residual(r_bd, self.W_dec, found)
        loss = left_bd.square().mean()
        active_bk = found.values_bk > 0
        fired_s = torch.zeros(self.d_sae, dtype=torch.bool, device=z_bd.device)
        fired_s[found.latents_bk[active_bk]] = True
        return TrainingPass(
            reconstruction=loss,
            sparsity=loss.new_zeros(()),
            decoder_sd=self.W_dec,
            z_hat_bd=z_bd - left_bd.detach(),
            fired_s=fired_s,
            l0=_n_active(found.latents_bk, active_bk) / len(z_bd),
            l1=found.values_bk.sum() / len(z_bd),
        )

    @override
    @torch.no_grad()
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        """Only the decoder has a direction; its rows have norm 1 whatever the size."""
        self.W_dec[latents_a] = directions_ad.to(self.W_dec)

    @override
    def folded(self) -> Self:
        """There is none: latents are found by a decoder of norm 1, and the scale would change its rows.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "a MatchingPursuit SAE has no plain weights that take raw activations: its encoder is its decoder; "
            "use it with its own normalisation, as `saev.load` gives it"
        )


def _n_active(latents_bk: Tensor, active_bk: Tensor) -> Tensor:
    """How many pairs of token and latent are active, those found twice counted once."""
    latents_bk = latents_bk.masked_fill(~active_bk, -1).sort(dim=1).values
    first_bk = torch.ones_like(active_bk)
    first_bk[:, 1:] = latents_bk.diff(dim=1) != 0
    return (first_bk & (latents_bk >= 0)).sum()
