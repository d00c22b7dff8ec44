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
    labels = torch.arange(40 * 6).remainder(4).to(torch.uint8).reshape(40, 6)
    return make_shards(40, n_registers=1, labels=labels)


def attached(shards: Path | list[Path], rank: int = 0, world_size: int = 1, **options: Any) -> ShardDataModule:
    """With what it asks a trainer for."""
    data = ShardDataModule(shards, **{"batch_size": 12, "n_tokens": 240, **options})
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank,
        world_size=world_size,
        num_devices=world_size,
        is_global_zero=rank == 0,
        distributed_sampler_kwargs={"rank": rank, "num_replicas": world_size},
        strategy=SimpleNamespace(broadcast=lambda value: value, root_device=torch.device("cpu")),
    )
    return data


def rows(x: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in x}


def training(data: ShardDataModule) -> Tensor:
    return torch.cat(list(data.train_dataloader()))


def test_training_and_validation_share_no_image(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.25)
    assert len(data.val_tokens[0].examples) == 10
    together = np.sort(np.concatenate([data.train_tokens[0].examples, data.val_tokens[0].examples]))
    assert together.tolist() == list(range(40))
    assert data.test_tokens[0].examples.tolist() == list(range(40))


def test_one_epoch_gives_every_training_token_once(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.25, n_tokens=30 * 6, batch_size=18)
    batches = list(data.train_dataloader())
    assert [batch.shape for batch in batches] == [(18, 8)] * 10
    expected = written[1][torch.from_numpy(data.train_tokens[0].examples), 2:].flatten(0, 1)
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


def test_validation_tokens_are_bounded(written: tuple[Path, Tensor], make_shards: MakeShards) -> None:
    data = attached(written[0], val_share=0.5, n_val_tokens=13)
    assert data.val_tokens[0].n_tokens == 12
    assert not set(data.val_tokens[0].examples.tolist()) & set(data.train_tokens[0].examples.tolist())
    other, _ = make_shards(80, n_registers=1, name="other")
    several = attached([written[0], other], val_share=0.5, n_val_tokens=6 * 30)
    assert [len(tokens.examples) for tokens in several.val_tokens] == [10, 20]


def test_the_sample_is_of_training_tokens_and_the_same_everywhere(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], val_share=0.5)
    sample = data.sample(50)
    assert sample.shape == (50, 8)
    assert torch.equal(sample, attached(written[0], 1, 2, val_share=0.5).sample(50))
    assert torch.equal(sample, ShardDataModule(written[0], batch_size=12, n_tokens=240, val_share=0.5).sample(50))
    assert rows(sample) <= rows(written[1][torch.from_numpy(data.train_tokens[0].examples), 2:].flatten(0, 1))
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


def test_each_fit_begins_anew(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0])
    first = training(data)
    assert not torch.equal(training(data), first)
    data.setup("validate")
    assert not torch.equal(training(data), first)
    data.setup("fit")
    assert torch.equal(training(data), first)


def test_other_data_are_refused(written: tuple[Path, Tensor], make_shards: MakeShards) -> None:
    state = attached(written[0]).state_dict()
    other, _ = make_shards(39, n_registers=1)
    for data, message in (
        (
            attached(other),
            r"shards was .*; bytes was \w+ and is \w+; images was 38 \(\w+\) and is 37 \(\w+\)",
        ),
        (attached(written[0], batch_size=6, seed=9), "batch_size was 12 and is 6; seed was 0 and is 9; batches was"),
        (attached(written[0], n_tokens=252), "batches was 20 and is 21"),
        (attached(written[0], tokens="cls", n_tokens=240), "tokens was 2 to 8 of each image and is 0 to 1"),
        (attached(written[0], share=0.5), r"images was 38 \(\w+\) and is 19"),
        (attached(written[0], ignore_labels=[1]), r"images was 38 \(\w+\) and is 38"),
        (attached([written[0], other]), "data set 2 shards was None"),
    ):
        with pytest.raises(InputError, match=message):
            data.load_state_dict(state)


def test_batches_have_the_stored_dtype_and_evaluation_is_float32(make_shards: MakeShards) -> None:
    directory, acts = make_shards(40, dtype="bfloat16")
    data = attached(directory)
    assert training(data).dtype == torch.bfloat16
    found = torch.cat(list(data.test_dataloader()))
    assert torch.equal(found, acts[:, 1:].bfloat16().float().flatten(0, 1))


def test_several_data_sets_are_mixed(written: tuple[Path, Tensor], make_shards: MakeShards) -> None:
    other, acts = make_shards(
        10, n_registers=1, name="other", acts=torch.randn(10, 8, 8, generator=torch.Generator().manual_seed(99))
    )
    for weights, n in ((None, 2), ([1.0, 3.0], 9), ([11, 1], 1)):
        data = attached([written[0], other], weights=weights, val_share=0)
        theirs = rows(acts[:, 2:].flatten(0, 1))
        for batch in data.train_dataloader():
            assert len(rows(batch) & theirs) == n
            assert len(batch) == 12
    found = torch.cat(list(data.test_dataloader()))
    assert torch.equal(found, torch.cat([written[1][:, 2:].flatten(0, 1), acts[:, 2:].flatten(0, 1)]))
    held_out = attached([written[0], other], val_share=0.2).val_tokens
    assert [len(tokens.examples) for tokens in held_out] == [8, 2]


def test_layers_are_paired(written: tuple[Path, Tensor], make_shards: MakeShards) -> None:
    layers = [make_shards(40, n_registers=1, layer=layer, acts=torch.randn(40, 8, 8)) for layer in (5, 7)]
    data = attached(written[0], paired=[path for path, _ in layers], val_share=0.25, d_model=24)
    assert data.d_model == 24
    expected = torch.cat([written[1], *(acts for _, acts in layers)], dim=-1)[:, 2:]
    assert rows(training(data)) <= rows(expected.flatten(0, 1))
    assert torch.equal(torch.cat(list(data.test_dataloader())), expected.flatten(0, 1))
    assert len(torch.cat(list(data.val_dataloader()))) == 60
    assert data.sample(30).shape == (30, 24)
    assert [one.layer for one in data.provenance.layers] == [3, 5, 7]


def test_ignored_labels_are_nowhere(written: tuple[Path, Tensor]) -> None:
    kept = (torch.arange(240).reshape(40, 6) % 4 != 3) & (torch.arange(240).reshape(40, 6) % 4 != 0)
    expected = written[1][:, 2:][kept]
    data = attached(written[0], ignore_labels=[3, 0, 77], val_share=0.25)
    assert torch.equal(torch.cat(list(data.test_dataloader())), expected)
    val = torch.cat(list(data.val_dataloader()))
    assert len(rows(val)) == len(val) == int(kept[torch.from_numpy(data.val_tokens[0].examples)].sum())
    assert rows(training(data)) | rows(val) == rows(expected)


def test_a_share_of_the_images(written: tuple[Path, Tensor]) -> None:
    data = attached(written[0], share=0.5, val_share=0.25)
    used = {*data.train_tokens[0].examples.tolist(), *data.val_tokens[0].examples.tolist()}
    assert (len(data.train_tokens[0].examples), len(data.val_tokens[0].examples), len(used)) == (15, 5, 20)
    assert data.test_tokens[0].examples.tolist() == sorted(used)
    assert attached(written[0], share=0.25).test_tokens[0].examples.tolist() != sorted(used)[:10]
    assert set(attached(written[0], share=0.25).test_tokens[0].examples.tolist()) < used
    assert data.provenance.to_json()["data"][0]["held_out"] == {"numbers": data.val_tokens[0].examples.tolist()}
    assert len(attached(written[0], share=1e-9).train_tokens[0].examples) == 1


def test_listed_images(written: tuple[Path, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "images.txt"
    path.write_text("7\n\n00003.png\r\n  12\n00039.png")
    data = attached(written[0], examples=path, val_share=0)
    assert data.train_tokens[0].examples.tolist() == [3, 7, 12, 39]
    path.write_text("7\n12\n")
    assert attached(written[0], examples=path, val_share=0.5).val_tokens[0].n_tokens == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3\n4\n40", r"images.txt: line 3: '40' is no image of .*a number from 0 to 39"),
        ("00001.png\ncat.png", "line 2: 'cat.png' is no image of"),
        ("-1", "line 1: '-1' is no image of"),
        ("9" * 5000, "line 1: '9999"),
        ("3\n00005.png\n5", "line 3: '5' stands in line 2, too"),
        ("\n \n", "lists no image"),
    ],
)
def test_lists_that_are_wrong(written: tuple[Path, Tensor], tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "images.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        attached(written[0], examples=path)


def test_a_list_that_cannot_be_read(written: tuple[Path, Tensor], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: is missing: give a text file"):
        attached(written[0], examples=tmp_path / "none.txt")
    with pytest.raises(InputError, match="is a directory: give a text file"):
        attached(written[0], examples=tmp_path)
