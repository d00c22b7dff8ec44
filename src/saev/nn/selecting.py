"""Architectures whose codes are selected by their size."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.nn.base import Progress, TrainingPass
from saev.nn.one_layer import OneLayerAutoencoder
from saev.nn.pattern import Pattern, combine, encode_selected
from saev.nn.pre_activations import PreActivations, Product
from saev.nn.screening import ScreenedProduct, screening_pays
from saev.nn.selection import PerBatch, PerToken, Selection

PEAK_LR = {"token": 8e-3, "batch": 4e-3}  # A higher one lets reset latents upset the others of a batch.
# With a faster encoder more latents lose their tokens to others and die.
ENCODER_LR = {"token": 0.4, "batch": 0.6}

SELECTIONS: dict[str, type[Selection]] = {"token": PerToken, "batch": PerBatch}


class SelectingAutoencoder(OneLayerAutoencoder, ABC):
    """An SAE that keeps the largest pre-activations, and whose training step works on these alone.

    The product with W_enc finds out which are the largest; it needs no gradient, and under autocast it is of low
    precision. The values of the selected ones are computed again in the precision of the weights, and all that
    follows, gradients included, touches only them. L0 is given by k, so that no sparsity penalty is needed.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Active latents a token.
        per: Whether each token keeps k, or a batch k a token on average.

    Raises:
        InputError: If k is not between 1 and d_sae.
    """

    @abstractmethod  # One that sets no `per` of its own is none of those that users choose from.
    def __init__(self, d_in: int, d_sae: int, k: int, per: str) -> None:
        super().__init__(d_in, d_sae)
        check_k(k, d_sae)
        if per not in SELECTIONS:
            raise InputError(f"per={per!r} must be {' or '.join(SELECTIONS)}")
        self.selection = SELECTIONS[per](k)
        self.peak_lr = PEAK_LR[per]
        self._encoder_lr = ENCODER_LR[per]

    @property
    def k(self) -> int:
        """Active latents a token."""
        return self.selection.k

    @override
    def lr_multipliers(self) -> dict[str, float]:
        """The encoder is slow."""
        return {"W_enc": self._encoder_lr}

    @override
    def activate(self, h_bs: Tensor) -> Tensor:
        """The largest positive pre-activations, zeros elsewhere."""
        return self.selection.activate(h_bs, self.processes)

    def decoder(self) -> Tensor:
        """The rows (s, d) that the latents decode to, on the graph of what is trained."""
        return self.W_dec

    @override
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        k = min(round(self.k * progress.k), self.d_sae)
        with torch.no_grad():
            pattern, known_n = self.selection.select(self._pre_activations(z_bd, k), k, self.processes)
        with torch.autocast(z_bd.device.type, enabled=False):
            exact_n = known_n if known_n.dtype == self.W_enc.dtype else None
            values_n = encode_selected(z_bd, self.W_enc.T, self.b_enc, pattern, exact_n).relu()
            decoder_sd = self.decoder()
            loss, z_hat_bd = self.reconstruction(z_bd, values_n, pattern, decoder_sd, progress)
        codes_n = values_n.detach()
        active_n = codes_n > 0
        fired_s = torch.zeros(pattern.d_sae + 1, dtype=torch.bool, device=codes_n.device)
        fired_s[pattern.latents_n.where(active_n, pattern.d_sae)] = True  # a mask as index would wait for the device
        return TrainingPass(
            reconstruction=loss,
            sparsity=loss.new_zeros(()),
            decoder_sd=decoder_sd,
            z_hat_bd=z_hat_bd.detach(),
            fired_s=fired_s[:-1],
            l0=active_n.sum() / len(z_bd),
            l1=codes_n.sum() / len(z_bd),
        )

    def reconstruction(
        self,
        z_bd: Tensor,
        values_n: Tensor,
        pattern: Pattern,
        decoder_sd: Tensor,
        progress: Progress,  # noqa: ARG002 - for architectures that draw something in each step
    ) -> tuple[Tensor, Tensor]:
        """The loss, the mean squared error over tokens and dimensions, and the reconstruction (b, d)."""
        own_bd = combine(values_n, decoder_sd, pattern)
        z_hat_bd = self.processes.latents.sum_on_graph(own_bd) + self.b_dec
        return (z_hat_bd - z_bd).square().mean(), z_hat_bd

    def _pre_activations(self, z_bd: Tensor, k: int) -> PreActivations:
        """Of low precision under autocast."""
        device = z_bd.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else z_bd.dtype
        if device == "cpu" and dtype == torch.float32 and screening_pays(k, self.W_enc):
            return ScreenedProduct(z_bd, self.W_enc, self.b_enc)
        return Product(z_bd, self.W_enc, self.b_enc, dtype)


def check_k(k: int, d_sae: int) -> None:
    """Raise InputError unless so many latents can be active."""
    if not 1 <= k <= d_sae:
        raise InputError(f"k={k} must lie between 1 and d_sae={d_sae}: lower k or raise d_sae")
