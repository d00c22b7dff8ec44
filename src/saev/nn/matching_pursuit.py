"""Matching pursuit sparse autoencoder: codes found one after the other, with gradients that touch only these.

Shape suffixes: b = tokens, r = tokens of a block, d = d_in, s = d_sae, k = steps.
"""

from typing import Any, NamedTuple, Self, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, SparseAutoencoder, TrainingPass
from saev.nn.pre_activations import rows_of_a_block
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


class Pursuit(NamedTuple):
    """What k steps found, and what they left.

    A latent may be found in more than one step: its code is the sum.
    """

    latents_bk: Tensor
    values_bk: Tensor
    residual_bd: Tensor


@torch.no_grad()
def pursue(z_bd: Tensor, W_sd: Tensor, k: int, block: int) -> Pursuit:
    """Take k steps, `block` tokens at once; under autocast latents are found in low precision.

    Args:
        z_bd: What is to be explained.
        W_sd: Rows of norm 1.
        k: Steps.
        block: Bounds the memory: block times s inner products are held.
    """
    parts = [_pursue(z_rd, W_sd, k) for z_rd in torch.split(z_bd, block)]
    return Pursuit(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _pursue(z_rd: Tensor, W_sd: Tensor, k: int) -> Pursuit:
    latents, values, r_rd = [], [], z_rd
    for _ in range(k):
        latent_r = (r_rd @ W_sd.T).argmax(1)
        w_rd = W_sd[latent_r]
        value_r = (r_rd * w_rd).sum(1).relu()
        r_rd = r_rd - value_r[:, None] * w_rd
        latents.append(latent_r)
        values.append(value_r)
    return Pursuit(torch.stack(latents, 1), torch.stack(values, 1), r_rd)


def residual(z_bd: Tensor, W_sd: Tensor, found: Pursuit) -> Tensor:
    """What the pursuit left (b, d), with gradients for z and W through all its steps."""
    left: Tensor = _Residual.apply(z_bd, W_sd, found)
    return left


class _Residual(torch.autograd.Function):
    """Walks back from the last residual: no step has to keep its own."""

    @staticmethod
    @override
    def forward(ctx: Any, z_bd: Tensor, W_sd: Tensor, found: Pursuit) -> Tensor:
        ctx.save_for_backward(W_sd)
        ctx.found = found
        return found.residual_bd.clone()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (W_sd,), grad_bd, found = ctx.saved_tensors, grads[0], ctx.found
        to_weights, r_bd = torch.zeros_like(W_sd), found.residual_bd
        for latent_b, value_b in zip(found.latents_bk.T.flip(0), found.values_bk.T.flip(0), strict=True):
            w_bd, value_b1 = W_sd[latent_b], value_b[:, None]
            r_bd = r_bd + value_b1 * w_bd
            to_value_b1 = -(grad_bd * w_bd).sum(1, keepdim=True) * (value_b1 > 0)
            to_weights.index_add_(0, latent_b, to_value_b1 * r_bd - value_b1 * grad_bd)
            grad_bd = grad_bd + to_value_b1 * w_bd
        return grad_bd, to_weights, None
