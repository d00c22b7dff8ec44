"""JumpReLU sparse autoencoder."""

import math
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, TrainingPass
from saev.nn.dense_pass import dense_pass
from saev.nn.one_layer import OneLayerAutoencoder

# For activations of the same mean squared norm as here; the values that SAELens gives as Anthropic's, too.
TANH_STEEPNESS = 4.0
SILENCE_COEFF = 3e-6

FIRST_L0 = 64  # At most this many latents are active on a token when training starts from data.
CALIBRATION_TOKENS = 512
PACE = 10.0


@final
class JumpReLU(OneLayerAutoencoder):
    r"""Codes :math:`f = h \cdot [h > \theta]` with a trained threshold :math:`\theta_s > 0` for each latent.

    The penalty counts the active latents of a token, up to a factor:

    .. math:: \lambda \cdot mean_b \sum_s [h_{bs} > \theta_s] / d_{in}

    As z has mean squared norm d_in and rows of W_dec have norm 1, a code pays off where it explains more than
    :math:`\lambda` of that: codes below :math:`\sqrt\lambda` are not worth their price.

    A step has no gradient where it is flat; thresholds learn from the pre-activations that are close to them, by
    the gradients of a step smoothed with a rectangle K of width :math:`\epsilon`:

    .. math::
        \frac{\partial}{\partial \theta} [h > \theta] := -\frac{1}{\epsilon} K\Big(\frac{h - \theta}{\epsilon}\Big),
        \quad
        \frac{\partial f}{\partial \theta} := -\frac{\theta}{\epsilon} K\Big(\frac{h - \theta}{\epsilon}\Big).

    Rajamanoharan et al. 2024, "Jumping Ahead", https://arxiv.org/abs/2407.14435. The penalty "tanh" follows
    Anthropic's update of January 2025, https://transformer-circuits.pub/2025/january-update; its gradient also makes
    small codes smaller, and its second term brings back latents that never fire:

    .. math::
        \lambda \cdot mean_b \sum_s \tanh(4 f_{bs} \|W_{dec,s}\|) / d_{in} +
        3 \cdot 10^{-6} \cdot mean_b \sum_s ReLU(\theta_s - h_{bs}) \|W_{dec,s}\| / d_{in}

    with norms of 1 here.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        l0_coeff: The weight :math:`\lambda` of the penalty. Larger is sparser.
        penalty: How active latents are counted.
        bandwidth: The width :math:`\epsilon`, on the scale of the codes: some units for normalised activations.
        threshold: Where thresholds start, for encoders of norm 1; from data they start where some tens of latents fire.

    Raises:
        InputError: If l0_coeff is negative, or bandwidth or threshold not positive.

    >>> sae = JumpReLU(d_in=8, d_sae=32, threshold=0.5)
    >>> f_bs = sae.encode(torch.randn(5, 8))
    >>> (f_bs[f_bs > 0] > 0.499).all().item(), sae.thresholds().shape
    (True, torch.Size([32]))
    """

    def __init__(
        self,
        d_in: int,
        d_sae: int = 16_384,
        l0_coeff: float = 1.0,
        penalty: Literal["l0", "tanh"] = "l0",
        bandwidth: float = 2.0,
        threshold: float = 3.0,
    ) -> None:
        super().__init__(d_in, d_sae)
        if l0_coeff < 0:
            raise InputError(f"l0_coeff={l0_coeff} must not be negative")
        if not (bandwidth > 0 and threshold > 0):
            raise InputError(f"bandwidth={bandwidth} and threshold={threshold} must be positive")
        if penalty not in ("l0", "tanh"):
            raise InputError(f"penalty={penalty!r} must be 'l0' or 'tanh'")
        self.l0_coeff = l0_coeff
        self.penalty = penalty
        self.bandwidth = bandwidth
        self.threshold = threshold
        # Trained as logarithms: positive, and learned as fast whatever their size. Divided by PACE: a step of Adam
        # changes a threshold by PACE times the learning rate, so that it can follow an encoder that starts small.
        self.log_threshold = nn.Parameter(torch.full((d_sae,), math.log(threshold) / PACE))

    def thresholds(self) -> Tensor:
        """The thresholds (s,)."""
        return (PACE * self.log_threshold).exp()

    @override
    def activate(self, h_bs: Tensor) -> Tensor:
        """The pre-activations above their thresholds."""
        codes: Tensor = _Jump.apply(h_bs, self.thresholds(), self.bandwidth)
        return codes

    @override
    @torch.no_grad()
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        """Thresholds start anew, too: on the scale of given encoders, or as the mean of the others."""
        others_s = torch.ones_like(self.log_threshold, dtype=torch.bool)
        others_s[latents_a] = False
        start = self.log_threshold[others_s].mean() if size is None else (size * self.threshold).log() / PACE
        super().reset_latents(latents_a, directions_ad, size)
        self.log_threshold[latents_a] = start.to(self.log_threshold)

    @override
    @torch.no_grad()
    def calibrate(self, z_bd: Tensor) -> None:
        """One threshold for all, so that some tens of latents are active on a token.

        Thousands of latents near the data would all be active, each with a little: thresholds are learned too slowly
        to leave such a start in a short run.
        """
        n_active = max(1, min(FIRST_L0, self.d_sae // 16))
        h_bs = self.pre_activations(z_bd[:CALIBRATION_TOKENS])
        weakest = h_bs.flatten().topk(n_active * len(h_bs)).values[-1]
        self.log_threshold.fill_(weakest.clamp_min(1e-6).log() / PACE)

    @override
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        h_bs = self.pre_activations(z_bd)
        threshold_s = self.thresholds()
        f_bs: Tensor = _Jump.apply(h_bs, threshold_s, self.bandwidth)
        if self.penalty == "l0":
            penalty = self.l0_coeff * _Count.apply(h_bs, threshold_s, self.bandwidth)
        else:
            silence = (threshold_s - h_bs).relu().sum()
            penalty = self.l0_coeff * (TANH_STEEPNESS * f_bs).tanh().sum() + SILENCE_COEFF * silence
        return dense_pass(self, z_bd, f_bs, progress.sparsity * penalty / (len(z_bd) * self.d_in))


class _Jump(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, h_bs: Tensor, threshold_s: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(h_bs, threshold_s)
        ctx.bandwidth = bandwidth
        return h_bs * (h_bs > threshold_s)

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (h_bs, threshold_s), grad_bs = ctx.saved_tensors, grads[0]
        near_bs = (h_bs - threshold_s).abs() < ctx.bandwidth / 2
        to_threshold_s = -(threshold_s / ctx.bandwidth) * (grad_bs * near_bs).flatten(0, -2).sum(
            0, dtype=threshold_s.dtype
        )
        return grad_bs * (h_bs > threshold_s), to_threshold_s, None


class _Count(torch.autograd.Function):
    """How many latents are active on all tokens together."""

    @staticmethod
    @override
    def forward(ctx: Any, h_bs: Tensor, threshold_s: Tensor, bandwidth: float) -> Tensor:
        near_bs = (h_bs - threshold_s).abs() < bandwidth / 2
        ctx.save_for_backward(near_bs.sum(0) / bandwidth)
        return (h_bs > threshold_s).sum().to(threshold_s)

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        (density_s,) = ctx.saved_tensors
        return None, -grads[0] * density_s, None
