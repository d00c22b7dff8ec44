"""Definitions of the metrics, as sums that can be added up over batches and processes.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae. All sums are float64: ViT activations have channels
a thousand times larger than the rest, and float32 sums lose the small ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor

DENSE_FREQUENCY = 0.1


class ReconstructionSums(NamedTuple):
    """Sums over tokens: their number, x, x^2, the residual x - x_hat and its square, per dimension (d,)."""

    n: Tensor
    x_d: Tensor
    x2_d: Tensor
    r_d: Tensor
    r2_d: Tensor


def reconstruction_sums(x_bd: Tensor, x_hat_bd: Tensor) -> ReconstructionSums:
    """Sums of one batch."""
    x, r = x_bd.double(), x_bd.double() - x_hat_bd.double()
    n = torch.tensor(len(x), dtype=torch.float64, device=x.device)
    return ReconstructionSums(n, x.sum(0), x.square().sum(0), r.sum(0), r.square().sum(0))


def _centred(n: Tensor, sum_d: Tensor, square_d: Tensor) -> Tensor:
    return (square_d - sum_d.square() / n).sum()


def fvu(sums: ReconstructionSums) -> Tensor:
    r"""Fraction of variance unexplained, also called NMSE: a scalar, 0 is perfect, 1 is the mean.

    .. math:: FVU = \sum_b \|x_b - \hat x_b\|^2 \; / \; \sum_b \|x_b - \bar x\|^2
    """
    return sums.r2_d.sum() / _centred(sums.n, sums.x_d, sums.x2_d)


def explained_variance(sums: ReconstructionSums) -> Tensor:
    r"""One minus the variance of the residual over the variance of x, summed over dimensions.

    Unlike 1 - FVU it forgives a constant offset of the reconstruction.
    """
    return 1 - _centred(sums.n, sums.r_d, sums.r2_d) / _centred(sums.n, sums.x_d, sums.x2_d)


def fraction_of_variance_unexplained(x_bd: Tensor, x_hat_bd: Tensor) -> Tensor:
    """FVU of one set of activations (b, d) and their reconstructions (b, d).

    >>> x = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    >>> fraction_of_variance_unexplained(x, torch.ones(2, 2)).item()
    1.0
    """
    return fvu(reconstruction_sums(x_bd, x_hat_bd))


class CodeSums(NamedTuple):
    """Sums over tokens: their number, how often each latent fired (s,), and the L1 norms of the codes."""

    n: Tensor
    fires_s: Tensor
    l1: Tensor


def code_sums(f_bs: Tensor) -> CodeSums:
    """Sums of one batch of codes. A latent fires where its code is above 0."""
    n = torch.tensor(len(f_bs), dtype=torch.float64, device=f_bs.device)
    return CodeSums(n, (f_bs > 0).sum(0), f_bs.abs().sum(dtype=torch.float64))


def l0(sums: CodeSums) -> Tensor:
    """Mean number of latents that fire on a token."""
    return sums.fires_s.sum() / sums.n


def l1(sums: CodeSums) -> Tensor:
    """Mean L1 norm of a token's codes, in normalised units."""
    return sums.l1 / sums.n


def dead_share(sums: CodeSums) -> Tensor:
    """Share of the latents that fired on none of the tokens."""
    return (sums.fires_s == 0).double().mean()


def dense_share(sums: CodeSums, frequency: float = DENSE_FREQUENCY) -> Tensor:
    """Share of the latents that fired on more than this share of the tokens."""
    return (sums.fires_s / sums.n > frequency).double().mean()
