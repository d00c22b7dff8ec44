import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.shards.format.hashing import BLOCK_BYTES, block_span, blocks_touched, n_blocks
from saev.shards.format.layout import ACTS_FILE, DTYPES, ShardLayout, TokenLayout

token_layouts = st.builds(
    TokenLayout,
    cls=st.booleans(),
    n_registers=st.integers(0, 8),
    grid=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)


@st.composite
def balanced_layouts(draw: st.DrawFn) -> tuple[ShardLayout, int]:
    tokens = draw(token_layouts)
    budget = draw(st.integers(tokens.n_tokens, 40 * tokens.n_tokens))
    dtype = draw(st.sampled_from(DTYPES))
    layout = ShardLayout.balanced(draw(st.integers(1, 500)), tokens, draw(st.integers(1, 64)), dtype, budget)
    return layout, budget


@given(balanced_layouts())
def test_every_example_lies_in_exactly_one_place(case: tuple[ShardLayout, int]) -> None:
    layout, _ = case
    places = [layout.locate(i) for i in range(layout.n_examples)]
    assert len(set(places)) == layout.n_examples
    assert places == sorted(places)
    for shard, offset in places:
        assert offset % layout.bytes_per_example == 0
        assert offset + layout.bytes_per_example <= layout.bytes_per_shard
        assert offset // layout.bytes_per_example < layout.n_examples_in(shard)
    assert sum(map(layout.n_examples_in, range(layout.n_shards))) == layout.n_examples


@given(balanced_layouts())
def test_files_are_balanced_within_the_budget(case: tuple[ShardLayout, int]) -> None:
    layout, budget = case
    assert layout.examples_per_shard * layout.tokens.n_tokens <= budget
    fewest = -(-layout.n_examples // (budget // layout.tokens.n_tokens))
    assert layout.n_shards == fewest
    padding = layout.n_shards * layout.examples_per_shard - layout.n_examples
    assert 0 <= padding <= layout.n_shards - 1
    assert layout.total_bytes == layout.n_shards * layout.bytes_per_shard
    # The original's reader finds examples per shard from the tokens that metadata.json states.
    stated = layout.examples_per_shard * layout.tokens.n_tokens
    assert stated // layout.tokens.n_tokens == layout.examples_per_shard


@given(balanced_layouts())
def test_layout_survives_json(case: tuple[ShardLayout, int]) -> None:
    assert ShardLayout.from_dict(case[0].to_dict(), "here") == case[0]


@given(balanced_layouts(), st.data())
def test_examples_in_span_are_those_with_a_byte_there(case: tuple[ShardLayout, int], data: st.DataObject) -> None:
    layout, _ = case
    shard = data.draw(st.integers(0, layout.n_shards - 1))
    start = data.draw(st.integers(0, layout.bytes_per_shard - 1))
    stop = data.draw(st.integers(start + 1, layout.bytes_per_shard))
    expected = [
        i
        for i, (where, offset) in enumerate(map(layout.locate, range(layout.n_examples)))
        if where == shard and offset < stop and offset + layout.bytes_per_example > start
    ]
    assert list(layout.examples_in_span(shard, start, stop)) == expected


@given(token_layouts)
def test_kinds_of_tokens_part_the_positions(tokens: TokenLayout) -> None:
    present = [k for k, n in (("cls", tokens.cls), ("registers", tokens.n_registers)) if n]
    found = [p for kind in [*present, "content"] for p in tokens.positions(kind)]
    assert found == list(tokens.positions("all")) == list(range(tokens.n_tokens))


def test_missing_kinds_of_tokens_are_refused() -> None:
    tokens = TokenLayout(cls=False, n_registers=0, grid=(2, 2))
    with pytest.raises(InputError, match="no cls tokens: choose from content, all"):
        tokens.positions("cls")
    with pytest.raises(InputError, match="'patches' is unknown: choose from content, cls, registers, all"):
        tokens.positions("patches")


def test_impossible_layouts_are_refused() -> None:
    tokens = TokenLayout(cls=True, n_registers=0, grid=(2, 2))
    with pytest.raises(
        InputError,
        match="n_patches_per_shard: 4 tokens a shard do not hold the 5 tokens of one example: allow at least 5",
    ):
        ShardLayout.balanced(3, tokens, 8, "float32", 4)
    with pytest.raises(InputError, match="0 examples"):
        ShardLayout.balanced(0, tokens, 8, "float32")
    with pytest.raises(InputError, match="'int4' cannot be stored: choose from float32, bfloat16, float16, int8"):
        ShardLayout.balanced(3, tokens, 8, "int4")
    with pytest.raises(InputError, match="more than 1000000"):
        ShardLayout.balanced(10**7, tokens, 8, "float32", 5)


@given(st.integers(1, 20 * BLOCK_BYTES))
def test_blocks_cover_a_file_once(n_bytes: int) -> None:
    spans = [block_span(i, n_bytes) for i in range(n_blocks(n_bytes))]
    assert spans[0][0] == 0
    assert spans[-1][1] == n_bytes
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert all(0 < stop - start <= BLOCK_BYTES for start, stop in spans)


@given(st.integers(0, 10 * BLOCK_BYTES), st.integers(0, 10 * BLOCK_BYTES))
def test_touched_blocks_are_those_that_overlap(a: int, b: int) -> None:
    start, stop = sorted((a, b))
    spans = [block_span(i, 10 * BLOCK_BYTES) for i in range(10)]
    expected = [i for i, (low, high) in enumerate(spans) if low < stop and high > start and start < stop]
    assert list(blocks_touched(start, stop)) == expected


def test_all_bytes_can_be_counted_exactly() -> None:
    tokens = TokenLayout(cls=False, n_registers=0, grid=(1, 1))
    assert ShardLayout(1, tokens, 2**51 - 1, "float32", 1).total_bytes == 2**53 - 4
    assert ShardLayout(3, tokens, 2**49, "float32", 1).total_bytes < 2**53
    for n_examples, d_model, per_shard in [(1, 2**51, 1), (4, 2**49, 1), (2**30, 2**30, 2**30), (3, 2**49, 2)]:
        with pytest.raises(InputError, match=r"bytes of activations are more than 9007199254740991: no disk has them"):
            ShardLayout(n_examples, tokens, d_model, "float32", per_shard)


@pytest.mark.parametrize(
    "name", ["acts1.bin", "acts0000001.bin", "acts00000\u0661.bin", "acts000001.bin\n", "xacts000001.bin"]
)
def test_other_names_are_no_files_of_activations(name: str) -> None:
    assert ACTS_FILE.fullmatch("acts000001.bin")
    assert not ACTS_FILE.fullmatch(name)
