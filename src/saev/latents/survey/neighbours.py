"""The latents that are nearest to others.

Shape suffixes: s = d_sae, d = d_in, a = some latents, n = neighbours, r = latents of a block.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

COSINE_CELLS: Final = 2**22  # Cosines in memory at once.


class Neighbours(NamedTuple):
    """The nearest latents of some latents, the nearest first; none is its own neighbour.

    Args:
        latents: (a, n) int64, -1 where there are fewer.
        cosines: (a, n) float32, 0 where there are fewer.
    """

    latents: Tensor
    cosines: Tensor


def nearest_decoders(W_dec: Tensor, latents_a: Tensor, n: int) -> Neighbours:
    """Neighbours by the cosine of the decoders; memory: those of unit length, and 16 MiB of cosines.

    Args:
        W_dec: (s, d), on any device.
        latents_a: Latents.
        n: Neighbours of each.
    """
    unit_sd = normalize(W_dec.detach().float(), dim=1)
    n_found = min(n, len(unit_sd) - 1)
    latents = torch.full((len(latents_a), n), -1)
    cosines = torch.zeros(len(latents_a), n)
    step = max(1, COSINE_CELLS // len(unit_sd))
    for start in range(0, len(latents_a), step):
        rows_r = latents_a[start : start + step].to(unit_sd.device)
        cosines_rs = unit_sd[rows_r] @ unit_sd.T
        cosines_rs.scatter_(1, rows_r[:, None], -torch.inf)
        best = cosines_rs.topk(n_found, dim=1)
        latents[start : start + step, :n_found] = best.indices.cpu()
        cosines[start : start + step, :n_found] = best.values.cpu()
    return Neighbours(latents, cosines)
