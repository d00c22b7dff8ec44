"""TensorBoard's table of hyperparameters."""

from typing import cast

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.artifacts.metrics_file import Figures, finite
from saev.callbacks.noted_faults import NotesFaults
from saev.callbacks.trained_model import TrainedModel


class Hyperparameters(NotesFaults):
    """Gives TensorBoard what each SAE of a run was trained with, beside its metrics on held-out tokens."""

    @override
    @rank_zero_only
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a row for each SAE that has metrics."""
        self._add_rows(trainer, cast(TrainedModel, pl_module))

    @override
    @rank_zero_only
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the rows of a run that went on after its last step, and was validated after `on_fit_end`."""
        if trainer.state.fn == "validate":
            self._add_rows(trainer, cast(TrainedModel, pl_module))

    def _add_rows(self, trainer: lightning.Trainer, model: TrainedModel) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        with self.noting("TensorBoard's table of hyperparameters cannot be written"):
            for name, settings in zip(model.names, model.settings(), strict=True):
                metrics = _logged(model.results.get(name, {}).get("val", {}))
                own = [logger for logger in loggers if logger.version == name]
                prefix = "" if own or len(model.names) == 1 else f"{name}/"
                for logger in own or loggers[:1] if metrics else []:
                    logger.log_hyperparams(
                        {key: _shown(value) for key, value in settings.items()},
                        # The same names, values and step as the curves have: each figure is there once.
                        {f"{prefix}val/{key}": value for key, value in metrics.items()},
                        step=trainer.global_step,
                    )


def _logged(figures: Figures) -> dict[str, float]:
    return {key: value for key, value in finite(figures).items() if isinstance(value, float)}


def _shown(value: object) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
