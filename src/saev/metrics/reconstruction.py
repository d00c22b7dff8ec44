"""How well activations are reconstructed, as sums that add up over batches and processes.

Shape suffixes: b = tokens of a batch, d = d_in. All sums are float64: ViT activations have channels a thousand times
larger than the rest, and float32 sums lose the small ones.
"""

from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torchmetrics import Metric
from typing_extensions import override


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


@final
class ReconstructionQuality(Metric):
    """FVU (= NMSE), explained variance, cosine and bias over all updates and processes.

    `update` takes raw activations (b, d) and their reconstructions (b, d); `compute` gives
    ``{"fvu", "explained_variance", "cosine", "bias"}``, scalars.
    """

    full_state_update = False
    is_differentiable = False

    def __init__(self, d_in: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ReconstructionSums._fields:
            shape = (d_in,) if name.endswith("_d") else ()
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    @override
    def update(self, x_bd: Tensor, x_hat_bd: Tensor) -> None:
        for name, value in reconstruction_sums(x_bd, x_hat_bd)._asdict().items():
            setattr(self, name, getattr(self, name) + value)

    @override
    def compute(self) -> dict[str, Tensor]:
        sums = ReconstructionSums(*(getattr(self, name) for name in ReconstructionSums._fields))
        return {
            "fvu": fvu(sums),
            "explained_variance": explained_variance(sums),
            "cosine": mean_cosine(sums),
            "bias": reconstruction_bias(sums),
        }
