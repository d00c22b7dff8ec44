"""`ShardDataModule` in the hands of a plain `lightning.Trainer`, without `saev fit`."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from tests.cli.fitting import sparse_acts
from tests.conftest import MakeShards
from tests.modules.trainers import small_topk, trainer
from torch import Tensor
from typing_extensions import override

from saev.datamodules import ShardDataModule
from saev.modules import SAELightningModule
from saev.shards.loading.shuffled import ShuffledTokens

STREAMED = 4e-5
"""GiB for a part of the tokens."""


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(60, d_model=16, grid=(3, 4), acts=sparse_acts(60, 13))[0]


class Seen(lightning.Callback):
    """Keeps the batches, and what evaluation had."""

    def __init__(self) -> None:
        self.train: list[Tensor] = []
        self.val = 0

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Tensor, batch_idx: int) -> None:
        self.train.append(batch.clone())

    @override
    def on_validation_batch_start(self, *args: Any, **kwargs: Any) -> None:
        self.val += 1


def fit(shards: Path, gib: float | None = None, n_steps: int = 10, ckpt: Path | None = None, **options: Any) -> Seen:
    seen = Seen()
    data = ShardDataModule(shards, batch_size=32, n_tokens=32 * n_steps, buffer_gib=gib)
    one = trainer(seen, *options.pop("callbacks", []), **options)
    one.fit(SAELightningModule(small_topk, d_in=16), data, ckpt_path=ckpt, weights_only=True)
    return seen


def expected(shards: Path, gib: float | None = None, n_steps: int = 10, n_passes: int = 1) -> list[Tensor]:
    data = ShardDataModule(shards, batch_size=32, n_tokens=32 * n_steps, buffer_gib=gib)
    loader = data.train_dataloader()
    assert isinstance(loader, ShuffledTokens)
    assert (loader.plan()["order"] == "uniform") == (gib is None)
    return [batch.clone() for _ in range(n_passes) for batch in loader]


def same(found: list[Tensor], wanted: list[Tensor]) -> bool:
    return len(found) == len(wanted) and all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("gib", [None, STREAMED])
def test_one_epoch_with_a_sanity_check_and_validation(shards: Path, gib: float | None) -> None:
    seen = fit(shards, gib, num_sanity_val_steps=1, val_check_interval=5)
    assert same(seen.train, expected(shards, gib))
    assert seen.val == 1 + 2 * 2  # three held-out images in two batches


@pytest.mark.parametrize("gib", [None, STREAMED])
def test_two_epochs_of_the_trainer_are_other_tokens(shards: Path, gib: float | None) -> None:
    seen = fit(shards, gib, max_epochs=2)
    assert same(seen.train, expected(shards, gib, n_passes=2))
    assert not same(seen.train[10:], seen.train[:10])


@pytest.mark.parametrize("gib", [None, STREAMED])
def test_fewer_batches_an_epoch_go_on(shards: Path, gib: float | None) -> None:
    assert same(fit(shards, gib, limit_train_batches=3).train, expected(shards, gib)[:3])
    assert same(fit(shards, gib, limit_train_batches=3, max_epochs=2).train, expected(shards, gib)[:6])


def test_a_quick_look(shards: Path) -> None:
    assert same(fit(shards, fast_dev_run=2).train, expected(shards)[:2])


@pytest.mark.parametrize("gib", [None, STREAMED])
@pytest.mark.parametrize("step", [4, 10, 13])
def test_the_trainers_own_checkpoints(shards: Path, gib: float | None, step: int, tmp_path: Path) -> None:
    class Save(lightning.Callback):
        @override
        def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
            if trainer.global_step == step:
                trainer.save_checkpoint(tmp_path / "some.ckpt")

    whole = fit(shards, gib, max_epochs=2, callbacks=[Save()])
    rest = fit(shards, gib, max_epochs=2, ckpt=tmp_path / "some.ckpt")
    assert same(rest.train, whole.train[step:])


def test_a_schedule_may_ask_for_the_number_of_steps_first(shards: Path) -> None:
    data = ShardDataModule(shards, batch_size=32, n_tokens=320)
    data.trainer = one = trainer(max_epochs=3)
    one.strategy.connect(SAELightningModule(small_topk, d_in=16))
    one._data_connector.attach_data(SAELightningModule(small_topk, d_in=16), datamodule=data)
    assert one.estimated_stepping_batches == 30
