"""Units part the tokens of an example, and units.xxh3 holds the hash of each."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.shards.format.dtypes import encode
from saev.shards.format.hashing import HASH_BYTES, UNIT_BYTES, UNITS_FILE, unit_bounds, unit_hash_bytes
from saev.shards.format.layout import DTYPES, ShardLayout, TokenLayout
from saev.shards.reading.open import open_shards
from saev.shards.reading.verify import faults

# Three units of CLS and registers and sixteen of patches in float32, fewer in the other dtypes.
TOKENS = TokenLayout(cls=True, n_registers=11, grid=(8, 8))

token_layouts = st.builds(
    TokenLayout,
    cls=st.booleans(),
    n_registers=st.integers(0, 20),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)


@given(token_layouts, st.integers(1, 2 * UNIT_BYTES))
def test_units_part_the_tokens(tokens: TokenLayout, bytes_per_token: int) -> None:
    bounds = unit_bounds(tokens, bytes_per_token)
    assert (bounds[0], bounds[-1]) == (0, tokens.n_tokens)
    sizes = [stop - start for start, stop in pairwise(bounds)]
    assert all(size > 0 for size in sizes)
    assert tokens.n_prefix in bounds  # no unit crosses from registers to patches
    parted = bounds.index(tokens.n_prefix)
    for n, group in ((tokens.n_prefix, sizes[:parted]), (tokens.n_content, sizes[parted:])):
        assert sum(group) == n
        assert len(group) == min(n, -(-n * bytes_per_token // UNIT_BYTES))
        assert max(group, default=0) - min(group, default=0) <= 1
        assert all(size == 1 or size * bytes_per_token < UNIT_BYTES + bytes_per_token for size in group)


@given(token_layouts, st.integers(1, 5000), st.sampled_from(DTYPES))
def test_the_bytes_of_hashes_are_known_without_the_bounds(tokens: TokenLayout, d_model: int, dtype: str) -> None:
    layout = ShardLayout(3, tokens, d_model, dtype, 2)
    assert unit_hash_bytes(layout) == HASH_BYTES * (len(unit_bounds(tokens, layout.bytes_per_token)) - 1)


def test_nonsense_takes_no_time_and_no_memory() -> None:
    huge = ShardLayout(1, TokenLayout(cls=True, n_registers=2**40, grid=(2**20, 2**20)), 1000, "int8", 1)
    assert unit_hash_bytes(huge) > 2**35


def test_units_of_a_vit() -> None:
    bounds = unit_bounds(TokenLayout(cls=True, n_registers=0, grid=(14, 14)), 768 * 4)
    assert len(bounds) == 1 + 1 + 37
    assert bounds[:6] == (0, 1, 6, 11, 16, 22)
    # A token that is larger than a unit is one.
    assert unit_bounds(TokenLayout(cls=True, n_registers=1, grid=(1, 3)), 2 * UNIT_BYTES) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_units_hash_is_that_of_its_stored_bytes(tmp_path: Path, dtype: str, batch: int) -> None:
    recording = make_recording(5, TOKENS, 1000, dtype, budget=2 * TOKENS.n_tokens)
    layout, acts = recording.layout, make_acts(recording)
    directory = record(tmp_path, recording, acts, batch)
    stored_ntb = encode(acts, dtype).numpy()
    assert stored_ntb.shape == (5, TOKENS.n_tokens, layout.bytes_per_token)
    bounds = unit_bounds(TOKENS, layout.bytes_per_token)
    hashes = np.frombuffer((directory / UNITS_FILE).read_bytes(), "<u8").reshape(5, len(bounds) - 1)
    for example, found in enumerate(hashes.tolist()):
        units = [stored_ntb[example, start:stop].tobytes() for start, stop in pairwise(bounds)]
        assert found == [xxhash.xxh3_64_intdigest(unit) for unit in units]
    assert open_shards(directory).manifest.files[UNITS_FILE].n_bytes == hashes.nbytes
    assert faults(directory) == []
