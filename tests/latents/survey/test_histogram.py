"""Bins, and percentiles within the stated error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.latents.survey.brute_force import sparse_codes

from saev.latents.survey import EDGES, PERCENTILES, ValueHistogram
from saev.latents.survey.by_latent import LatentCodes
from saev.latents.survey.values import ERROR, N_BINS


def histogram(values: list[list[float]]) -> ValueHistogram:
    """Of the values of some latents."""
    f = torch.zeros(max(map(len, values)), 1, len(values))
    for latent, row in enumerate(values):
        f[: len(row), 0, latent] = torch.tensor(row)
    found = ValueHistogram(len(values))
    found.update(LatentCodes.of(sparse_codes(f)))
    return found


INSIDE = st.floats(float(EDGES[0]), float(np.nextafter(EDGES[-1], 0, dtype=np.float32)), width=32)


@settings(deadline=None)
@given(st.lists(st.lists(INSIDE, min_size=1, max_size=60), min_size=1, max_size=4))
def test_percentiles_are_within_the_bound(values: list[list[float]]) -> None:
    found = histogram(values).percentiles()
    assert found.shape == (len(values), len(PERCENTILES))
    for row, got in zip(values, found, strict=True):
        exact = np.percentile(row, PERCENTILES, method="inverted_cdf")
        assert (abs(got.numpy() / exact - 1) <= ERROR + 1e-6).all(), (got, exact)


def test_edges_are_eighths_of_an_octave() -> None:
    assert len(EDGES) == N_BINS + 1 == 225
    np.testing.assert_allclose(np.log2(EDGES.astype(np.float64)) * 8, np.arange(-112, 113), atol=0.05)
    assert pytest.approx(0.046, abs=0.0005) == ERROR


def test_a_value_on_an_edge_is_in_the_bin_above() -> None:
    below = np.nextafter(EDGES, np.float32(0))
    rows = [[float(edge)] for edge in EDGES] + [[float(value)] for value in below]
    bins = histogram(rows).counts.argmax(1)
    assert bins[:225].tolist() == [*range(224), 223]
    assert bins[225:].tolist() == [0, *range(224)]


def test_values_beyond_the_edges_count_at_the_ends() -> None:
    counts = histogram([[1e-45, 1e-30, 3e38, 1.0]]).counts[0]
    assert (counts[0], counts[-1], counts.sum()) == (2, 1, 4)


def test_dead_latents_have_no_percentiles() -> None:
    assert histogram([[1.0], []]).percentiles()[1].tolist() == [0.0] * len(PERCENTILES)
