import itertools

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from saev.errors import InputError
from saev.metrics import decoder_coherence, nearest_stability, one_to_one, stability


def rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def cosines(w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (w / w.norm(dim=1, keepdim=True)) @ (v / v.norm(dim=1, keepdim=True)).T


@pytest.mark.parametrize("chunk_bytes", [1, 4 * 9 * 4, 2**27])
def test_coherence_is_the_largest_cosine_with_another_row(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.metrics.neighbours.COSINE_BYTES", chunk_bytes)
    w = rows(9, 4)
    off = cosines(w, w).masked_fill(torch.eye(9, dtype=torch.bool), -1)
    found = decoder_coherence(w)
    assert found.mean == pytest.approx(off.max(1).values.mean().item(), abs=1e-6)
    assert found.max == pytest.approx(off.max().item(), abs=1e-6)


def test_coherence_of_known_dictionaries() -> None:
    assert decoder_coherence(torch.eye(4)) == (0, 0)
    assert decoder_coherence(torch.tensor([[1.0, 0], [-1, 0]])) == (-1, -1)
    twice = decoder_coherence(torch.cat([torch.eye(3), 5 * torch.eye(3)[:1]]))
    assert twice == (pytest.approx(0.5), pytest.approx(1))
    with pytest.raises(InputError, match="not 1"):
        decoder_coherence(torch.eye(1))


def test_a_dictionary_in_another_order_is_the_same_one() -> None:
    w = rows(20, 6)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    assert stability(w, 3 * w[order]) == (pytest.approx(1, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert stability(w, -w[order]).matched < 0.9


def test_the_matching_is_the_best_one_to_one() -> None:
    w, v = rows(5, 3, 1), rows(5, 3, 2)
    c = cosines(w, v)
    best = max(c[range(5), list(order)].mean().item() for order in itertools.permutations(range(5)))
    found = stability(w, v)
    assert found.matched == pytest.approx(best, abs=1e-6)
    assert found.nearest == pytest.approx(((c.amax(0).mean() + c.amax(1).mean()) / 2).item(), abs=1e-6)
    assert found.nearest > found.matched


def test_several_rows_may_have_one_neighbour_but_only_one_match() -> None:
    found = stability(torch.eye(2)[[0, 0]], torch.eye(2))
    assert found.matched == 0.5
    assert found.nearest == pytest.approx(0.75)


def test_dictionaries_of_different_sizes_and_widths() -> None:
    w = rows(8, 5)
    found = stability(w[:3], w)
    assert found.matched == pytest.approx(1, abs=1e-6)
    assert found.nearest < 1
    assert stability(w, w[:3]) == pytest.approx(found)
    for compare in (stability, nearest_stability):
        with pytest.raises(InputError, match="5 and 4"):
            compare(w, rows(8, 4))


@pytest.mark.parametrize("least", [0.1, 0.5, 0.7])
def test_the_matching_above_a_cosine_is_that_of_the_hungarian_algorithm(least: float) -> None:
    for seed in range(20):
        w, v = rows(14, 3, seed), rows(11, 3, seed + 100)
        c = cosines(w, v)
        counted = torch.where(c >= least, c, 0.0).numpy()
        best = counted[linear_sum_assignment(counted, maximize=True)].sum()
        found = one_to_one(w, v, least)
        matched = torch.nonzero(found >= 0)[:, 0]
        assert c[matched, found[matched]].min() >= least
        assert len(set(found[matched].tolist())) == len(matched)
        assert c[matched, found[matched]].sum().item() == pytest.approx(best, abs=1e-5)


def test_rows_without_a_match() -> None:
    assert one_to_one(torch.eye(3), torch.eye(3)[[0, 0]] * 2, 0.7).tolist() in ([0, -1, -1], [1, -1, -1])
    assert one_to_one(torch.zeros(2, 3), torch.eye(3), 0.7).tolist() == [-1, -1]
    with pytest.raises(InputError, match="width 3 and 4"):
        one_to_one(torch.eye(3), torch.eye(4), 0.7)
