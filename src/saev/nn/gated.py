"""Gated sparse autoencoder."""

from typing import Self, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, TrainingPass
from saev.nn.dense_pass import bias_pace, dense_pass
from saev.nn.one_layer import OneLayerAutoencoder


@final
class Gated(OneLayerAutoencoder):
    r"""Decides by a gate which latents are active, and apart from it how much, so that a penalty shrinks no codes.

    The pre-activations :math:`h = z W_{enc} + b_{enc}` are the gate; magnitudes use the same directions:

    .. math::
        f = [h > 0] \cdot ReLU(e^{r_{mag}} (h - b_{enc}) + b_{mag})

    A step passes no gradient on: the gate learns from its own codes :math:`ReLU(h)`, which are penalised, and which
    must reconstruct with a decoder that does not learn from them:

    .. math::
        L = MSE(z, \; f W_{dec} + b_{dec}) + \lambda \cdot mean_b \sum_s ReLU(h_{bs}) / d_{in}
        + MSE(z, \; ReLU(h) \overline{W_{dec}} + \overline{b_{dec}})

    with the mean over tokens and dimensions in MSE. Rajamanoharan et al. 2024, "Improving Dictionary Learning with
    Gated Sparse Autoencoders", https://arxiv.org/abs/2404.16014.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        l1_coeff: The weight :math:`\lambda` of the penalty. Larger is sparser.

    Raises:
        InputError: If l1_coeff is negative.

    >>> sae = Gated(d_in=8, d_sae=32)
    >>> sae.encode(torch.randn(5, 8)).shape, sae.r_mag.shape, sae.b_mag.shape
    (torch.Size([5, 32]), torch.Size([32]), torch.Size([32]))
    """

    def __init__(self, d_in: int, d_sae: int = 16_384, l1_coeff: float = 1.0) -> None:
        super().__init__(d_in, d_sae)
        if l1_coeff < 0:
            raise InputError(f"l1_coeff={l1_coeff} must not be negative")
        self.l1_coeff = l1_coeff
        self.r_mag = nn.Parameter(torch.zeros(d_sae))
        self.b_mag = nn.Parameter(torch.zeros(d_sae))

    @override
    def lr_multipliers(self) -> dict[str, float]:
        """Biases are fast."""
        return {"b_enc": bias_pace(self.d_in), "b_mag": bias_pace(self.d_in)}

    @override
    def activate(self, h_bs: Tensor) -> Tensor:
        """The magnitudes where the gate is open."""
        scale_s = self.r_mag.exp()
        magnitude_bs = h_bs * scale_s + (self.b_mag - self.b_enc * scale_s)
        return magnitude_bs.relu() * (h_bs > 0)

    @override
    @torch.no_grad()
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        """Gate and magnitude start equal."""
        super().reset_latents(latents_a, directions_ad, size)
        self.r_mag[latents_a] = 0
        self.b_mag[latents_a] = 0

    @override
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        h_bs = self.pre_activations(z_bd)
        gate_bs = h_bs.relu()
        z_gate_bd = gate_bs @ self.W_dec.detach() + self.b_dec.detach()
        penalty = progress.sparsity * self.l1_coeff * gate_bs.sum() / (len(z_bd) * self.d_in)
        return dense_pass(self, z_bd, self.activate(h_bs), penalty, extra=(z_gate_bd - z_bd).square().mean())

    @override
    @torch.no_grad()
    def folded(self) -> Self:
        """As for every one-layer SAE; b_mag changes by what b_enc changes by, on the scale of the magnitudes."""
        other = super().folded()
        other.b_mag.add_((other.b_enc - self.b_enc) * self.r_mag.exp())
        return other
