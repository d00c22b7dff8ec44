"""Nearest latents against all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.latents.survey.brute_force import sparse_codes

from saev.latents.survey import TokenSample, neighbours, token_sample
from saev.latents.survey.neighbours import nearest_decoders


@settings(deadline=None)
@given(
    fires=arrays(np.bool_, (12, 6)),
    n=st.integers(1, 8),
    at_least=st.integers(1, 4),
    latents=st.lists(st.integers(0, 5), max_size=6),
    cells=st.sampled_from([1, 12, 2**22]),
)
def test_coactive_latents_equal_brute_force(
    fires: np.ndarray, n: int, at_least: int, latents: list[int], cells: int
) -> None:
    sample = TokenSample(6, seed=0)
    sample.update(sparse_codes(torch.from_numpy(fires).float().view(4, 3, 6)), np.arange(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_sample, "PAIR_CELLS", cells)
        found = sample.nearest(torch.tensor(latents, dtype=torch.int64), n, at_least)
    assert found.latents.shape == found.cosines.shape == (len(latents), n)
    counts = fires.sum(0)
    for row, i in enumerate(latents):
        pairs = [
            (float(np.float32((fires[:, i] & fires[:, j]).sum() / np.sqrt(counts[i] * counts[j]))), j)
            for j in range(6)
            if j != i and min(counts[i], counts[j]) >= at_least
        ]
        best = sorted((-cosine, j) for cosine, j in pairs if cosine > 0)[:n]
        best += [(0.0, -1)] * (n - len(best))
        assert found.latents[row].tolist() == [j for _, j in best]
        assert found.cosines[row].tolist() == [-cosine for cosine, _ in best]


@pytest.mark.parametrize("cells", [1, 100, 2**22])
def test_decoders_equal_all_cosines(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "COSINE_CELLS", cells)
    W_dec = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 41)[:, None]
    latents = torch.tensor([3, 39, 0])
    found = nearest_decoders(W_dec, latents, 5)
    cosines = torch.nn.functional.cosine_similarity(W_dec[:, None], W_dec[None], dim=-1).fill_diagonal_(-2)
    expected = cosines[latents].sort(descending=True)
    assert torch.equal(found.latents, expected.indices[:, :5])
    torch.testing.assert_close(found.cosines, expected.values[:, :5])


def test_fewer_decoders_than_asked_for() -> None:
    found = nearest_decoders(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([1]), 3)
    assert found.latents.tolist() == [[0, -1, -1]]
    torch.testing.assert_close(found.cosines, torch.tensor([[0.5**0.5, 0.0, 0.0]]))
