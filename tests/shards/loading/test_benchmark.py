import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.errors import InputError
from saev.shards.loading.benchmark import benchmark, expected_distinct
from saev.shards.loading.shuffled import DataSet, ShuffledTokens
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(60, grid=(4, 5))[0]


@given(st.integers(1, 50), st.integers(1, 200))
def test_expected_distinct_values_are_those_of_draws(n: int, draws: int) -> None:
    found = np.mean([len(np.unique(np.random.default_rng(seed).integers(n, size=draws))) for seed in range(200)])
    assert expected_distinct(n, draws) == pytest.approx(found, rel=0.1, abs=0.5)


def test_what_is_measured_is_what_the_batches_hold(shards: Path) -> None:
    tokens = TokenSelection.of([open_shards(shards)], np.arange(60), "content")
    batches = ShuffledTokens([DataSet(tokens, 100)], n_batches=12, buffer_bytes=10**6, seed=0)
    calls: list[None] = []
    found = benchmark(tokens, batches, 60.0, lambda: calls.append(None))
    assert (found.n_batches, found.n_tokens, found.n_bytes) == (12, 1100, 1100 * 32)
    assert len(calls) == 12
    # A uniform permutation is about what independent draws are, and there are no more images than these.
    assert found.uniform_images * 0.8 < found.images <= 60
    assert found.uniform_positions * 0.8 < found.positions <= 20
    assert found.memory is None or found.memory >= 0


def test_bench_prints_what_it_found(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", "bench", str(shards), "--batch_size", "100", "--buffer_gib", "0.01"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^plan: +1,200 tokens of 60 images, all in memory", out, re.M)
    assert re.search(r"^after that: +[\d,]+ tokens/s, [\d.]+ GB/s over [\d.]+ s and 12 batches$", out, re.M)
    assert re.search(r"^images in a batch: +\d+, \d+% of the \d+ that independent draws would give$", out, re.M)
    assert re.search(r"^memory: .* of the buffer of 10.7 MB$", out, re.M)
    assert "12/12" in err


def test_bench_of_a_part_of_the_data_ends_in_time(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", "bench", str(shards), "--batch_size", "1", "--seconds", "1e-9", "--tokens", "cls"]) == 0
    out, err = capsys.readouterr()
    assert "over 0.0 s and 1 batches" in out
    assert "too short for a speed to trust" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch_size", "5000"], "--batch_size 5000 is more than the 1200 tokens"),
        (["--seconds", "0"], "must be above 0"),
        (["--tokens", "registers"], "no registers tokens"),
        (["--batch_size", "100", "--buffer_gib", "1e-6"], "too small for batches of 100 tokens"),
    ],
)
def test_numbers_that_make_no_sense(shards: Path, options: list[str], message: str) -> None:
    from saev.cli.shards import main as shards_main

    with pytest.raises(InputError, match=message):
        shards_main(["bench", str(shards), *options])


def test_damage_is_one_line(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acts = shards / "acts000000.bin"
    content = acts.read_bytes()
    try:
        acts.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        status = main(["shards", "bench", str(shards), "--batch_size", "100"])
    finally:
        acts.write_bytes(content)
    assert status != 0
    assert "is damaged" in capsys.readouterr().err
