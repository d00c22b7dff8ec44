"""The k largest entries of each row.

Shape suffixes: b = rows, s = columns, c = columns of a part of a row, k = entries that are kept.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

WIDEST = 32_768  # Columns that a program holds.
INTEGERS = {torch.bfloat16: tl.int16, torch.float16: tl.int16, torch.float32: tl.int32}


@triton.jit  # type: ignore[untyped-decorator]
def _largest_kernel(h_bs, values_bk, columns_bk, s, k, INTEGER: tl.constexpr, BITS: tl.constexpr, C: tl.constexpr):  # type: ignore[no-untyped-def]
    b = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    column = part * C + tl.arange(0, C)
    is_column = column < s
    h = tl.load(h_bs + b * s + column, mask=is_column, other=0.0)
    # Integers in the order of the numbers; NaN is the largest, so that it stays visible.
    bits = h.to(INTEGER, bitcast=True).to(tl.int32)
    key = tl.where(bits < 0, bits ^ ((1 << (BITS - 1)) - 1), bits)
    key = tl.where(h != h, (1 << (BITS - 1)) - 1, key)
    lowest = -(1 << (BITS - 1))
    key = tl.where(is_column, key, lowest)
    # The k-th largest key, digit by digit.
    found = tl.where(tl.sum((key >= 0).to(tl.int32), axis=0) >= k, 0, lowest)
    for digit in range(BITS - 1):
        tried = found + (1 << (BITS - 2 - digit))
        found = tl.where(tl.sum((key >= tried).to(tl.int32), axis=0) >= k, tried, found)
    above = ((key > found) & is_column).to(tl.int32)
    equal = ((key == found) & is_column).to(tl.int32)
    n_above = tl.sum(above, axis=0)
    # Of equal ones the first; behind all that are larger.
    place = tl.where(above > 0, tl.cumsum(above, axis=0) - 1, n_above + tl.cumsum(equal, axis=0) - 1)
    is_kept = ((above > 0) | (equal > 0)) & (place < k)
    at = (b * tl.num_programs(1) + part) * k + place
    tl.store(values_bk + at, h, mask=is_kept)
    tl.store(columns_bk + at, column.to(tl.int64), mask=is_kept)


def largest(h_bs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and columns, both (b, k), of the k largest entries of each row, in no order; of equal ones the first."""
    b, s = h_bs.shape
    width = min(WIDEST, triton.next_power_of_2(s))
    n_parts = triton.cdiv(s, width)
    if h_bs.dtype not in INTEGERS or s - (n_parts - 1) * width < k:  # a part with less than it must find
        top = h_bs.topk(k, sorted=False)
        return top.values, top.indices
    h_bs = h_bs.contiguous()
    values_bk = h_bs.new_empty(b, n_parts * k)
    columns_bk = torch.empty(b, n_parts * k, dtype=torch.int64, device=h_bs.device)
    _largest_kernel[(b, n_parts)](
        h_bs,
        values_bk,
        columns_bk,
        s,
        k,
        INTEGER=INTEGERS[h_bs.dtype],
        BITS=h_bs.dtype.itemsize * 8,
        C=width,
        num_warps=16 if width > 4096 else 4,
    )
    if n_parts == 1:
        return values_bk, columns_bk
    top = values_bk.topk(k, sorted=False)
    return top.values, columns_bk.gather(1, top.indices)
