"""`RunCheckpoint` with a Trainer of the user, which may have several epochs."""

import signal
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from tests.cli.fitting import sparse_acts
from tests.modules.trainers import small_topk, trainer
from torch.utils.data import DataLoader
from typing_extensions import override

from saev.callbacks import RunCheckpoint
from saev.cli.ending import Stopped, stopping_on_signals
from saev.modules import SAELightningModule

STEPS = 4
"""Of an epoch."""


class Signal(lightning.Callback):
    """Sends SIGTERM to its own process before a step, or in the validation after it, which may be the last one.

    Args:
        hook: In which method.
        step: After how many steps.
        is_last: Whether training stops then.
    """

    def __init__(self, hook: str, step: int, *, is_last: bool = False) -> None:
        self._hook, self._step, self._is_last = hook, step, is_last

    @override
    def on_train_batch_start(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._come(trainer, "on_train_batch_start")

    @override
    def on_validation_start(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._come(trainer, "on_validation_start")

    def _come(self, trainer: lightning.Trainer, hook: str) -> None:
        if (hook, trainer.global_step) == (self._hook, self._step):
            trainer.should_stop = self._is_last
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore:.*num_workers")
@pytest.mark.parametrize(
    ("sent", "options", "saved"),
    [
        (Signal("on_train_batch_start", 6), {}, 7),
        (Signal("on_validation_start", STEPS), {}, STEPS + 1),
        (Signal("on_validation_start", STEPS, is_last=True), {}, STEPS),
        (Signal("on_validation_start", 2 * STEPS), {}, 2 * STEPS),
        (Signal("on_train_batch_start", 5), {"max_epochs": -1, "max_steps": 6}, 6),
    ],
    ids=["second epoch", "between epochs", "stopped early", "after the last step", "last by number"],
)
def test_a_signal_waits_for_the_end_of_a_step(
    sent: Signal, options: dict[str, Any], saved: int, tmp_path: Path
) -> None:
    x = sparse_acts(100, 4).flatten(0, 1)[: STEPS * 32]
    loaders = [DataLoader[Any](x, batch_size=32) for _ in range(2)]  # type: ignore[arg-type]
    checkpoint = RunCheckpoint()
    running = trainer(
        checkpoint, sent, **({"max_epochs": 2, "default_root_dir": tmp_path, "enable_checkpointing": True} | options)
    )
    with stopping_on_signals(), pytest.raises(Stopped, match="terminated"):
        running.fit(SAELightningModule(small_topk, d_in=16), *loaders)
    assert checkpoint.saved_step == saved
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == saved


@pytest.mark.filterwarnings("ignore:.*num_workers")
def test_one_checkpoint_at_the_end_and_not_of_each_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    save = lightning.Trainer.save_checkpoint
    monkeypatch.setattr(
        lightning.Trainer,
        "save_checkpoint",
        lambda self, *args, **more: (steps.append(self.global_step), save(self, *args, **more)),
    )
    x = sparse_acts(100, 4).flatten(0, 1)[: STEPS * 32]
    loaders = [DataLoader[Any](x, batch_size=32) for _ in range(2)]  # type: ignore[arg-type]
    handler = signal.getsignal(signal.SIGTERM)
    running = trainer(RunCheckpoint(), max_epochs=3, default_root_dir=tmp_path, enable_checkpointing=True)
    running.fit(SAELightningModule(small_topk, d_in=16), *loaders)
    assert steps == [3 * STEPS]
    assert signal.getsignal(signal.SIGTERM) is handler
