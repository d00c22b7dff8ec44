"""ReLU sparse autoencoder with an L1 penalty."""

from typing import Any, final

from torch import Tensor

from saev.errors import InputError
from saev.nn.base import SparseAutoencoder


@final
class ReLU(SparseAutoencoder):
    r"""Codes :math:`f = ReLU(h)`, kept sparse by the penalty :math:`\lambda \cdot mean_b \sum_s f_{bs} / d_{in}`.

    The division by d_in puts the penalty on the scale of the mean squared error, so that a coefficient means
    the same for narrow and wide ViTs. Rows of W_dec have norm 1, hence shrinking the codes and growing the
    decoder is no way out. Bricken et al. 2023, "Towards Monosemanticity",
    https://transformer-circuits.pub/2023/monosemantic-features.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        l1_coeff: The weight of the penalty. Larger is sparser.

    Raises:
        InputError: If l1_coeff is negative.
    """

    def __init__(self, d_in: int, d_sae: int = 16_384, l1_coeff: float = 1.0) -> None:
        super().__init__(d_in, d_sae)
        if l1_coeff < 0:
            raise InputError(f"l1_coeff={l1_coeff} must not be negative")
        self.l1_coeff = l1_coeff

    def activate(self, h_bs: Tensor) -> Tensor:
        """The positive pre-activations."""
        return h_bs.relu()

    def sparsity_penalty(self, f_bs: Tensor) -> Tensor:
        """l1_coeff times the mean L1 norm of the codes over d_in."""
        return self.l1_coeff * f_bs.sum(-1).mean() / self.d_in

    def options(self) -> dict[str, Any]:
        """d_sae and l1_coeff."""
        return {"d_sae": self.d_sae, "l1_coeff": self.l1_coeff}
