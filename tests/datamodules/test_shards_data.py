"""Which tokens `ShardDataModule` gives to training, validation and testing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards
from torch import Tensor

from saev.datamodules import ShardDataModule
from saev.errors import InputError


@pytest.fixture(scope="module")
def written(make_shards: MakeShards) -> tuple[Path, Tensor]:
    return make_shards(40, n_registers=1)


def attached(shards: Path, rank: int = 0, world_size: int = 1, **options: object) -> ShardDataModule:
    data = ShardDataModule(shards, **{"batch_size": 12, "n_tokens": 240, **options})  # type: ignore[arg-type]
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)  # type: ignore[assignment]
    return data


def rows(x: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in x}


def test_training_and_validation_share_no_image(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.25)
    assert data.val_tokens is not None
    assert len(data.val_tokens.examples) == 10
    together = np.sort(np.concatenate([data.train_tokens.examples, data.val_tokens.examples]))
    assert together.tolist() == list(range(40))
    assert data.test_tokens.examples.tolist() == list(range(40))


def test_one_epoch_gives_every_training_token_once(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.25, n_tokens=30 * 6, batch_size=18)
    batches = list(data.train_dataloader())
    assert [batch.shape for batch in batches] == [(18, 8)] * 10
    expected = written[1][torch.from_numpy(data.train_tokens.examples), 2:].flatten(0, 1)
    assert rows(torch.cat(batches)) == rows(expected)
    assert not torch.equal(torch.cat(batches), expected)


@pytest.mark.parametrize(
    ("tokens", "start", "stop"), [("cls", 0, 1), ("registers", 1, 2), ("content", 2, 8), ("all", 0, 8)]
)
def test_kinds_of_tokens(written: tuple[Path, Tensor], tokens: str, start: int, stop: int) -> None:
    data = attached(written[0], tokens=tokens)
    assert torch.equal(torch.cat(list(data.test_dataloader())), written[1][:, start:stop].flatten(0, 1))


def test_ranks_share_each_global_batch(written: tuple[Path, Tensor]) -> None:
    whole = list(attached(written[0]).train_dataloader())
    parts = [list(attached(written[0], rank, 3).train_dataloader()) for rank in range(3)]
    assert len(whole) == 20
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(batch, torch.cat(shares))


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_share_the_evaluation_and_none_is_without_a_batch(written: tuple[Path, Tensor], world_size: int) -> None:
    for val_share, n in ((0.1, 4), (0.025, 1)):
        parts = [
            list(attached(written[0], rank, world_size, val_share=val_share).val_dataloader())
            for rank in range(world_size)
        ]
        assert all(parts)
        assert sum(len(batch) for part in parts for batch in part) == n * 6
        assert all(batch.shape[1:] == (8,) for part in parts for batch in part)


def test_validation_tokens_are_bounded(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.5, n_val_tokens=13)
    assert data.val_tokens is not None
    assert data.val_tokens.n_tokens == 12
    assert not set(data.val_tokens.examples.tolist()) & set(data.train_tokens.examples.tolist())


def test_the_sample_is_of_training_tokens_and_the_same_everywhere(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.5)
    sample = data.sample(50)
    assert sample.shape == (50, 8)
    assert torch.equal(sample, attached(written[0], 1, 2, val_share=0.5).sample(50))
    assert rows(sample) <= rows(written[1][torch.from_numpy(data.train_tokens.examples), 2:].flatten(0, 1))
    assert len(data.sample(10**9)) == 20 * 6


def test_training_goes_on_with_the_next_batch(written: tuple[Path, Tensor]) -> None:
    whole = list(attached(written[0]).train_dataloader())
    data = attached(written[0])
    batches = iter(data.train_dataloader())
    for _ in range(7):
        next(batches)
    later = attached(written[0])
    later.load_state_dict(data.state_dict())
    rest = list(later.train_dataloader())
    assert len(rest) == 13
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[7:], strict=True))


def test_other_data_are_refused(written: tuple[Path, Tensor], make_shards: MakeShards) -> None:
    state = attached(written[0]).state_dict()
    other, _ = make_shards(39, n_registers=1)
    with pytest.raises(InputError, match=r"shards was .* and is .*n_examples was 38 and is 37"):
        attached(other).load_state_dict(state)
    with pytest.raises(InputError, match=r"batch_size was 12 and is 6; batches was .*; seed was 0 and is 9"):
        attached(written[0], batch_size=6, seed=9).load_state_dict(state)
    with pytest.raises(InputError, match="tokens was 2 to 8 of each image and is 0 to 1"):
        attached(written[0], tokens="cls", n_tokens=12).load_state_dict(state)


@pytest.mark.parametrize("option", [{"n_val_tokens": 0}, {"buffer_gib": float("nan")}, {"buffer_gib": -1.0}])
def test_numbers_that_make_no_sense(written: tuple[Path, Tensor], option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        ShardDataModule(written[0], batch_size=12, n_tokens=24, **option)
