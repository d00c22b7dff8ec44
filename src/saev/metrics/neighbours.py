"""Which directions are nearest to others, by their cosines, a chunk at a time.

Shape suffixes: d = width, r = rows that are looked at, t = rows that they are compared with, c = rows of a chunk,
k = neighbours.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from saev.errors import InputError

COSINE_BYTES = 2**27  # Bound of the cosines that are held at once.


class Nearest(NamedTuple):
    """The nearest rows of each row, the nearest first."""

    numbers: Tensor  # (r, k) int64, -1 where there are fewer.
    cosines: Tensor  # (r, k), 0 where there are fewer.


@torch.no_grad()
def nearest(w_rd: Tensor, w_td: Tensor, k: int = 1, own_r: Tensor | None = None) -> Nearest:
    """The k rows of (t, d) with the largest cosines with each row of (r, d), on the CPU.

    The rows may have any norms. It takes memory for all rows at norm 1 and for a chunk of cosines.

    Args:
        w_rd: Rows that are looked at, on any device.
        w_td: Rows that they are compared with, on the same device; the cosines are float64 where both are.
        k: Neighbours of each.
        own_r: Numbers among the t rows that are left out, one for each row: that of the row itself.

    Raises:
        InputError: If the widths differ.

    >>> nearest(torch.tensor([[1.0, 0.1]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])).numbers.tolist()
    [[1]]
    """
    n_found = max(0, min(k, len(w_td) - (own_r is not None)))
    numbers = torch.full((len(w_rd), k), -1)
    cosines = torch.zeros(len(w_rd), k, dtype=_dtype(w_rd, w_td))
    start = 0
    for cosines_ct in cosine_chunks(w_rd, w_td, own_r):
        chunk = slice(start, start + len(cosines_ct))
        # Of equal ones `max` gives the first.
        best = cosines_ct.max(1, keepdim=True) if n_found == 1 else cosines_ct.topk(n_found, dim=1)
        numbers[chunk, :n_found], cosines[chunk, :n_found] = best.indices.cpu(), best.values.cpu()
        start = chunk.stop
    return Nearest(numbers, cosines)


def cosine_chunks(w_rd: Tensor, w_td: Tensor, own_r: Tensor | None = None) -> Iterator[Tensor]:
    """Cosines (c, t) of some rows at a time; -inf at `own_r`, as in `nearest`.

    Raises:
        InputError: If the widths differ.
    """
    if w_rd.shape[1] != w_td.shape[1]:
        raise InputError(
            f"directions of width {w_rd.shape[1]} and {w_td.shape[1]} cannot be compared: give SAEs of one layer"
        )
    dtype = _dtype(w_rd, w_td)
    unit_rd, unit_td = normalize(w_rd.to(dtype), dim=-1), normalize(w_td.to(dtype), dim=-1)
    per_chunk = max(1, COSINE_BYTES // (unit_td.element_size() * max(1, len(unit_td))))
    for start in range(0, len(unit_rd), per_chunk):
        cosines_ct = unit_rd[start : start + per_chunk] @ unit_td.T
        if own_r is not None:
            own_c = own_r[start : start + per_chunk].to(cosines_ct.device)
            cosines_ct.scatter_(1, own_c[:, None], -torch.inf)
        yield cosines_ct


def _dtype(*tensors: Tensor) -> torch.dtype:
    return torch.float64 if all(one.dtype == torch.float64 for one in tensors) else torch.float32
