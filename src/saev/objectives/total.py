"""The loss of one training step, from its parts."""

from dataclasses import dataclass

from torch import Tensor

from saev.nn import SparseAutoencoder
from saev.objectives.auxk import auxk_loss
from saev.objectives.reconstruction import mean_squared_error


@dataclass(frozen=True)
class AuxK:
    """Settings of the auxiliary loss: its weight and the dead latents active on one token."""

    coeff: float
    k: int


@dataclass(frozen=True)
class StepLosses:
    """The parts of the loss (scalars), and the codes (b, s) that they were computed from."""

    mse: Tensor
    sparsity: Tensor
    auxk: Tensor
    codes: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.mse + self.sparsity + self.auxk


def step_losses(sae: SparseAutoencoder, x_bd: Tensor, dead_s: Tensor, aux: AuxK) -> StepLosses:
    """Losses of raw activations (b, d), in the normalised space.

    Args:
        sae: The SAE in training.
        x_bd: Raw activations.
        dead_s: (s,) bool, the latents that the auxiliary loss may use.
        aux: Settings of the auxiliary loss; with a coefficient of 0 it is not computed.
    """
    z_bd = sae.normalize(x_bd)
    h_bs = sae.pre_activations(z_bd)
    f_bs = sae.activate(h_bs)
    z_hat_bd = sae.reconstruct(f_bs)
    auxk = f_bs.new_zeros(())
    if aux.coeff > 0:
        auxk = aux.coeff * auxk_loss(z_bd - z_hat_bd, h_bs, sae.W_dec, dead_s, aux.k)
    return StepLosses(mean_squared_error(z_hat_bd, z_bd), sae.sparsity_penalty(f_bs), auxk, f_bs.detach())
