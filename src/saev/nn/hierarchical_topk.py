"""One TopK SAE for many budgets."""

from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress
from saev.nn.pattern import Pattern
from saev.nn.prefixes import nested_loss, nested_reconstructions
from saev.nn.selecting import SelectingAutoencoder


@final
class HierarchicalTopK(SelectingAutoencoder):
    r"""A TopK SAE whose strongest codes must reconstruct alone, so that it can be used with any smaller k.

    With budgets :math:`k_1 < \dots < k_G = k`, and :math:`f^{(j)}` the j largest codes of a token,

    .. math:: L = \frac{1}{G} \sum_g MSE(z, \; f^{(k_g)} W_{dec} + b_{dec}).

    Balagansky et al. 2025, "Train One Sparse Autoencoder Across Multiple Sparsity Budgets",
    https://arxiv.org/abs/2505.24473. A loaded SAE is used with a smaller budget by setting ``sae.selection.k``.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: The largest budget.
        budgets: The smaller ones, ascending; by default all powers of two below k.

    Raises:
        InputError: If k is not between 1 and d_sae, or a budget not between 1 and k.

    >>> HierarchicalTopK(d_in=8, d_sae=64, k=32).budgets  # and k
    [1, 2, 4, 8, 16]
    """

    def __init__(self, d_in: int, d_sae: int = 16_384, k: int = 32, budgets: list[int] | None = None) -> None:
        super().__init__(d_in, d_sae, k, per="token")
        if budgets is None:
            budgets = [2**power for power in range(k.bit_length()) if 2**power < k]
        if budgets != sorted(set(budgets)) or not all(0 < budget <= k for budget in budgets):
            raise InputError(f"budgets={budgets} must ascend and lie between 1 and k={k}")
        self.budgets = [budget for budget in budgets if budget < k]

    @override
    def options(self) -> dict[str, Any]:
        return {"d_sae": self.d_sae, "k": self.k, "budgets": [budget for budget in self.budgets if budget < self.k]}

    @override
    def reconstruction(
        self, z_bd: Tensor, values_n: Tensor, pattern: Pattern, decoder_sd: Tensor, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The loss over all budgets, and the reconstruction by all codes."""
        values_bk = values_n.detach().view(len(z_bd), -1)
        rank_bk = values_bk.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        budgets = torch.tensor(self.budgets, device=z_bd.device)
        group_n = torch.bucketize(rank_bk.flatten(), budgets, right=True)
        z_hat_bgd = nested_reconstructions(values_n, pattern, group_n, len(budgets) + 1, decoder_sd) + self.b_dec
        return nested_loss(z_bd, z_hat_bgd), z_hat_bgd[:, -1]
