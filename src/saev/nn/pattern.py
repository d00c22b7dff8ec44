"""Products that touch only the selected entries of the codes, with gradients that do so, too.

After the selection a training step works on k codes of a token instead of d_sae: decoding, the gradients of the codes
and those of the weights are sums over the entries of a sparse matrix (Gao et al. 2024, appendix D,
https://arxiv.org/abs/2406.04093).

Shape suffixes: b = tokens (rows), n = selected entries of all tokens, d = d_in, s = d_sae.
"""

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from saev.nn import kernels

if TYPE_CHECKING:
    from saev.nn.kernels.row_sums import Pieces


@final
@dataclass(frozen=True)
class Pattern:
    """Which latents are selected for which rows, in compressed rows (CSR)."""

    latents_n: Tensor  # The latents of row 0, of row 1, ...; int64.
    offsets: Tensor  # (b + 1,) int64: those of row i are ``latents_n[offsets[i]:offsets[i + 1]]``.
    d_sae: int  # Number of latents.

    @classmethod
    def of_rows(cls, latents_bk: Tensor, d_sae: int) -> Self:
        """The same number of latents for each row."""
        b, k = latents_bk.shape
        return cls(latents_bk.flatten(), torch.arange(0, b * k + 1, k, device=latents_bk.device), d_sae)

    @classmethod
    def of_sorted(cls, rows_n: Tensor, latents_n: Tensor, n_rows: int, d_sae: int) -> Self:
        """From pairs of row and latent, sorted by row."""
        return cls(latents_n, _offsets(rows_n, n_rows), d_sae)

    @property
    def n_rows(self) -> int:
        """Number of rows, also those without an entry."""
        return len(self.offsets) - 1

    @cached_property
    def rows_n(self) -> Tensor:
        """The row of each entry."""
        rows = torch.arange(self.n_rows, device=self.offsets.device)
        return rows.repeat_interleave(self.offsets.diff(), output_size=len(self.latents_n))

    @cached_property
    def by_latent(self) -> tuple[Tensor, Tensor]:
        """The transposed pattern: the order (n,) that sorts the entries by latent, and its offsets (s + 1,)."""
        latents_n, order_n = self.latents_n.int().sort(stable=True)
        return order_n, _offsets(latents_n, self.d_sae)

    @cached_property
    def pieces(self) -> "Pieces":
        """The transposed pattern, divided for CUDA kernels."""
        from saev.nn.kernels.row_sums import Pieces

        return Pieces.of(self.by_latent[1], len(self.latents_n))

    def dense(self, values_n: Tensor) -> Tensor:
        """The matrix (b, s) with these entries."""
        dense = values_n.new_zeros(self.n_rows, self.d_sae)
        dense[self.rows_n, self.latents_n] = values_n
        return dense


def combine(values_n: Tensor, W_sd: Tensor, pattern: Pattern) -> Tensor:
    r"""Decode: the rows (b, d) :math:`\sum_n v_n W_{s(n)}` over the entries of each row.

    Args:
        values_n: The codes.
        W_sd: One row for each latent.
        pattern: Where the codes stand.
    """
    out: Tensor = _Combine.apply(values_n, W_sd, pattern)
    return out


def encode_selected(z_bd: Tensor, W_sd: Tensor, b_s: Tensor, pattern: Pattern, known_n: Tensor | None = None) -> Tensor:
    r"""The pre-activations (n,) :math:`\langle z_{b(n)}, W_{s(n)} \rangle + b_{s(n)}` of each entry.

    Args:
        z_bd: One row for each row of the pattern.
        W_sd: One row for each latent.
        b_s: Biases.
        pattern: Which pairs.
        known_n: The values, where they were computed before in the precision of the weights.
    """
    out: Tensor = _Encode.apply(z_bd, W_sd, b_s, pattern, known_n)
    return out


class _Combine(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, values_n: Tensor, W_sd: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(values_n, W_sd)
        ctx.pattern = pattern
        return _sum_rows(values_n, W_sd, pattern.latents_n, pattern.offsets)

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (values_n, W_sd), grad_bd = ctx.saved_tensors, grads[0]
        to_values = _products(grad_bd, W_sd, ctx.pattern) if ctx.needs_input_grad[0] else None
        to_weights = _sum_latents(values_n, grad_bd, ctx.pattern) if ctx.needs_input_grad[1] else None
        return to_values, to_weights, None


class _Encode(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, z_bd: Tensor, W_sd: Tensor, b_s: Tensor, pattern: Pattern, known_n: Tensor | None) -> Tensor:
        ctx.save_for_backward(z_bd, W_sd)
        ctx.pattern = pattern
        return _products(z_bd, W_sd, pattern) + b_s[pattern.latents_n] if known_n is None else known_n.clone()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        (z_bd, W_sd), grad_n = ctx.saved_tensors, grads[0].contiguous()
        pattern: Pattern = ctx.pattern
        to_z = _sum_rows(grad_n, W_sd, pattern.latents_n, pattern.offsets) if ctx.needs_input_grad[0] else None
        to_weights = _sum_latents(grad_n, z_bd, pattern) if ctx.needs_input_grad[1] else None
        to_biases = _sum_latents(grad_n, z_bd.new_ones(pattern.n_rows, 1), pattern)[:, 0]
        return to_z, to_weights, to_biases, None, None


def _sparse(pattern: Pattern, values_n: Tensor) -> Tensor:
    _accept_beta()
    shape = (pattern.n_rows, pattern.d_sae)
    return torch.sparse_csr_tensor(pattern.offsets, pattern.latents_n, values_n, shape, check_invariants=False)


@cache
def _accept_beta() -> None:
    """Make torch warn here, unseen, that such matrices are in beta: it does so once."""
    with warnings.catch_warnings(action="ignore"):
        torch.zeros(1, 1).to_sparse_csr()


def _offsets(sorted_n: Tensor, n_rows: int) -> Tensor:
    # Not torch.bincount, which waits for the device.
    return torch.searchsorted(sorted_n, torch.arange(n_rows + 1, dtype=sorted_n.dtype, device=sorted_n.device))


def _sum_rows(weights_n: Tensor, table: Tensor, picked_n: Tensor, offsets: Tensor) -> Tensor:
    """Weighted sums of picked rows of a table, one for each pair of neighbouring offsets."""
    if kernels.available_for(table):
        from saev.nn.kernels.row_sums import row_sums

        return row_sums(weights_n, table, picked_n, offsets)
    return F.embedding_bag(picked_n, table, offsets, mode="sum", per_sample_weights=weights_n, include_last_offset=True)


def _sum_latents(weights_n: Tensor, x_bd: Tensor, pattern: Pattern) -> Tensor:
    """Weighted sums (s, d) of the rows of x, one for each latent."""
    order_n, offsets = pattern.by_latent
    weights_n, rows_n = weights_n[order_n], pattern.rows_n[order_n]
    if kernels.available_for(x_bd):
        from saev.nn.kernels.row_sums import divided_row_sums

        return divided_row_sums(weights_n, x_bd, rows_n, pattern.pieces)
    return _sum_rows(weights_n, x_bd.contiguous(), rows_n, offsets)


def _products(x_bd: Tensor, W_sd: Tensor, pattern: Pattern) -> Tensor:
    if x_bd.device.type == "cpu":
        matrix = _sparse(pattern, x_bd.new_zeros(len(pattern.latents_n)))
        found: Tensor = torch.sparse.sampled_addmm(matrix, x_bd.contiguous(), W_sd.T, beta=0).values()
        return found
    if kernels.available_for(x_bd):
        from saev.nn.kernels.row_sums import row_products

        return row_products(x_bd, W_sd, pattern.latents_n, pattern.offsets)
    # The gradient of the weights of embedding_bag is what is wanted here: one dot product an entry, nothing gathered.
    products: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        x_bd.contiguous(), W_sd, pattern.latents_n, pattern.offsets[:-1], pattern.rows_n, 0
    )
    return products
