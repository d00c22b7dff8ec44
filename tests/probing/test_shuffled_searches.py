"""A search over all latents and attributes confirms nothing where labels know nothing: a benchmark in small."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csc_array
from scripts.bench.shuffled_labels import Pictures, searches, shuffled
from tests.conftest import MakeShards

import saev
from saev.nn import TopK
from saev.probing.pictures.pooled import pooled

N, N_GROUPS, N_SEARCHES = 240, 60, 100


@pytest.fixture(scope="module")
def pooled_il(make_shards: MakeShards) -> csc_array:
    """Codes of activations in which the pictures of a group have much in common."""
    generator = torch.Generator().manual_seed(0)
    of_group_itd = torch.randn(N_GROUPS, 1, 16, generator=generator).repeat_interleave(N // N_GROUPS, 0)
    x_itd = torch.randn(N, 7, 16, generator=generator) + 2 * of_group_itd
    shards: Path = make_shards(N, d_model=16, acts=x_itd)[0]
    torch.manual_seed(0)
    return pooled(saev.encode(TopK(16, 256, k=4), shards), range(N), progress=False)


@pytest.mark.daily
@pytest.mark.parametrize("kind", ["alone", "strata", "groups"])
def test_at_most_one_search_in_twenty_confirms_anything(pooled_il: csc_array, kind: str) -> None:
    rng = np.random.default_rng(0)
    group_i = np.repeat(np.arange(N_GROUPS), N // N_GROUPS)
    is_test_i = np.repeat(rng.random(N_GROUPS) < 0.5, N // N_GROUPS)
    pictures = Pictures(
        pooled_il,
        is_test_i,
        group_i if kind == "groups" else None,
        group_i % 6 if kind == "strata" else None,
    )
    y_ij = (rng.random((N, 5)) < [0.5, 0.4, 0.3, 0.2, 0.1]).astype(np.int8)
    if kind == "strata":  # what the latents could know of the stratum, the labels know, too
        y_ij[:, 1] = np.where(group_i % 6 < 3, rng.random(N) < 0.8, y_ij[:, 1])
    labels = [shuffled(pictures, y_ij, rng) for _ in range(N_SEARCHES)]
    found = list(searches(pictures, labels, rng, n_permutations=199, n_draws=200))
    assert sum(one.confirmed > 0 for one in found) <= 0.05 * N_SEARCHES
    assert sum(one.significant > 0 for one in found) <= 0.1 * N_SEARCHES
    assert np.mean([one.largest for one in found]) > 0.3  # there was something to be taken in by
    # Of latents that seldom fire they are wider than need be.
    assert sum(one.covered for one in found) >= 0.93 * sum(one.n for one in found)
