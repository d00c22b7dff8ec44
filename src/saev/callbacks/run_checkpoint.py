"""Checkpoints that a run goes on from after a kill or a signal."""

import signal
import warnings
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from typing_extensions import override

from saev.artifacts.run_directory import CHECKPOINT
from saev.callbacks.step_signals import StepSignals
from saev.errors import InputError
from saev.stopping import SIGNALS, companions, handle


class RunCheckpoint(ModelCheckpoint):
    """Keeps ``checkpoints/last.ckpt`` of the run directory up to date.

    SIGINT and SIGTERM wait for the end of a training step, after which all processes write a checkpoint and stop.

    Args:
        every_n_steps: Training steps between two checkpoints. One more is written after the last step, and one when a
            signal stops the run.
    """

    _signals: StepSignals | None = None
    _holds = False
    """Whether signals wait."""

    def __init__(self, every_n_steps: int = 1000) -> None:
        if every_n_steps < 1:
            raise InputError(f"every_n_steps={every_n_steps} must be 1 or more")
        super().__init__(
            filename=CHECKPOINT.stem, every_n_train_steps=every_n_steps, save_top_k=1, enable_version_counter=False
        )

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Put the checkpoints into the run directory."""
        self.dirpath = str(Path(trainer.default_root_dir) / CHECKPOINT.parent)
        with warnings.catch_warnings():
            # It is not empty when a run goes on, and no other run gets that far.
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Nothing: there is one file, and its place follows the run directory, which may have been moved."""
        return {}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing over."""

    @override
    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Remember what signals do: Lightning installs a handler that waits for all processes."""
        self._handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
        # Our own launcher has set them already.
        if isinstance(launcher := trainer.strategy.launcher, _SubprocessScriptLauncher) and launcher.procs:
            companions[:] = launcher.procs

    @override
    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Hold signals back."""
        super().on_train_start(trainer, pl_module)
        handle(self._handlers)
        self._signals = StepSignals(trainer)
        self._holds = True

    @override
    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *args: Any) -> None:
        """Write a checkpoint where one is due, where this was the last step, and where a signal stops the run."""
        super().on_train_batch_end(trainer, pl_module, *args)
        is_last = _is_last_step(trainer)
        signum = self._agreed(is_last=is_last)
        if signum or is_last:
            self._end(trainer, signum)

    @override
    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the last step of a run that another callback stopped, and obey a signal that came after it."""
        self._end(trainer, self._agreed(is_last=True))

    @override
    def on_exception(self, *args: Any) -> None:
        """Hold signals back no more."""
        self._release()

    @property
    def has_begun(self) -> bool:
        """Whether this run came to its first step."""
        return self._signals is not None

    @property
    def saved_step(self) -> int:
        """The last step that this run has written a checkpoint of, or 0."""
        return self._last_global_step_saved

    def _agreed(self, *, is_last: bool) -> int:
        return self._signals.agreed(is_last=is_last) if self._signals is not None and self._holds else 0

    def _end(self, trainer: lightning.Trainer, signum: int) -> None:
        if self._last_global_step_saved != trainer.global_step:
            self._save_checkpoint(trainer, str(Path(trainer.default_root_dir) / CHECKPOINT))
        self._release()
        if signum:
            signal.raise_signal(signum)

    def _release(self) -> None:
        if self._signals is not None and self._holds:
            self._signals.release()
        self._holds = False


def _is_last_step(trainer: lightning.Trainer) -> bool:
    """Whether training ends after this batch, by its epochs or its steps: a callback may stop it earlier."""
    ends_epochs = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
    return ends_epochs or 0 <= trainer.max_steps <= trainer.global_step
