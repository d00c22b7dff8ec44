"""Checkpoints that a killed run goes on from."""

import warnings
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from typing_extensions import override

from saev.errors import InputError

LAST = Path("checkpoints") / "last.ckpt"


class RunCheckpoint(ModelCheckpoint):
    """Keeps ``checkpoints/last.ckpt`` of the run directory up to date.

    Args:
        every_n_steps: Training steps between two checkpoints. One more is written at the end.
    """

    _path = LAST

    def __init__(self, every_n_steps: int = 1000) -> None:
        if every_n_steps < 1:
            raise InputError(f"every_n_steps={every_n_steps} must be 1 or more")
        super().__init__(
            filename=LAST.stem, every_n_train_steps=every_n_steps, save_top_k=1, enable_version_counter=False
        )

    def keep_in(self, path: Path) -> None:
        """Keep this file up to date instead, relative to the run directory."""
        self._path = path

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Put the checkpoints into the run directory."""
        self.dirpath = str(Path(trainer.default_root_dir) / self._path.parent)
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
    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the last step too."""
        trainer.save_checkpoint(Path(trainer.default_root_dir) / self._path, weights_only=False)
