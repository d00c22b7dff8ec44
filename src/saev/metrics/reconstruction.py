"""How well activations are reconstructed."""

from typing import Any, final

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from saev.metrics.functional import (
    ReconstructionSums,
    explained_variance,
    fvu,
    mean_cosine,
    reconstruction_bias,
    reconstruction_sums,
)


@final
class ReconstructionQuality(Metric):
    """FVU (= NMSE), explained variance, cosine and bias over all updates and processes.

    `update` takes raw activations (b, d) and their reconstructions (b, d); `compute` gives
    ``{"fvu", "explained_variance", "cosine", "bias"}``, scalars.

    Args:
        d_in: Width of the activations.
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
        """Add a batch."""
        for name, value in reconstruction_sums(x_bd, x_hat_bd)._asdict().items():
            setattr(self, name, getattr(self, name) + value)

    @override
    def compute(self) -> dict[str, Tensor]:
        """The values of everything since the last reset."""
        sums = ReconstructionSums(*(getattr(self, name) for name in ReconstructionSums._fields))
        return {
            "fvu": fvu(sums),
            "explained_variance": explained_variance(sums),
            "cosine": mean_cosine(sums),
            "bias": reconstruction_bias(sums),
        }
