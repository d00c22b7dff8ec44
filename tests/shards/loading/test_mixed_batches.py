"""Several data sets in a batch, several layers of a token, and all stored dtypes."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import MakeShards
from tests.shards.loading.named import GRID, D, N, all_names, loader, named_acts, names, select, stream

from saev.errors import InputError
from saev.shards.format.dtypes import decode, encode
from saev.shards.format.layout import DTYPES
from saev.shards.loading.saved_state import SavedState


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(150, 1000), st.integers(1, 3))
def test_each_batch_has_the_rows_of_each_data_set(
    shards: Path, other: Path, rows_a: int, rows_b: int, held: int, world_size: int
) -> None:
    sets = [select(shards, ignore=[2]), select(other, examples=range(25))]
    rows = [rows_a * world_size, rows_b * world_size]
    options = {"rows": rows, "held": held, "batches": 40}
    whole = [names(batch) for batch in loader(*sets, **options)]
    assert all(Counter(mark for mark, _, _ in batch) == {0: rows[0], 1: rows[1]} for batch in whole)
    for mark, tokens in enumerate(sets):
        found = [name for batch in whole for name in batch if name[0] == mark]
        epoch = found[: tokens.n_tokens]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(all_names(tokens, mark))
    parts = [list(loader(*sets, **options, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for number, batch in enumerate(whole):
        together = [name for part in parts for name in names(part[number])]
        assert len({len(part[number]) for part in parts}) == 1
        # In another order: each process has a part of each data set.
        assert sorted(together) == sorted(batch)


def test_a_small_data_set_stays_in_memory_beside_a_large_one(shards: Path, other: Path) -> None:
    sets = [select(shards), select(other, examples=range(3))]
    batches = loader(*sets, rows=[20, 4], held=400)
    assert [sizes is None for sizes in batches._sizes] == [False, True]
    assert len(batches.describe()) == 2
    assert "uniform permutation" in batches.describe()[1]


def test_another_mixture_is_refused(shards: Path, other: Path) -> None:
    sets = [select(shards), select(other, examples=range(25))]
    state = loader(*sets, rows=[12, 12], held=200).state_dict()
    with pytest.raises(InputError, match=r"1 tokens_a_batch was 12 and is 8.*2 tokens_a_batch was 12"):
        loader(*sets, rows=[8, 16], held=200).load_state_dict(state)
    with pytest.raises(InputError, match=r"data set 1 shards was \w+ and is None"):
        loader(sets[0], rows=[24], held=200).load_state_dict(state)
    assert SavedState.from_dict(state).batch == 0


@pytest.mark.parametrize("held", [100_000, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_values_are_given_bit_for_bit(make_shards: MakeShards, dtype: str, held: int) -> None:
    directory, acts = make_shards(N, d_model=D, grid=GRID, dtype=dtype)
    tokens = select(directory)
    expected = decode(encode(acts, dtype), dtype)[:, 1:].flatten(0, 1)
    batches = list(loader(tokens, rows=[24], held=held, batches=20))
    found = torch.cat(batches)
    assert found.dtype == expected.dtype == (torch.float32 if dtype == "int8" else getattr(torch, dtype))
    assert sorted(found.tolist()) == sorted(expected.tolist())
    sample = loader(tokens, held=held).sample(10**6)
    assert sample.dtype == torch.float32
    assert sorted(sample.tolist()) == sorted(expected.float().tolist())


@pytest.mark.parametrize(
    ("dtype", "held"), [("float32", 2000), ("float32", 100_000), ("bfloat16", 900), ("int8", 1000), ("int8", 100_000)]
)
def test_a_row_is_all_layers_of_a_token(make_shards: MakeShards, dtype: str, held: int) -> None:
    layers = [
        make_shards(N, d_model=d, grid=GRID, dtype=dtype, layer=layer, acts=torch.randn(N, 13, d))
        for layer, d in ((3, D), (4, 3 * D), (9, D))
    ]
    tokens = select(*(path for path, _ in layers))
    assert tokens.d_model == 5 * D
    expected = torch.cat([decode(encode(acts, dtype), dtype) for _, acts in layers], dim=-1)[:, 1:].flatten(0, 1)
    batches = loader(tokens, rows=[24], held=held, batches=20)
    assert (batches._sizes[0] is None) == (held == 100_000)
    assert sorted(torch.cat(list(batches)).tolist()) == sorted(expected.tolist())
    assert torch.equal(torch.cat(list(tokens.read(tokens.examples))).flatten(0, 1), expected.float())
    assert sorted(batches.sample(10**6).tolist()) == sorted(expected.float().tolist())


def test_ignored_labels_are_in_no_batch(shards: Path) -> None:
    tokens = select(shards, ignore=[5, 0], kind="all")
    found = stream(loader(tokens, rows=[24], held=100, batches=tokens.n_tokens // 24))
    kept = {(e, p) for e in range(N) for p in range(13) if p == 0 or ((e * 12 + p - 1) % 6 not in (0, 5) and e != 7)}
    assert {(example, position) for _, example, position in found} <= kept
    assert tokens.n_tokens == len(kept)


def test_images_without_a_patch_left_are_passed_over(shards: Path) -> None:
    assert 7 not in select(shards, ignore=[5]).examples
    with pytest.raises(InputError, match=r"all patches have the labels \[0, 1, 2, 3, 4, 5\]: nothing is left"):
        select(shards, ignore=range(6))


def test_labels_must_have_been_recorded(other: Path) -> None:
    with pytest.raises(InputError, match="has no patch labels"):
        select(other, examples=range(25), ignore=[1])


def test_names_survive(make_shards: MakeShards) -> None:
    """The helper's own names are exact in half precision."""
    directory, _ = make_shards(N, d_model=D, grid=GRID, dtype="bfloat16", acts=named_acts())
    assert sorted(stream(loader(select(directory), rows=[48], held=9999))) == all_names(select(directory))
