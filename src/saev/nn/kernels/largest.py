"""The k largest entries of each row, and the maxima of groups of neighbouring entries.

Shape suffixes: b = rows, s = columns, m = groups of `GROUP` columns, c = candidates, k = entries that are kept.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from saev.nn.kernels import GROUP

GROUPS_AT_ONCE = 256  # Of a program.
MOST = 8192  # Candidates that a program holds.
INTEGERS = {torch.bfloat16: tl.int16, torch.float16: tl.int16, torch.float32: tl.int32}


@triton.jit  # type: ignore[untyped-decorator]
def _keys(h, INTEGER: tl.constexpr):  # type: ignore[no-untyped-def]
    """Integers in the order of the numbers; NaN is the largest, so that it stays visible, and -0 is below 0."""
    bits = h.to(INTEGER, bitcast=True).to(tl.int32)
    last: tl.constexpr = (1 << (INTEGER.primitive_bitwidth - 1)) - 1
    key = tl.where(bits < 0, bits ^ last, bits)
    return tl.where(h != h, last, key)


@triton.jit  # type: ignore[untyped-decorator]
def _maxima_kernel(h_bs, maxima_bm, s, m, INTEGER: tl.constexpr, G: tl.constexpr, M: tl.constexpr):  # type: ignore[no-untyped-def]
    b = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1) * M + tl.arange(0, M)
    column = group[:, None] * G + tl.arange(0, G)[None, :]
    h = tl.load(h_bs + b * s + column, mask=column < s, other=-float("inf"))
    last: tl.constexpr = (1 << (INTEGER.primitive_bitwidth - 1)) - 1
    key = tl.max(_keys(h, INTEGER), axis=1)
    bits = tl.where(key < 0, key ^ last, key).to(INTEGER)
    tl.store(maxima_bm + b * m + group, bits.to(maxima_bm.dtype.element_ty, bitcast=True), mask=group < m)


@triton.jit  # type: ignore[untyped-decorator]
def _largest_kernel(  # type: ignore[no-untyped-def]
    h_bs, groups_bk, values_bk, columns_bk, s, k, INTEGER: tl.constexpr, G: tl.constexpr, C: tl.constexpr
):
    b = tl.program_id(0).to(tl.int64)
    candidate = tl.arange(0, C)
    column = candidate.to(tl.int64)
    is_column = column < s
    if G > 1:  # only the columns of these groups
        is_group = candidate // G < k
        column = tl.load(groups_bk + b * k + candidate // G, mask=is_group, other=0) * G + candidate % G
        is_column = is_group & (column < s)
    h = tl.load(h_bs + b * s + column, mask=is_column, other=0.0)
    lowest: tl.constexpr = -(1 << (INTEGER.primitive_bitwidth - 1))
    key = tl.where(is_column, _keys(h, INTEGER), lowest)
    # The k-th largest key, digit by digit.
    found = tl.where(tl.sum((key >= 0).to(tl.int32), axis=0) >= k, 0, lowest)
    for digit in range(INTEGER.primitive_bitwidth - 1):
        tried = found + (1 << (INTEGER.primitive_bitwidth - 2 - digit))
        found = tl.where(tl.sum((key >= tried).to(tl.int32), axis=0) >= k, tried, found)
    above = ((key > found) & is_column).to(tl.int32)
    equal = ((key == found) & is_column).to(tl.int32)
    # Of equal ones the first; behind all that are larger.
    place = tl.where(above > 0, tl.cumsum(above, axis=0), tl.sum(above, axis=0) + tl.cumsum(equal, axis=0)) - 1
    is_kept = (above + equal > 0) & (place < k)
    tl.store(values_bk + b * k + place, h, mask=is_kept)
    tl.store(columns_bk + b * k + place, column, mask=is_kept)


def group_maxima(h_bs: Tensor) -> Tensor:
    """The largest entry (b, m) of each `GROUP` neighbours in a row; the last group of a row may have fewer."""
    b, s = h_bs.shape
    m = triton.cdiv(s, GROUP)
    maxima_bm = h_bs.new_empty(b, m)
    grid, integer = (b, triton.cdiv(m, GROUPS_AT_ONCE)), INTEGERS[h_bs.dtype]
    with torch.cuda.device_of(h_bs):  # type: ignore[no-untyped-call]
        _maxima_kernel[grid](
            h_bs.contiguous(), maxima_bm, s, m, INTEGER=integer, G=GROUP, M=GROUPS_AT_ONCE, num_warps=4
        )
    return maxima_bm


def largest(h_bs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and columns, both (b, k), of the k largest entries of each row, in no order.

    In a wide row the k largest lie in the k groups with the largest maxima: one pass finds these.
    """
    s = h_bs.shape[1]
    h_bs = h_bs.contiguous()
    if h_bs.dtype in INTEGERS and s <= MOST:
        return _largest(h_bs, k, None)
    if h_bs.dtype in INTEGERS and k * GROUP <= MOST < s <= MOST * GROUP:
        groups_bk = _largest(group_maxima(h_bs), k, None)[1]
        return _largest(h_bs, k, groups_bk)
    top = h_bs.topk(k, sorted=False)
    return top.values, top.indices


def _largest(h_bs: Tensor, k: int, groups_bk: Tensor | None) -> tuple[Tensor, Tensor]:
    b, s = h_bs.shape
    values_bk = h_bs.new_empty(b, k)
    columns_bk = torch.empty(b, k, dtype=torch.int64, device=h_bs.device)
    candidates = triton.next_power_of_2(s if groups_bk is None else k * GROUP)
    with torch.cuda.device_of(h_bs):  # type: ignore[no-untyped-call]
        _largest_kernel[(b,)](
            h_bs,
            columns_bk if groups_bk is None else groups_bk,
            values_bk,
            columns_bk,
            s,
            k,
            INTEGER=INTEGERS[h_bs.dtype],
            G=1 if groups_bk is None else GROUP,
            C=candidates,
            num_warps=max(1, min(8, candidates // 512)),
        )
    return values_bk, columns_bk
