"""The progress bar of training."""

from typing import Protocol, cast, final

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar
from typing_extensions import override


class TrainedModel(Protocol):
    """The part of the LightningModule that the bar shows."""

    @property
    def loss(self) -> float:
        """Of the last step."""


@final
class TrainingProgress(TQDMProgressBar):
    """Shows the loss, too, which is on the host already: to fetch what is logged, each step would wait for the GPU."""

    @override
    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar."""
        loss = {"loss": cast(TrainedModel, pl_module).loss} if trainer.training else {}
        return {**super().get_metrics(trainer, pl_module), **loss}
