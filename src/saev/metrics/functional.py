"""Definitions of the metrics, as sums that can be added up over batches and processes.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae. All sums are float64: ViT activations have channels
a thousand times larger than the rest, and float32 sums lose the small ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

DENSE_FREQUENCY = 0.1
DENSE_1PCT_FREQUENCY = 0.01
ALMOST_DEAD_FREQUENCY = 1e-7
HISTOGRAM_EDGES = tuple(10 ** (half / 2) for half in range(-14, 0))
"""Between the bins of the frequencies above 0, half a decade each: 1e-7, 3.2e-7, 1e-6, ..., 0.32."""


class ReconstructionSums(NamedTuple):
    """Sums over tokens: per dimension (d,) x, x^2, the residual r = x - x_hat, r^2 and x r; n, and cos(x, x_hat)."""

    n: Tensor
    x_d: Tensor
    x2_d: Tensor
    r_d: Tensor
    r2_d: Tensor
    xr_d: Tensor
    cosine: Tensor


def reconstruction_sums(x_bd: Tensor, x_hat_bd: Tensor) -> ReconstructionSums:
    """Sums of one batch."""
    x, x_hat = x_bd.double(), x_hat_bd.double()
    r = x - x_hat
    n = torch.tensor(len(x), dtype=torch.float64, device=x.device)
    cosine = cosine_similarity(x, x_hat, dim=-1).sum()
    return ReconstructionSums(n, x.sum(0), x.square().sum(0), r.sum(0), r.square().sum(0), (x * r).sum(0), cosine)


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


def mean_cosine(sums: ReconstructionSums) -> Tensor:
    r"""Mean over tokens of the cosine of x and \(\hat x\), both raw.

    The mean of the activations, which is not subtracted, makes it larger than the cosine of what varies.
    """
    return sums.cosine / sums.n


def reconstruction_bias(sums: ReconstructionSums) -> Tensor:
    r"""Relative reconstruction bias: below 1 where reconstructions shrink towards the mean, 1 where they do not.

    .. math:: \gamma = \arg\min_g \sum_b \|(\hat x_b - \bar x) / g - (x_b - \bar x)\|^2
        = \sum_b \|\hat x_b - \bar x\|^2 \; / \; \sum_b \langle \hat x_b - \bar x, x_b - \bar x \rangle

    with the mean \(\bar x\) of all evaluated tokens (Rajamanoharan et al. 2024, equation 10,
    https://arxiv.org/abs/2404.16014, where nothing is subtracted).
    """
    x2 = _centred(sums.n, sums.x_d, sums.x2_d)
    xr = (sums.xr_d - sums.x_d * sums.r_d / sums.n).sum()
    return (x2 - 2 * xr + sums.r2_d.sum()) / (x2 - xr)


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


def almost_dead_share(sums: CodeSums, frequency: float = ALMOST_DEAD_FREQUENCY) -> Tensor:
    """Share of the latents that fired on less than this share of the tokens; dead latents count, too."""
    return (sums.fires_s / sums.n < frequency).double().mean()


def frequency_histogram(sums: CodeSums) -> Tensor:
    """Numbers of latents by frequency, int64: never; above 0 and below the first of `HISTOGRAM_EDGES`; from each edge
    to below the next one; from the last edge on.

    >>> one = torch.ones((), dtype=torch.float64)
    >>> frequency_histogram(CodeSums(n=10 * one, fires_s=torch.tensor([0, 1, 2, 10]), l1=one)).tolist()
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    """
    frequency_s = sums.fires_s / sums.n
    edges = torch.tensor(HISTOGRAM_EDGES, dtype=frequency_s.dtype, device=frequency_s.device)
    bins_s = torch.where(sums.fires_s > 0, torch.bucketize(frequency_s, edges, right=True) + 1, 0)
    return torch.bincount(bins_s, minlength=len(HISTOGRAM_EDGES) + 2)
