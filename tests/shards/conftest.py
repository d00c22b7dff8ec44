"""A recording whose units are read."""

from pathlib import Path

import pytest
from tests.shards.reading_units import RECORDING
from tests.shards.small_recordings import make_acts, record

from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader


@pytest.fixture
def reader(tmp_path: Path) -> ShardReader:
    """Three files, which tests may damage."""
    return open_shards(record(tmp_path, RECORDING, make_acts(RECORDING)))
