"""Sparse autoencoders whose encoder is one linear layer."""

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from saev.nn.base import SparseAutoencoder


class OneLayerAutoencoder(SparseAutoencoder, ABC):
    r"""An SAE with codes :math:`f = act(h)` of pre-activations :math:`h = z W_{enc} + b_{enc}`."""

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__(d_in, d_sae)
        # Transposed in memory: the weights of a latent lie together, where sparse gradients add to them.
        self.W_enc = nn.Parameter(self.W_dec.detach().clone().T)
        self.b_enc = nn.Parameter(torch.zeros(d_sae))

    @abstractmethod
    def activate(self, h_bs: Tensor) -> Tensor:
        """Sparse, non-negative codes (b, s) of the pre-activations (b, s)."""

    @override
    def codes(self, z_bd: Tensor) -> Tensor:
        return self.activate(self.pre_activations(z_bd))

    @override
    def pre_activations(self, z_bd: Tensor, latents_a: Tensor | None = None) -> Tensor:
        if latents_a is None:
            return F.linear(z_bd, self.W_enc.T, self.b_enc)
        return F.linear(z_bd, self.W_enc.T[latents_a], self.b_enc[latents_a])

    @override
    @torch.no_grad()
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        if size is None:
            size = self.mean_size(latents_a)
        self.W_dec[latents_a] = directions_ad.to(self.W_dec)
        self.W_enc.T[latents_a] = (size * directions_ad).to(self.W_enc)
        self.b_enc[latents_a] = 0

    def mean_size(self, except_a: Tensor) -> Tensor:
        """The mean norm of the encoders of all latents, of all processes that divide them, but some."""
        norms_s: Tensor = torch.linalg.vector_norm(self.W_enc, dim=0)
        others_s = torch.ones_like(norms_s, dtype=torch.bool)
        others_s[except_a] = False
        latents = self.processes.latents
        return latents.sum(norms_s[others_s].sum()) / latents.sum(others_s.sum())

    @override
    @torch.no_grad()
    def folded(self) -> Self:
        r"""Rows of W_dec lose their norm.

        .. math::
            W_{enc}' = diag(1 / \sigma) W_{enc}, \; b_{enc}' = b_{enc} - (\mu / \sigma) W_{enc}, \;
            W_{dec}' = W_{dec} diag(\sigma), \; b_{dec}' = \sigma b_{dec} + \mu
        """
        other = deepcopy(self)
        other.b_enc.sub_((self.mean_d / self.scale_d) @ self.W_enc)
        other.W_enc.div_(self.scale_d[:, None])
        other.W_dec.mul_(self.scale_d)
        other.b_dec.mul_(self.scale_d).add_(self.mean_d)
        other.mean_d.zero_()
        other.scale_d.fill_(1)
        return other
