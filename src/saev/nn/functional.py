"""Maths that several architectures share.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

import torch
from torch import Tensor


def unit_rows(w_sd: Tensor) -> Tensor:
    """Scale every row to Euclidean norm 1; rows of zeros stay zeros.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    norm_s1: Tensor = torch.linalg.vector_norm(w_sd, dim=-1, keepdim=True)
    return w_sd / norm_s1.clamp_min(torch.finfo(w_sd.dtype).tiny)


def to_unit_rows_(w_sd: Tensor) -> None:
    """`unit_rows` in place."""
    w_sd.div_(torch.linalg.vector_norm(w_sd, dim=-1, keepdim=True).clamp_min(torch.finfo(w_sd.dtype).tiny))


def remove_parallel_(grad_sd: Tensor, w_sd: Tensor) -> None:
    """Remove from every row of a gradient, in place, its part along the (unit-norm) row of the weights.

    Such a part changes only the norm, which is put back to 1 after the step; left in, it distorts the
    moments of Adam (Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features).
    """
    parallel_s11 = torch.bmm(grad_sd[:, None], w_sd[:, :, None])
    grad_sd.addcmul_(parallel_s11[:, 0], w_sd, value=-1)


def keep_top_k(h_bs: Tensor, k: int) -> Tensor:
    """Keep the k largest entries of every row where they are positive; everything else becomes 0."""
    values_bk, indices_bk = h_bs.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(h_bs).scatter(-1, indices_bk, values_bk.relu())
