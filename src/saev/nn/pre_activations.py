"""Finds the largest pre-activations of a batch, which are never all in memory.

Shape suffixes: b = tokens of a batch, r = tokens of a block, d = d_in, s = d_sae, n = entries, m = groups of g
latents in a row, p = some groups.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple, final

import torch
from torch import Tensor
from typing_extensions import override

from saev.memory import empty_bytes
from saev.nn import kernels
from saev.nn.functional import top_k

PRE_ACTIVATION_BYTES = {"cpu": 2**24, "cuda": 2**31}  # Of pre-activations in float32.
GROUPS = (kernels.GROUP, 16, 8, 4, 2, 1)


class Entries(NamedTuple):
    """Some positive entries of a matrix, sorted by row."""

    values_n: Tensor
    rows_n: Tensor
    latents_n: Tensor


class PreActivations(ABC):
    """The pre-activations (b, s) of a batch.

    Args:
        shape: Its tokens, and the latents that this process has.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    @abstractmethod
    def blocks(self) -> Iterator[Tensor]:
        """Those (r, s) of some tokens after the other; a block may take the memory of the one before."""

    def largest(self, k: int) -> tuple[Tensor, Tensor]:
        """Values and latents, both (b, k), of the k largest of each token, at most d_sae."""
        values, latents = zip(*(top_k(h_rs, k) for h_rs in self.blocks()), strict=True)
        return torch.cat(values), torch.cat(latents)

    def above(self, bound: float) -> Entries:
        """All positive entries of at least `bound`, and maybe some that are smaller."""
        return entries_above((h_rs, bound) for h_rs in self.blocks())


@final
class Product(PreActivations):
    """Those of tokens (b, d) with weights (d, s) and biases (s,), computed in one dtype."""

    def __init__(self, z_bd: Tensor, W_ds: Tensor, b_s: Tensor, dtype: torch.dtype) -> None:
        super().__init__((len(z_bd), len(b_s)))
        # Once for all blocks; autocast would convert the weights for each of them again.
        self.z_bd, self.W_ds, self.b_s = (tensor.to(dtype) for tensor in (z_bd, W_ds, b_s))
        self.rows = rows_of_a_block(z_bd, len(b_s))  # of a block

    @override
    def blocks(self) -> Iterator[Tensor]:
        b, s = self.shape
        shape, dtype = (min(self.rows, b), s), self.z_bd.dtype
        if self.z_bd.device.type == "cpu":
            memory_rs = empty_bytes((shape[0], shape[1] * dtype.itemsize)).view(dtype)
        else:
            memory_rs = torch.empty(shape, dtype=dtype, device=self.z_bd.device)
        for z_rd in torch.split(self.z_bd, self.rows):
            yield torch.addmm(self.b_s, z_rd, self.W_ds, out=memory_rs[: len(z_rd)])


def rows_of_a_block(z_bd: Tensor, d_sae: int) -> int:
    """How many tokens may have their pre-activations in memory at once."""
    return max(1, PRE_ACTIVATION_BYTES.get(z_bd.device.type, 2**31) // (4 * d_sae))


def entries_above(blocks: Iterable[tuple[Tensor, float | Tensor]]) -> Entries:
    """All positive entries of blocks (r, s) that are not below their bounds, a number or one for each row (r, 1).

    Most groups of latents hold none: a pass for their maxima, and then a look into the few others.
    """
    values, rows, latents, n_rows = [], [], [], 0
    for h_rs, bound in blocks:
        groups_rmg = groups(h_rs, 1)
        dtype = torch.promote_types(h_rs.dtype, torch.float32)  # in which the bound stays what it is
        if not isinstance(bound, Tensor):
            bound = torch.full((1, 1), bound, dtype=dtype, device=h_rs.device)
        bound_r1 = bound.to(dtype).expand(len(h_rs), 1).clamp_min(torch.finfo(h_rs.dtype).tiny)
        row_p, group_p = (maxima(groups_rmg) >= bound_r1).nonzero(as_tuple=True)
        picked_pg = groups_rmg[row_p, group_p]
        p, place = (picked_pg >= bound_r1[row_p]).nonzero(as_tuple=True)
        values.append(picked_pg[p, place])
        rows.append(row_p[p] + n_rows)
        latents.append(group_p[p] * groups_rmg.shape[2] + place)
        n_rows += len(h_rs)
    return Entries(torch.cat(values), torch.cat(rows), torch.cat(latents))


def maxima(h_rmg: Tensor) -> Tensor:
    """The largest entry (r, m) of each group."""
    if h_rmg.shape[2] != kernels.GROUP or h_rmg.dtype == torch.float64 or not kernels.available_for(h_rmg):
        return h_rmg.amax(2)
    from saev.nn.kernels.largest import group_maxima

    return group_maxima(h_rmg.flatten(1))


def groups(h_rs: Tensor, n_groups: int) -> Tensor:
    """The same as (r, m, g): groups of g neighbouring latents, at least n_groups of them in each row."""
    s = h_rs.shape[1]
    g = next(g for g in GROUPS if s % g == 0 and s // g >= n_groups)
    return h_rs.view(len(h_rs), s // g, g)
