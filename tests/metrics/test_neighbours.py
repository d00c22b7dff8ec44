"""Nearest directions against all cosines."""

import pytest
import torch

from saev.errors import InputError
from saev.metrics import nearest


@pytest.mark.parametrize("chunk_bytes", [1, 400, 2**27])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_equal_all_cosines(chunk_bytes: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.metrics.neighbours.COSINE_BYTES", chunk_bytes)
    w_sd = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=dtype) * torch.arange(1, 41)[:, None]
    rows = torch.tensor([3, 39, 0])
    cosines = torch.nn.functional.cosine_similarity(w_sd[:, None], w_sd[None], dim=-1)
    for k in (1, 5):
        found = nearest(w_sd[rows], w_sd, k, rows)
        expected = cosines.clone().fill_diagonal_(-2)[rows].sort(descending=True)
        assert torch.equal(found.numbers, expected.indices[:, :k])
        torch.testing.assert_close(found.cosines, expected.values[:, :k])
        assert nearest(w_sd[rows], w_sd, k).numbers[:, 0].tolist() == rows.tolist()


def test_there_may_be_fewer_than_asked_for() -> None:
    found = nearest(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]), 3, torch.tensor([1]))
    assert found.numbers.tolist() == [[0, -1, -1]]
    torch.testing.assert_close(found.cosines, torch.tensor([[0.5**0.5, 0.0, 0.0]]))
    alone = nearest(torch.ones(1, 2), torch.ones(1, 2), 1, torch.tensor([0]))
    assert (alone.numbers.tolist(), alone.cosines.tolist()) == ([[-1]], [[0.0]])


def test_widths_must_agree() -> None:
    with pytest.raises(InputError, match="directions of width 2 and 3 cannot be compared"):
        nearest(torch.ones(1, 2), torch.ones(1, 3))
