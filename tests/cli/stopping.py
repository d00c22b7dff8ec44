"""A callback that ends a run in the middle."""

from typing import Any

import lightning
from typing_extensions import override


class StopError(Exception):
    pass


class StopBefore(lightning.Callback):
    """Raises before a step, after the checkpoint of the one before was written."""

    def __init__(self, step: int) -> None:
        self._step = step

    @override
    def on_train_batch_start(self, trainer: lightning.Trainer, *args: Any) -> None:
        if trainer.global_step == self._step:
            raise StopError
