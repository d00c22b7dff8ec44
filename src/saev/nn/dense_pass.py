"""The training pass of architectures whose codes are a dense matrix."""

import math

from torch import Tensor

from saev.nn.base import SparseAutoencoder, TrainingPass

BIAS_PACE = 0.5


def bias_pace(d_in: int) -> float:
    r"""How many times as fast as the weights the biases should learn where they decide what stays silent.

    For normalised activations codes are of the size of :math:`\sqrt{d_{in}}`, and a step of Adam moves every parameter
    by about the learning rate: in a short run the biases would not come to where the penalty wants them, and many
    small codes stay active.
    """
    return BIAS_PACE * math.sqrt(d_in)


def dense_pass(
    sae: SparseAutoencoder, z_bd: Tensor, f_bs: Tensor, sparsity: Tensor, extra: Tensor | None = None
) -> TrainingPass:
    """The mean squared error of the reconstruction by codes (b, s), beside their penalty.

    Args:
        sae: The architecture.
        z_bd: Normalised activations.
        f_bs: Codes, on the graph.
        sparsity: The penalty, a scalar.
        extra: What the architecture adds to the reconstruction loss.
    """
    z_hat_bd = sae.reconstruct(f_bs)
    loss = (z_hat_bd - z_bd).square().mean()
    codes_bs = f_bs.detach()
    active_bs = codes_bs > 0
    return TrainingPass(
        reconstruction=loss if extra is None else loss + extra,
        sparsity=sparsity,
        decoder_sd=sae.W_dec,
        z_hat_bd=z_hat_bd.detach(),
        fired_s=active_bs.any(0),
        l0=active_bs.sum() / len(z_bd),
        l1=codes_bs.sum() / len(z_bd),
    )
