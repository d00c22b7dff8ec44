"""The loss of one training step, from its parts.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae, a = dead latents.
"""

from dataclasses import dataclass

from torch import Tensor

from saev.nn import Progress, SparseAutoencoder, TrainingPass
from saev.nn.functional import keep_top_k
from saev.nn.processes import DIVIDED_TOKENS, Processes


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


def auxk_loss(
    residual_bd: Tensor, h_ba: Tensor, decoder_ad: Tensor, k_aux: int, processes: Processes = DIVIDED_TOKENS
) -> Tensor:
    r"""Let the dead latents explain what the living ones left.

    The k_aux largest pre-activations among the dead latents reconstruct the residual
    :math:`e = z - \hat z`; the loss is :math:`\|e - \hat e\|^2 / \|e\|^2`, scaled down while there are
    fewer than k_aux dead latents. Gao et al. 2024, appendix A.2, https://arxiv.org/abs/2406.04093.
    With processes that divide the tokens the norm of e is that of all tokens, so that the mean over the processes is
    the loss of one process that has all tokens; those that divide the latents choose among the dead ones of all.

    Args:
        residual_bd: The error of the reconstruction; no gradient flows into it.
        h_ba: Pre-activations of the dead latents, of which there is at least one in some process.
        decoder_ad: What they decode to.
        k_aux: Dead latents that may be active on one token.

    Returns:
        A scalar.
    """
    residual_bd = residual_bd.detach()
    k = min(k_aux, processes.latents.total(h_ba.shape[1], h_ba.device))
    e_hat_bd = processes.latents.sum_on_graph(keep_top_k(h_ba, k, processes.latents) @ decoder_ad)
    error = (residual_bd - e_hat_bd).square().sum() * processes.tokens.size
    norm = processes.tokens.sum(residual_bd.square().sum() + 1e-8 * residual_bd.numel())
    return (k / k_aux) * error / norm
