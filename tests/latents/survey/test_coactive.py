"""Latents that fire together, against all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.latents.survey.brute_force import sparse_codes

from saev.latents.survey import TokenSample, token_sample


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
    assert found.numbers.shape == found.cosines.shape == (len(latents), n)
    counts = fires.sum(0)
    for row, i in enumerate(latents):
        pairs = [
            (float(np.float32((fires[:, i] & fires[:, j]).sum() / np.sqrt(counts[i] * counts[j]))), j)
            for j in range(6)
            if j != i and min(counts[i], counts[j]) >= at_least
        ]
        best = sorted((-cosine, j) for cosine, j in pairs if cosine > 0)[:n]
        best += [(0.0, -1)] * (n - len(best))
        assert found.numbers[row].tolist() == [j for _, j in best]
        assert found.cosines[row].tolist() == [-cosine for cosine, _ in best]
