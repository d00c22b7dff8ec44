"""Weighted sums of picked rows, and the transposed products.

Shape suffixes: p = sums, n = picks of all sums, t = rows of the table, d = width, b = rows, s = d_sae.
"""

from dataclasses import dataclass
from typing import Self, final

import torch
import triton
import triton.language as tl
from torch import Tensor

WIDTH = 512  # Columns of a program.
AT_ONCE = 8  # Picks of a program that are loaded at the same time.
LONGEST = 128  # Picks of a program; a longer sum is divided.


@triton.jit  # type: ignore[untyped-decorator]
def _sum_kernel(out, target_p, start_p, end_p, weights_n, picked_n, table, d, E: tl.constexpr, D: tl.constexpr):  # type: ignore[no-untyped-def]
    p = tl.program_id(0)
    target = tl.load(target_p + p)
    if target < 0:
        return
    start = tl.load(start_p + p)
    end = tl.load(end_p + p)
    column = tl.program_id(1) * D + tl.arange(0, D)
    is_column = column < d
    total = tl.zeros((D,), dtype=out.dtype.element_ty)
    for first in range(start, end, E):
        n = first + tl.arange(0, E)
        there = n < end
        weight = tl.load(weights_n + n, mask=there, other=0.0)
        row = tl.load(picked_n + n, mask=there, other=0)
        x = tl.load(table + row[:, None] * d + column[None, :], mask=there[:, None] & is_column[None, :], other=0.0)
        total += tl.sum(weight[:, None] * x, axis=0)
    tl.store(out + target * d + column, total, mask=is_column)


@triton.jit  # type: ignore[untyped-decorator]
def _product_kernel(out_n, x_bd, table, offsets, picked_n, d, E: tl.constexpr, D: tl.constexpr):  # type: ignore[no-untyped-def]
    b = tl.program_id(0).to(tl.int64)
    start = tl.load(offsets + b)
    end = tl.load(offsets + b + 1)
    for first in range(start, end, E):
        n = first + tl.arange(0, E)
        there = n < end
        row = tl.load(picked_n + n, mask=there, other=0)
        total = tl.zeros((E,), dtype=out_n.dtype.element_ty)
        for left in range(0, d, D):
            column = left + tl.arange(0, D)
            is_column = column < d
            x = tl.load(x_bd + b * d + column, mask=is_column, other=0.0)
            w = tl.load(table + row[:, None] * d + column[None, :], mask=there[:, None] & is_column[None, :], other=0.0)
            total += tl.sum(w * x[None, :], axis=1)
        tl.store(out_n + n, total, mask=there)


def row_sums(weights_n: Tensor, table_td: Tensor, picked_n: Tensor, offsets: Tensor) -> Tensor:
    """Weighted sums (p, d) of picked rows, one for each pair of neighbouring offsets (p + 1,)."""
    n_sums = len(offsets) - 1
    out_pd = table_td.new_empty(n_sums, table_td.shape[1])
    targets_p = torch.arange(n_sums, device=offsets.device)
    _launch(out_pd, targets_p, offsets[:-1], offsets[1:], weights_n, picked_n, table_td)
    return out_pd


@final
@dataclass(frozen=True)
class Pieces:
    """Sums of any length divided into pieces of at most `LONGEST` picks, so that all programs have equal work."""

    # Where the sum of a piece belongs: its own row, or one behind all rows if the sum has several pieces; -1 for a
    # piece that does not exist.
    target_p: Tensor
    start_p: Tensor  # The first pick of a piece.
    end_p: Tensor  # One behind the last one.
    joined_s: Tensor  # The rows that are put together of several pieces, -1 elsewhere.
    first_s: Tensor  # The first of these pieces, as a row.
    last_s: Tensor  # One behind the last of them.
    n_rows: int  # Rows of the pieces' sums, those of the sums included.

    @classmethod
    def of(cls, offsets: Tensor, n_picks: int) -> Self:
        """The pieces of sums between neighbouring offsets (s + 1,); nothing waits for the device."""
        n_sums, device = len(offsets) - 1, offsets.device
        pieces_s = ((offsets.diff() + LONGEST - 1) // LONGEST).clamp_min(1)
        ends_s = pieces_s.cumsum(0)
        most = n_sums + n_picks // LONGEST
        p = torch.arange(most, device=device)
        sum_p = torch.searchsorted(ends_s, p, right=True)
        exists_p = sum_p < n_sums
        sum_p = sum_p.clamp_max(n_sums - 1)
        start_p = offsets[sum_p] + (p - ends_s[sum_p] + pieces_s[sum_p]) * LONGEST
        end_p = torch.minimum(start_p + LONGEST, offsets[sum_p + 1])
        is_long_s = pieces_s > 1
        last_s = n_sums + (pieces_s * is_long_s).cumsum(0)
        first_s = last_s - pieces_s
        target_p = torch.where(is_long_s[sum_p], first_s[sum_p] + p - ends_s[sum_p] + pieces_s[sum_p], sum_p)
        return cls(
            target_p=torch.where(exists_p, target_p, -1),
            start_p=start_p,
            end_p=end_p,
            joined_s=torch.where(is_long_s, torch.arange(n_sums, device=device), -1),
            first_s=first_s,
            last_s=last_s,
            n_rows=n_sums + 2 * (n_picks // LONGEST),  # ceil(l / LONGEST) <= 2 floor(l / LONGEST) of a long one
        )


def divided_row_sums(weights_n: Tensor, table_td: Tensor, picked_n: Tensor, pieces: Pieces) -> Tensor:
    """`row_sums` for sums of very different lengths; always added up in the same order."""
    out_pd = table_td.new_empty(pieces.n_rows, table_td.shape[1])
    _launch(out_pd, pieces.target_p, pieces.start_p, pieces.end_p, weights_n, picked_n, table_td)
    rows = torch.arange(pieces.n_rows, device=out_pd.device)
    ones = weights_n.new_ones(pieces.n_rows)
    _launch(out_pd, pieces.joined_s, pieces.first_s, pieces.last_s, ones, rows, out_pd)
    return out_pd[: len(pieces.joined_s)]


def row_products(x_bd: Tensor, table_td: Tensor, picked_n: Tensor, offsets: Tensor) -> Tensor:
    """Products (n,) of each row with the rows of the table that are picked for it."""
    out_n = x_bd.new_empty(len(picked_n))
    d = x_bd.shape[1]
    columns = min(2 * WIDTH, triton.next_power_of_2(d))
    given = (x_bd.contiguous(), table_td.contiguous(), offsets.contiguous(), picked_n.contiguous())
    with torch.cuda.device_of(x_bd):  # type: ignore[no-untyped-call]
        _product_kernel[(len(x_bd),)](out_n, *given, d, E=AT_ONCE, D=columns, num_warps=4)
    return out_n


def _launch(
    out_pd: Tensor, target_p: Tensor, start_p: Tensor, end_p: Tensor, weights_n: Tensor, picked_n: Tensor, table: Tensor
) -> None:
    d = table.shape[1]
    columns = min(WIDTH, triton.next_power_of_2(d))
    grid = (len(target_p), triton.cdiv(d, columns))
    given = (target_p, start_p, end_p, weights_n.contiguous(), picked_n.contiguous(), table.contiguous())
    with torch.cuda.device_of(out_pd):  # type: ignore[no-untyped-call]
        _sum_kernel[grid](out_pd, *given, d, E=AT_ONCE, D=columns, num_warps=4)
