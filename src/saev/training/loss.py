"""The loss of one training step, from its parts."""

from dataclasses import dataclass

from torch import Tensor

from saev.nn import Progress, SparseAutoencoder, TrainingPass
from saev.training.auxk import auxk_loss


@dataclass(frozen=True)
class AuxK:
    """Settings of the auxiliary loss: its weight and the dead latents active on one token."""

    coeff: float
    k: int


@dataclass(frozen=True)
class StepLosses:
    """The loss of a step: what the architecture gives, and the auxiliary loss, a scalar."""

    architecture: TrainingPass
    auxk: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.architecture.reconstruction + self.architecture.sparsity + self.auxk


def step_losses(
    sae: SparseAutoencoder, x_bd: Tensor, dead_a: Tensor, aux: AuxK, progress: Progress | None = None
) -> StepLosses:
    """Losses of raw activations (b, d), in the normalised space.

    Args:
        sae: The SAE in training.
        x_bd: Raw activations.
        dead_a: The latents that the auxiliary loss may use.
        aux: Settings of the auxiliary loss; with a coefficient of 0 it is not computed.
        progress: How far the run has come; by default all warming up is over.
    """
    z_bd = sae.normalize(x_bd)
    found = sae.training_pass(z_bd, progress or Progress())
    auxk = found.reconstruction.new_zeros(())
    if aux.coeff > 0 and sae.processes.latents.total(len(dead_a), x_bd.device):
        h_ba, decoder_ad = sae.pre_activations(z_bd, dead_a), found.decoder_sd[dead_a]
        auxk = aux.coeff * auxk_loss(z_bd - found.z_hat_bd, h_ba, decoder_ad, aux.k, sae.processes)
    return StepLosses(found, auxk)
