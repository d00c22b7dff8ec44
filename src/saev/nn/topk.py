"""TopK sparse autoencoder."""

from typing import Any, final

from torch import Tensor

from saev.errors import InputError
from saev.nn.base import SparseAutoencoder
from saev.nn.functional import keep_top_k


@final
class TopK(SparseAutoencoder):
    r"""Keeps the k largest pre-activations of each token: :math:`f = ReLU(TopK_k(h))`.

    L0 is at most k, so that no sparsity penalty is needed. Gao et al. 2024, "Scaling and evaluating sparse
    autoencoders", https://arxiv.org/abs/2406.04093.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Latents that may be active on one token.

    Raises:
        InputError: If k is not between 1 and d_sae.
    """

    def __init__(self, d_in: int, d_sae: int = 16_384, k: int = 32) -> None:
        super().__init__(d_in, d_sae)
        if not 1 <= k <= d_sae:
            raise InputError(f"k={k} must lie between 1 and d_sae={d_sae}: lower k or raise d_sae")
        self.k = k

    def activate(self, h_bs: Tensor) -> Tensor:
        """The k largest positive pre-activations of each token, zeros elsewhere."""
        return keep_top_k(h_bs, self.k)

    def sparsity_penalty(self, f_bs: Tensor) -> Tensor:
        """Zero: k fixes the sparsity."""
        return f_bs.new_zeros(())

    def options(self) -> dict[str, Any]:
        """d_sae and k."""
        return {"d_sae": self.d_sae, "k": self.k}
