"""Matryoshka sparse autoencoder."""

from typing import Any, Literal, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress
from saev.nn.pattern import Pattern
from saev.nn.prefixes import nested_loss, nested_reconstructions
from saev.nn.selecting import SelectingAutoencoder


@final
class Matryoshka(SelectingAutoencoder):
    r"""Nested dictionaries: the first latents must reconstruct alone, so that general features come first.

    With prefixes :math:`m_1 < \dots < m_G = d_{sae}` of the latents,

    .. math:: L = \frac{1}{G} \sum_g MSE(z, \; f_{:m_g} W_{dec, :m_g} + b_{dec}).

    Bussmann et al. 2025, "Learning Multi-Level Features with Matryoshka Sparse Autoencoders",
    https://arxiv.org/abs/2503.17547.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Active latents a token.
        per: Whether each token keeps k (TopK), or a batch k a token on average (BatchTopK).
        prefixes: Sizes of the nested dictionaries, ascending; d_sae is added. By default a 16th, an eighth, a
            quarter and half of the latents.
        random_prefixes: This many sizes drawn anew for each step instead, small ones more often: u^2 d_sae with a
            uniform u.

    Raises:
        InputError: If k or a prefix is out of range, or both kinds of prefixes are given.

    >>> Matryoshka(d_in=8, d_sae=64, k=4).prefixes  # and all 64
    [4, 8, 16, 32]
    """

    is_divisible = True

    def __init__(
        self,
        d_in: int,
        d_sae: int = 16_384,
        k: int = 32,
        per: Literal["token", "batch"] = "batch",
        prefixes: list[int] | None = None,
        random_prefixes: int = 0,
    ) -> None:
        super().__init__(d_in, d_sae, k, per)
        if prefixes is not None and random_prefixes:
            raise InputError(f"prefixes={prefixes} or random_prefixes={random_prefixes}: leave one of them out")
        if prefixes is None:
            prefixes = [] if random_prefixes else sorted({max(1, d_sae // part) for part in (16, 8, 4, 2)} - {d_sae})
        if prefixes != sorted(set(prefixes)) or not all(0 < size <= d_sae for size in prefixes):
            raise InputError(f"prefixes={prefixes} must ascend and lie between 1 and d_sae={d_sae}")
        if not 0 <= random_prefixes < d_sae:
            raise InputError(f"random_prefixes={random_prefixes} must lie between 0 and d_sae={d_sae}")
        self.per = per
        self.prefixes = [size for size in prefixes if size < d_sae]
        self.random_prefixes = random_prefixes

    @override
    def options(self) -> dict[str, Any]:
        options = {"d_sae": self.d_sae, "k": self.k, "per": self.per}
        if self.random_prefixes:
            return options | {"random_prefixes": self.random_prefixes}
        return options | {"prefixes": self.prefixes}

    @override
    def reconstruction(
        self, z_bd: Tensor, values_n: Tensor, pattern: Pattern, decoder_sd: Tensor, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The loss over all prefixes, and the reconstruction by all latents."""
        sizes = self._sizes(progress.step).to(z_bd.device)
        group_n = torch.bucketize(pattern.latents_n + self.own_latents.start, sizes, right=True)
        own_bgd = nested_reconstructions(values_n, pattern, group_n, len(sizes) + 1, decoder_sd)
        z_hat_bgd = self.processes.latents.sum_on_graph(own_bgd) + self.b_dec
        return nested_loss(z_bd, z_hat_bgd), z_hat_bgd[:, -1]

    def _sizes(self, step: int) -> Tensor:
        """Sizes of all dictionaries but the whole one."""
        if not self.random_prefixes:
            return torch.tensor(self.prefixes)
        # The same in each process, and again after a resume.
        u = torch.rand(self.random_prefixes, generator=torch.Generator().manual_seed(step))
        return (u.square() * (self.d_sae - 1)).long().add(1).sort().values
