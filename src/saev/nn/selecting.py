"""Architectures whose codes are selected by their size."""

from abc import ABC
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.memory import empty_bytes
from saev.nn.base import Step, TrainingPass
from saev.nn.one_layer import OneLayerAutoencoder
from saev.nn.pattern import Pattern, combine, encode_selected
from saev.nn.selection import PerBatch, PerToken, Selection

BLOCK_BYTES = {"cpu": 2**24, "cuda": 2**30}  # Of pre-activations: those of a batch are never all in memory.
PEAK_LR = {"token": 8e-3, "batch": 4e-3}  # With more new starts of dead latents upset the others of a batch.
# With a faster encoder more latents lose their tokens to others and die.
ENCODER_PACE = {"token": 0.4, "batch": 0.6}

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

    def __init__(self, d_in: int, d_sae: int, k: int, per: str) -> None:
        super().__init__(d_in, d_sae)
        check_k(k, d_sae)
        if per not in SELECTIONS:
            raise InputError(f"per={per!r} must be {' or '.join(SELECTIONS)}")
        self.selection = SELECTIONS[per](k)
        self.peak_lr = PEAK_LR[per]
        self._encoder_pace = ENCODER_PACE[per]

    @property
    def k(self) -> int:
        """Active latents a token."""
        return self.selection.k

    @override
    def paces(self) -> dict[str, float]:
        """The encoder is slow."""
        return {"W_enc": self._encoder_pace}

    @override
    def activate(self, h_bs: Tensor) -> Tensor:
        """The largest positive pre-activations, zeros elsewhere."""
        return self.selection.activate(h_bs, self.processes)

    def decoder(self) -> Tensor:
        """The rows (s, d) that the latents decode to, on the graph of what is trained."""
        return self.W_dec

    @override
    def training_pass(self, z_bd: Tensor, step: Step) -> TrainingPass:
        k = min(round(self.k * step.k), self.d_sae)
        with torch.no_grad():
            pattern, known_n = self.selection.select(partial(self._blocks, z_bd), k, self.processes)
        with torch.autocast(z_bd.device.type, enabled=False):
            exact_n = known_n if known_n.dtype == self.W_enc.dtype else None
            values_n = encode_selected(z_bd, self.W_enc.T, self.b_enc, pattern, exact_n).relu()
            decoder_sd = self.decoder()
            loss, z_hat_bd = self.reconstruction(z_bd, values_n, pattern, decoder_sd, step)
        return _summary(loss, z_hat_bd.detach(), decoder_sd, values_n.detach(), pattern)

    def reconstruction(
        self,
        z_bd: Tensor,
        values_n: Tensor,
        pattern: Pattern,
        decoder_sd: Tensor,
        step: Step,  # noqa: ARG002 - for architectures that draw something in each step
    ) -> tuple[Tensor, Tensor]:
        """The loss, the mean squared error over tokens and dimensions, and the reconstruction (b, d)."""
        own_bd = combine(values_n, decoder_sd, pattern)
        z_hat_bd = self.processes.latents.sum_on_graph(own_bd) + self.b_dec
        return (z_hat_bd - z_bd).square().mean(), z_hat_bd

    def _blocks(self, z_bd: Tensor) -> Iterator[Tensor]:
        """Pre-activations (r, s) of some tokens after the other, in the same memory; of low precision under autocast.

        Autocast would convert the weights for each block again.
        """
        device = z_bd.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else z_bd.dtype
        z_bd, W_ds, b_s = (tensor.to(dtype) for tensor in (z_bd, self.W_enc, self.b_enc))
        rows = torch.split(z_bd, rows_of_a_block(z_bd, len(b_s)))
        shape = len(rows[0]), len(b_s)
        if device == "cpu":
            memory_rs = empty_bytes((shape[0], shape[1] * dtype.itemsize)).view(dtype)
        else:
            memory_rs = torch.empty(shape, dtype=dtype, device=device)
        for z_rd in rows:
            yield torch.addmm(b_s, z_rd, W_ds, out=memory_rs[: len(z_rd)])


def check_k(k: int, d_sae: int) -> None:
    """See whether so many latents can be active.

    Raises:
        InputError: If not.
    """
    if not 1 <= k <= d_sae:
        raise InputError(f"k={k} must lie between 1 and d_sae={d_sae}: lower k or raise d_sae")


def rows_of_a_block(z_bd: Tensor, d_sae: int) -> int:
    """How many tokens may have their pre-activations in memory at once."""
    return max(1, BLOCK_BYTES.get(z_bd.device.type, 2**30) // (4 * d_sae))


def _summary(loss: Tensor, z_hat_bd: Tensor, decoder_sd: Tensor, values_n: Tensor, pattern: Pattern) -> TrainingPass:
    active_n = values_n > 0
    fired_s = torch.zeros(pattern.d_sae, dtype=torch.bool, device=values_n.device)
    fired_s[pattern.latents_n[active_n]] = True
    n_tokens = len(z_hat_bd)
    return TrainingPass(
        reconstruction=loss,
        sparsity=loss.new_zeros(()),
        decoder_sd=decoder_sd,
        z_hat_bd=z_hat_bd,
        fired_s=fired_s,
        l0=active_n.sum() / n_tokens,
        l1=values_n.sum() / n_tokens,
    )
