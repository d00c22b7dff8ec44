"""Whether training has made an SAE worse than nothing.

Shape suffixes: b = tokens of a batch, d = d_in.
"""

import math
from typing import Final

import torch
from torch import Tensor

from saev.errors import InputError
from saev.metrics.reconstruction import ReconstructionSums, fvu, reconstruction_sums
from saev.nn import SparseAutoencoder

MAX_TOKENS: Final = 1024
"""Of a batch: enough for an FVU that is off by orders of magnitude, and little memory for their dense codes."""

ROUNDING: Final = 1e-12
"""Share of the squares that rounding may leave where nothing varies."""


class DivergenceError(InputError):
    """Raised where the losses or weights of all SAEs in training are not finite."""


@torch.no_grad()
def evaluated_fvu(sae: SparseAutoencoder, x_bd: Tensor) -> Tensor:
    """FVU, a float64 scalar, of raw activations of all processes, as the SAE reconstructs them outside of training."""
    x_bd = x_bd[: max(1, MAX_TOKENS // sae.processes.tokens.size)]
    was_training = sae.training
    sae.eval()
    with torch.autocast(x_bd.device.type, enabled=False):
        sums = reconstruction_sums(x_bd, sae(x_bd))
    sae.train(was_training)
    sums = ReconstructionSums(*(sae.processes.tokens.sum(one) for one in sums))
    square = sums.x2_d.sum()
    varies = square - (sums.x_d.square() / sums.n).sum() > ROUNDING * square
    # Where all tokens are the same, FVU is undefined: then only values that are not finite count.
    return torch.where(varies, fvu(sums), 0 * sums.r2_d.sum())


def has_diverged(at_start: float, at_end: float) -> bool:
    """Whether reconstructions are worse than the mean of the activations, and worse than before training.

    An SAE without any code reaches FVU 1, so that training which ends above it has done harm, unless it began higher,
    as random weights may, and was too short to get down.

    >>> has_diverged(0.9, 0.3), has_diverged(7.0, 3.0), has_diverged(0.9, 1e21), has_diverged(0.9, float("nan"))
    (False, False, True, True)
    """
    return not math.isfinite(at_end) or (at_end > 1 and at_end > at_start)
