"""ReLU sparse autoencoder with an L1 penalty."""

from typing import Literal, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, TrainingPass
from saev.nn.dense_pass import bias_pace, dense_pass
from saev.nn.one_layer import OneLayerAutoencoder


@final
class ReLU(OneLayerAutoencoder):
    r"""Codes :math:`f = ReLU(h)`, kept sparse by the penalty :math:`\lambda \cdot mean_b \sum_s f_{bs} w_s / d_{in}`.

    The division by d_in puts the penalty on the scale of the mean squared error, so that a coefficient means
    the same for narrow and wide ViTs. Shrinking the codes and growing the decoder is no way out: plain, rows of W_dec
    have norm 1 and w = 1 (Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features);
    weighted, rows are free and :math:`w_s = \|W_{dec,s}\|` (Conerly et al. 2024,
    https://transformer-circuits.pub/2024/april-update).

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        l1_coeff: The weight of the penalty. Larger is sparser.
        l1: The penalty plain, or weighted by the norms of the decoder's rows.

    Raises:
        InputError: If l1_coeff is negative.

    >>> sae = ReLU(d_in=8, d_sae=32, l1_coeff=2.0)
    >>> sae.encode(torch.randn(5, 8)).shape, sae.name
    (torch.Size([5, 32]), 'relu-d_sae32-l1_coeff2.0-l1plain')
    """

    def __init__(
        self, d_in: int, d_sae: int = 16_384, l1_coeff: float = 1.0, l1: Literal["plain", "weighted"] = "plain"
    ) -> None:
        super().__init__(d_in, d_sae)
        if not l1_coeff >= 0:
            raise InputError(f"l1_coeff={l1_coeff} must not be negative")
        if l1 not in ("plain", "weighted"):
            raise InputError(f"l1={l1!r} must be plain or weighted")
        self.l1_coeff = l1_coeff
        self.l1 = l1
        self.has_unit_rows = l1 == "plain"

    @override
    def lr_multipliers(self) -> dict[str, float]:
        """Biases are fast."""
        return {"b_enc": bias_pace(self.d_in)}

    @override
    def activate(self, h_bs: Tensor) -> Tensor:
        return h_bs.relu()

    @override
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        f_bs = self.pre_activations(z_bd).relu()
        l1 = f_bs.sum(0) @ torch.linalg.vector_norm(self.W_dec, dim=1) if self.l1 == "weighted" else f_bs.sum()
        return dense_pass(self, z_bd, f_bs, progress.sparsity * self.l1_coeff * l1 / (len(z_bd) * self.d_in))
