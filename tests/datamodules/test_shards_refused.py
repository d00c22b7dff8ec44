"""What `ShardDataModule` refuses, and the memory that it takes by default."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import MakeShards
from tests.datamodules.test_shards_data import attached
from tests.shards.original_saev import make_acts, write_original

from saev.datamodules import ShardDataModule
from saev.errors import InputError

GIB = 2**30


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40)[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_val_tokens": 0}, "must be above 0"),
        ({"buffer_gib": math.nan}, "must be above 0"),
        ({"buffer_gib": -1.0}, "must be above 0"),
        ({"buffer_gib": math.inf}, "must be above 0"),
        ({"share": 0.0}, "share=0.0 must be above 0 and at most 1"),
        ({"share": math.nan}, "share=nan must be above 0 and at most 1"),
        ({"threads": 0}, "threads=0 must be from 1 to 1024"),
        ({"timeout": 0.0}, "timeout=0.0 must be above 0"),
        ({"timeout": math.inf}, "timeout=inf must be above 0 and at most"),
        ({"weights": [1.0, 2.0]}, r"weights=\[1.0, 2.0\] must be one number above 0 for each of the 1 shards"),
        ({"weights": [0.0]}, "must be one number above 0"),
        ({"weights": [math.inf]}, "must be one number above 0"),
        ({"ignore_labels": [256]}, r"ignore_labels \[256\]: labels are 0 to 255"),
        ({"ignore_labels": [-1, 3]}, r"ignore_labels \[-1\]"),
        ({"ignore_labels": [3]}, "has no patch labels"),
        ({"ignore_labels": [3], "tokens": "cls"}, "cls tokens have no labels"),
        ({"share": 0.5, "examples": Path("x")}, "leave share out, or examples"),
        ({"d_model": 9}, "activations of width 8, not 9"),
        ({"layer": 4}, "holds layer 3, not layer 4"),
    ],
)
def test_options_that_make_no_sense(shards: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ShardDataModule(shards, **{"batch_size": 12, "n_tokens": 24, **options})


def test_data_sets_that_do_not_fit_together(shards: Path, make_shards: MakeShards, tmp_path: Path) -> None:
    def refused(others: list[Path], said: str, **options: Any) -> None:
        with pytest.raises(InputError, match=said):
            ShardDataModule([shards, *others], **{"batch_size": 12, "n_tokens": 24, **options})

    good, _ = make_shards(9, name="good")
    refused([good, make_shards(40)[0]], "are the same recording: give it once")
    refused([good, good], "are the same recording")
    refused([make_shards(9, d_model=4)[0]], "has width 8, .* has 4: give others")
    refused([make_shards(9, dtype="bfloat16")[0]], "has dtype float32, .* has bfloat16: record both in one dtype")
    refused([make_shards(9, layer=5)[0]], "has layer 3, .* has 5: give shards of the same ViT")
    refused([make_shards(9, ckpt="other_vit")[0]], "has ckpt test_vit, .* has other_vit")
    refused([make_shards(9, cls=False)[0]], "these shards have no cls tokens", tokens="cls")
    refused([good], "batch_size=1 is less than a token of each of the 2 shards", batch_size=1)
    refused([good], "leave several shards out, or examples", examples=tmp_path / "x")
    refused([good], "give shards as one directory", paired=[make_shards(40, layer=5)[0]])
    refused([good], "are the same as shards", val_shards=good)
    with pytest.raises(InputError, match="names no directory"):
        ShardDataModule([], batch_size=12, n_tokens=24)


def test_pairs_that_do_not_fit_together(shards: Path, make_shards: MakeShards, tmp_path: Path) -> None:
    def refused(paired: list[Path], said: str, **options: Any) -> None:
        with pytest.raises(InputError, match=said):
            ShardDataModule(shards, paired=paired, batch_size=12, n_tokens=24, **options)

    good, _ = make_shards(40, layer=5)
    refused([good, make_shards(40, layer=5, name="again")[0]], "holds layer 5, as .* does: give another")
    refused([shards], "holds layer 3, as")
    refused([make_shards(39, layer=5)[0]], "has n_examples 40, .* has 39")
    refused([make_shards(40, layer=5, dtype="float16")[0]], "has dtype float32, .* has float16")
    refused([make_shards(40, layer=5, n_registers=1)[0]], "n_registers=0.* n_registers=1")
    refused([make_shards(40, layer=5, images="1" * 64)[0]], "was recorded on other images than")
    refused([make_shards(40, layer=5, ckpt="other_vit")[0]], "has ckpt test_vit, .* has other_vit")
    refused([good], "val_shards cannot be paired", val_shards=make_shards(9, name="good")[0])
    refused([good], "activations of width 16, not 8", d_model=8)
    original = write_original(tmp_path / "original", make_acts(), layers=[1, 2, 7])
    refused([original], r"holds the layers 1, 2, 7: give a directory with one layer")


def test_layers_of_the_original_are_paired(tmp_path: Path) -> None:
    acts = make_acts(8, n_layers=3)
    three = write_original(tmp_path / "three", acts, layers=[1, 2, 7])
    with pytest.raises(InputError, match="other images"):
        # Its pictures are known by its metadata alone, which differ.
        one = write_original(tmp_path / "one", acts[:, :1], layers=[4])
        ShardDataModule(three, paired=[one], layer=2, batch_size=12, n_tokens=24)


def memory(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    monkeypatch.setattr("saev.training.data.buffer.free_memory", lambda: (n_bytes, "this machine"))


def test_the_buffer_follows_the_memory(
    shards: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory(monkeypatch, 10 * GIB)
    assert attached(shards).train_dataloader().buffer_bytes == 4 * GIB  # type: ignore[union-attr]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("buffer for shuffling: 4.29 GB a process, 40% of the 10.7 GB of memory that")
    assert "uniform permutation" in err.splitlines()[1]
    assert attached(shards, 0, 2).train_dataloader().buffer_bytes == 2 * GIB  # type: ignore[union-attr]
    assert "divided by 2 processes" in capsys.readouterr().err
    assert attached(shards, 1, 2).train_dataloader().buffer_bytes == 2 * GIB  # type: ignore[union-attr]
    assert attached(shards, buffer_gib=3).train_dataloader().buffer_bytes == 3 * GIB  # type: ignore[union-attr]
    out, err = capsys.readouterr()
    assert "as --data.buffer_gib says" in err
    assert len(err.splitlines()) == 2


def test_a_resumed_run_has_the_buffer_that_it_had(
    make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, _ = make_shards(40, grid=(6, 8))
    memory(monkeypatch, 120_000)  # streamed
    data = attached(shards)
    whole = torch.cat(list(data.train_dataloader()))
    before = attached(shards)
    next(iter(before.train_dataloader()))
    memory(monkeypatch, 10 * GIB)
    after = attached(shards)
    capsys.readouterr()
    after.load_state_dict(before.state_dict())
    assert "as the checkpoint had it" in capsys.readouterr().err
    assert torch.equal(torch.cat(list(after.train_dataloader())), whole[12:])
    with pytest.raises(InputError, match=r"order was {.*} and is uniform; buffer_gib was [\d.e-]+ and is 1"):
        attached(shards, buffer_gib=1).load_state_dict(before.state_dict())
    with pytest.raises(InputError, match="start a new run"):
        attached(shards).load_state_dict({"plan": {}, "batch": 3})


def test_a_system_that_does_not_tell_its_memory(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no /proc")

    monkeypatch.setattr("saev.training.data.buffer.free_memory", fail)
    with pytest.raises(InputError, match=r"\(no /proc\): give --data.buffer_gib"):
        attached(shards).train_dataloader()
    assert len(attached(shards, buffer_gib=1).train_dataloader()) == 20
