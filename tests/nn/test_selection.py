"""Which entries are kept, against a sort of everything.

Shape suffixes: b = tokens of a batch, s = latents.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ranks import in_two_processes
from torch import Tensor
from typing_extensions import override

from saev.nn.pre_activations import PreActivations
from saev.nn.selection import PerBatch, PerToken, nth_largest

DTYPES = (torch.float32, torch.bfloat16, torch.float64)


def matrix(b: int, s: int, seed: int, kind: str = "normal") -> Tensor:
    h = torch.randn(b, s, generator=torch.Generator().manual_seed(seed))
    return {"normal": h, "ties": (2 * h).round(), "few": h - 2, "negative": -h.abs() - 0.1}[kind]


@final
class Blocks(PreActivations):
    """Blocks of a matrix that take the memory of the one before."""

    def __init__(self, h_bs: Tensor, rows: int) -> None:
        super().__init__((h_bs.shape[0], h_bs.shape[1]))
        self.h_bs, self.rows = h_bs, rows

    @override
    def blocks(self) -> Iterator[Tensor]:
        memory = self.h_bs.new_empty(self.rows, self.h_bs.shape[1])
        for block in torch.split(self.h_bs, self.rows):
            memory.fill_(torch.nan)
            yield memory[: len(block)].copy_(block)


def kept_by_sorting(h_bs: Tensor, k: int) -> Tensor:
    """The mask of the k * b largest positive entries; of those that are equal to the smallest of them, all."""
    flat = h_bs[h_bs > 0].sort(descending=True).values
    if len(flat) == 0:
        return torch.zeros_like(h_bs, dtype=torch.bool)
    return h_bs >= flat[min(k * len(h_bs), len(flat)) - 1]


@given(
    b=st.integers(1, 20),
    s=st.sampled_from([1, 3, 8, 33, 64]),
    k=st.integers(1, 8),
    rows=st.integers(1, 25),
    kind=st.sampled_from(["normal", "ties", "few", "negative"]),
    last=st.sampled_from([0.0, 1e-3, 0.5, 1.5, 100.0]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 10_000),
)
def test_a_batch_keeps_its_largest_positive_entries(
    b: int, s: int, k: int, rows: int, kind: str, last: float, dtype: torch.dtype, seed: int
) -> None:
    """Whatever was kept last, and however the batch is cut."""
    h, k = matrix(b, s, seed, kind).to(dtype), min(k, s)
    if dtype == torch.float64:
        h += matrix(b, s, seed + 1, kind) * 2.0**-30  # which float32 does not hold
    selection = PerBatch(k)
    selection._last = last
    pattern, values = selection.select(Blocks(h, rows), k)
    assert torch.equal(values, h[pattern.rows_n, pattern.latents_n])
    expected = kept_by_sorting(h, k)
    assert torch.equal(pattern.dense(torch.ones(len(pattern.latents_n))).bool(), expected)
    assert len(pattern.latents_n) == expected.sum()
    assert pattern.n_rows == b and pattern.d_sae == s
    if kind == "normal" and dtype != torch.bfloat16:  # which has ties
        assert expected.sum() == min(k * b, int((h > 0).sum()))
    assert torch.equal(selection.train().activate(h), h * expected)


@given(b=st.integers(1, 20), k=st.integers(1, 33), rows=st.integers(1, 25), seed=st.integers(0, 10_000))
def test_a_token_keeps_its_k_largest(b: int, k: int, rows: int, seed: int) -> None:
    h = matrix(b, 33, seed)
    pattern, values = PerToken(k).select(Blocks(h, rows), k)
    assert torch.equal(values, h[pattern.rows_n, pattern.latents_n])
    mask = pattern.dense(torch.ones(len(pattern.latents_n))).bool()
    assert (mask.sum(1) == k).all()
    largest = h.sort(dim=1, descending=True).values
    assert torch.equal(
        h.where(mask, torch.tensor(-torch.inf)).sort(dim=1, descending=True).values[:, :k], largest[:, :k]
    )
    torch.testing.assert_close(PerToken(k).activate(h), (h * mask).relu())


@given(
    values=st.lists(st.floats(2.0**-60, 2.0**60, width=32) | st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=40),
    n=st.integers(1, 45),
    dtype=st.sampled_from(DTYPES),
)
def test_nth_largest_against_a_sort(values: list[float], n: int, dtype: torch.dtype) -> None:
    tensor = torch.tensor(values, dtype=dtype)
    expected = tensor.sort(descending=True).values[n - 1] if n <= len(values) else torch.zeros((), dtype=dtype)
    found = nth_largest(tensor, torch.tensor(n))
    assert found.dtype == dtype and torch.equal(found, expected)


def test_nth_largest_of_nothing_is_zero() -> None:
    assert nth_largest(torch.zeros(0), torch.tensor(3)) == 0


def test_the_threshold_is_the_running_mean_of_the_smallest_kept_values() -> None:
    selection = PerBatch(2)
    smallest = []
    for seed in range(300):
        h = matrix(16, 32, seed) + seed / 100
        selection.select(Blocks(h, 5), 2)
        smallest.append(h[kept_by_sorting(h, 2)].min())
    # The first ten count alike, later ones enter by a tenth each.
    expected = torch.stack(smallest[:10]).mean()
    for value in smallest[10:]:
        expected = 0.9 * expected + 0.1 * value
    torch.testing.assert_close(selection.threshold, expected, rtol=1e-4, atol=0)


def test_evaluation_keeps_what_is_above_the_threshold_whatever_else_is_in_the_batch() -> None:
    selection = PerBatch(2)
    selection.threshold.fill_(0.7)
    selection.eval()
    h = matrix(9, 32, 0)
    expected = torch.where(h > 0.7, h, 0)
    assert torch.equal(selection.activate(h), expected)
    assert torch.equal(selection.activate(h[4]), expected[4])
    assert torch.equal(selection.activate(h.view(3, 3, 32)), expected.view(3, 3, 32))


def check_both() -> None:
    rank = torch.distributed.get_rank()
    mine = slice(0, 12) if rank == 0 else slice(12, 30)
    for dtype in DTYPES:
        values = matrix(30, 16, 5).abs().to(dtype)
        for n in (1, 7, 300, 480):
            expected = values.flatten().sort(descending=True).values[n - 1]
            assert torch.equal(nth_largest(values[mine].flatten(), torch.tensor(n)), expected)
        assert nth_largest(values[mine].flatten(), torch.tensor(481)) == 0
    selection = PerBatch(3)
    smallest = []
    # One process finds nothing but what is small, then nothing at all; steps later the first guess is too high.
    for seed, kind, factor in (
        (0, "normal", 1.0),
        (1, "normal", 0.1),
        (2, "ties", 1.0),
        (3, "few", 1.0),
        (4, "normal", 1.0),
    ):
        h = matrix(30, 16, seed, kind)
        h[:12] *= factor
        if seed == 4:
            h[12:] = -1
        pattern, _ = selection.select(Blocks(h[mine], 7), 3)
        expected = kept_by_sorting(h, 3)
        assert torch.equal(pattern.dense(torch.ones(len(pattern.latents_n))).bool(), expected[mine])
        assert torch.equal(selection.activate(h[mine]), (h * expected)[mine])
        n_positive = int((h > 0).sum())
        smallest.append(h[expected].min() if n_positive >= 90 else torch.zeros(()))
    torch.testing.assert_close(selection.threshold, torch.stack(smallest).mean())


@pytest.mark.slow
def test_two_processes_keep_what_one_keeps_of_the_whole_batch(tmp_path: Path) -> None:
    in_two_processes(check_both, tmp_path)
