"""Small pieces and reads, and the data that all tests of loading read."""

from pathlib import Path

import pytest
import torch
from tests.conftest import MakeShards
from tests.shards.loading.named import GRID, N_PATCHES, D, N, named_acts, small_pieces

__all__ = ["small_pieces"]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards, small_pieces: None) -> Path:
    """40 images of a CLS token and 3 x 4 patches, in 8 files, with labels 0 to 5."""
    labels = torch.arange(N * N_PATCHES).remainder(6).to(torch.uint8).reshape(N, N_PATCHES)
    labels[7] = 5
    return make_shards(N, d_model=D, grid=GRID, acts=named_acts(), labels=labels)[0]


@pytest.fixture(scope="module")
def other(make_shards: MakeShards, small_pieces: None) -> Path:
    """25 other images."""
    return make_shards(25, d_model=D, grid=GRID, acts=named_acts(25, mark=1), name="other")[0]


@pytest.fixture
def make_plain(make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards whose units are as long as other processes expect."""
    monkeypatch.setattr("saev.shards.format.hashing.UNIT_BYTES", 16 * 2**10)
    return make_shards(20)[0]
