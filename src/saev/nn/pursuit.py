r"""Matching pursuit: codes found one after the other, with gradients that touch only these.

.. math::
    r_0 = z, \quad s_t = argmax_s \langle r_t, W_s \rangle, \quad v_t = ReLU(\langle r_t, W_{s_t} \rangle), \quad
    r_{t+1} = r_t - v_t W_{s_t}.

Shape suffixes: b = tokens, r = tokens of a block, d = d_in, s = d_sae, k = steps.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override


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
