"""The Triton kernels against torch: interpreted on the CPU, compiled where there is a GPU.

Shape suffixes: as in `saev.nn.kernels`.
"""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.triton_device import DEVICE, GPU
from torch import Tensor

pytest.importorskip("triton")

from saev.nn import kernels
from saev.nn.kernels.largest import GROUP, MOST, group_maxima, largest
from saev.nn.kernels.row_sums import LONGEST, Pieces, divided_row_sums, row_products, row_sums

lengths = st.lists(st.sampled_from([0, 1, 2, 8, 9, LONGEST, LONGEST + 1, 3 * LONGEST + 5]), min_size=1, max_size=3)
widths = st.sampled_from([1, 3, 16, 511, 513, 1025])
examples = settings(max_examples=200 if GPU else 25)  # the interpreter is slow


def offsets_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sums(weights_n: Tensor, table_td: Tensor, picked_n: Tensor, offsets: Tensor) -> Tensor:
    rows = [(weights_n[a:b, None] * table_td[picked_n[a:b]]).sum(0) for a, b in pairwise(offsets.tolist())]
    return torch.stack(rows)


def on_device(*tensors: Tensor) -> list[Tensor]:
    return [tensor.to(DEVICE) for tensor in tensors]


@examples
@given(lengths=lengths, width=widths, n_rows=st.integers(1, 20), seed=st.integers(0, 99))
def test_sums(lengths: list[int], width: int, n_rows: int, seed: int) -> None:
    offsets = offsets_of(lengths)
    n = int(offsets[-1])
    picked_n = torch.randint(n_rows, (n,), generator=torch.Generator().manual_seed(seed))
    weights_n, table_td = random(seed, n), random(seed + 1, n_rows, width)
    expected = sums(weights_n, table_td, picked_n, offsets)
    given = on_device(weights_n, table_td, picked_n)
    found = row_sums(*given, offsets.to(DEVICE))
    divided = divided_row_sums(*given, Pieces.of(offsets.to(DEVICE), n))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-12, atol=1e-11)
    torch.testing.assert_close(divided.cpu(), expected, rtol=1e-12, atol=1e-11)


@examples
@given(lengths=lengths, width=widths, n_rows=st.integers(1, 20), seed=st.integers(0, 99))
def test_products(lengths: list[int], width: int, n_rows: int, seed: int) -> None:
    offsets = offsets_of(lengths)
    n = int(offsets[-1])
    picked_n = torch.randint(n_rows, (n,), generator=torch.Generator().manual_seed(seed))
    x_bd, table_td = random(seed, len(lengths), width), random(seed + 1, n_rows, width)
    row_n = torch.arange(len(lengths)).repeat_interleave(offsets.diff())
    expected = (x_bd[row_n] * table_td[picked_n]).sum(1)
    found = row_products(*on_device(x_bd, table_td, picked_n, offsets))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-12, atol=1e-11)


@examples
@given(
    shape=st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 31, 32, 33, 1000, 4097])),
    share=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    digits=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_largest(shape: tuple[int, int], share: float, dtype: torch.dtype, digits: int, seed: int) -> None:
    h_bs = random(seed, *shape).round(decimals=digits).to(dtype) + 0  # few digits: many equal entries; no -0
    check_largest(h_bs, max(1, round(share * shape[1])))


def check_largest(h_bs: Tensor, k: int) -> None:
    values_bk, columns_bk = (found.cpu() for found in largest(h_bs.to(DEVICE), k))
    assert torch.equal(values_bk, h_bs.gather(1, columns_bk))
    assert torch.equal(values_bk.sort(1, descending=True).values, h_bs.topk(k).values)
    assert columns_bk.sort(1).values.diff(dim=1).gt(0).all()  # each once


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_a_number_and_what_is_infinite_is_found(dtype: torch.dtype) -> None:
    special = [float("nan"), -float("nan"), float("inf"), 5.0, 0.0, -0.0, -1.0, -float("inf")]
    for k in range(1, len(special)):
        values_bk = largest(torch.tensor([special], dtype=dtype, device=DEVICE), k)[0]
        assert values_bk.isnan().sum() == min(k, 2)
        assert (values_bk == float("inf")).any() == (k > 2)
    lowest = torch.full((1, 5), -float("inf"), device=DEVICE)  # as low as what fills a row up
    assert sorted(largest(lowest, 3)[1].flatten().tolist()) == [0, 1, 2]


@pytest.mark.parametrize("s", [MOST, MOST + 5, 3 * MOST + 100])
@pytest.mark.parametrize("k", [1, 40, MOST // GROUP + 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_largest_of_wide_rows(s: int, k: int, dtype: torch.dtype) -> None:
    h_bs = random(s, 4, s).to(dtype)
    h_bs[1, -3:] = 10.0
    h_bs[2] = h_bs[2].round()  # many equal maxima
    h_bs[3, 100 : 100 + 2 * GROUP] += 10.0  # all in a few groups
    check_largest(h_bs, k)


@examples
@given(b=st.integers(1, 3), s=st.integers(1, 40 * GROUP), seed=st.integers(0, 99))
def test_group_maxima(b: int, s: int, seed: int) -> None:
    h_bs = random(seed, b, s).float()
    h_bs[0, s // 2] = float("nan")
    groups = F.pad(h_bs, (0, -s % GROUP), value=-float("inf")).view(b, -1, GROUP)
    found = group_maxima(h_bs.to(DEVICE)).cpu()
    torch.testing.assert_close(found, groups.amax(2), rtol=0, atol=0, equal_nan=True)


def test_double_precision_is_found_by_torch() -> None:
    h_bs = random(0, 3, 50)
    assert torch.equal(largest(h_bs.to(DEVICE), 4)[1].cpu().sort(1).values, h_bs.topk(4).indices.sort(1).values)


def test_they_are_for_gpus() -> None:
    assert not kernels.available_for(torch.zeros(3))
    if GPU:
        assert kernels.available_for(torch.zeros(3, device="cuda"))


@pytest.mark.parametrize("fault", [None, RuntimeError("Failed to find C compiler.\nSet CC")])
def test_where_triton_cannot_compile_torch_does_the_work(
    fault: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compiled(h_bs: Tensor) -> Tensor:
        if fault is not None:
            raise fault
        return group_maxima(h_bs)

    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr("saev.nn.kernels.largest.group_maxima", compiled)
    kernels._compiles_for.cache_clear()
    try:
        assert kernels._compiles_for(torch.device(DEVICE)) == (fault is None)
        assert ("Triton cannot compile here (Failed to find C compiler. Set CC)" in caplog.text) == (fault is not None)
    finally:
        kernels._compiles_for.cache_clear()
