"""Maths that several architectures share.

Shape suffixes: b = tokens of a batch (any number of leading dimensions), d = d_in, s = d_sae, c = candidates,
n = candidates of all processes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from saev.nn import kernels
from saev.nn.processes import ALONE, Group

CODES_BYTES = 2**28
"""Bound of the dense codes of one batch of images; at least one image is in it."""


def images_at_once(d_sae: int, n_tokens: int) -> int:
    """How many images of so many tokens are encoded together."""
    return max(1, CODES_BYTES // (4 * d_sae * n_tokens))


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


def top_k(h_bs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and indices of the k largest entries of every row, in no order; gradients flow to the values."""
    if not kernels.available_for(h_bs):
        top = h_bs.topk(k, dim=-1, sorted=False)
        return top.values, top.indices
    from saev.nn.kernels.largest import largest

    indices_bk = largest(h_bs.detach().reshape(-1, h_bs.shape[-1]), k)[1].view(*h_bs.shape[:-1], k)
    return h_bs.gather(-1, indices_bk), indices_bk


def keep_top_k(h_bs: Tensor, k: int, latents: Group = ALONE) -> Tensor:
    """Keep the k largest entries of every row where they are positive; everything else becomes 0.

    Args:
        h_bs: Of all latents, or of those that this process has.
        k: How many of a row.
        latents: The processes that share the latents of a row.
    """
    values_bk, indices_bk = top_k(h_bs, min(k, h_bs.shape[-1]))
    kept_bk = values_bk.relu()
    if latents.size > 1:
        kept_bk = kept_bk.where(among_largest(values_bk, k, latents), 0)
    return torch.zeros_like(h_bs).scatter(-1, indices_bk, kept_bk)


@torch.no_grad()
def among_largest(values_bc: Tensor, k: int, latents: Group) -> Tensor:
    """Which candidates are among the k largest of a row in all processes together: a mask (b, c), k times true.

    Of equal ones those of the first processes are; NaN is larger than all numbers, so that it stays visible.

    Args:
        values_bc: The largest of this process, at most k; another process may have fewer or more of them.
        k: How many of a row.
        latents: The processes that share the latents of a row.
    """
    c = values_bc.shape[-1]
    values_kb = F.pad(values_bc, (0, k - c), value=-torch.inf).movedim(-1, 0)
    all_bn = latents.rows(values_kb).movedim(0, -1)
    chosen_bk = all_bn.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    mask_bn = torch.zeros_like(all_bn, dtype=torch.bool).scatter(-1, chosen_bk, True)
    return mask_bn[..., latents.rank * k :][..., :c]
