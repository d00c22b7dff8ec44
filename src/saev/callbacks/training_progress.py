"""The progress bar of training."""

from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any, Final, cast, final

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm, convert_inf
from typing_extensions import override

from saev.callbacks.trained_model import TrainedModel
from saev.progress import Lines, draws

_NAME: Final = "training"
"""Of the bar: a run is one epoch for Lightning, however often it goes through the data."""


def _as_lines() -> AbstractContextManager[object]:
    """Lightning's bars write to the standard output of the moment at which they are made."""
    return nullcontext() if draws() else redirect_stdout(Lines())


@final
class TrainingProgress(TQDMProgressBar):
    """Shows the loss, too, which is on the host already: to fetch what is logged, each step would wait for the GPU.

    Where standard error is no terminal, training, `validate` and `test` have lines, and validation within `fit` none.
    """

    @override
    def init_train_tqdm(self) -> Tqdm:
        """A bar that knows its end and begins where the run goes on: Lightning's does when an epoch begins."""
        with _as_lines():
            bar = super().init_train_tqdm()
        bar.total = convert_inf(self.total_train_batches)
        bar.initial = bar.n = bar.last_print_n = self.trainer.global_step
        bar.set_description(_NAME)
        return bar

    @override
    def on_train_epoch_start(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Name the bar again, which Lightning calls by the epoch."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(_NAME)

    @override
    def init_validation_tqdm(self) -> Tqdm:
        """The bar of validation."""
        if self.trainer.state.fn != "validate" and not draws():
            return Tqdm(disable=True)
        with _as_lines():
            return super().init_validation_tqdm()

    @override
    def init_test_tqdm(self) -> Tqdm:
        """The bar of `test`."""
        with _as_lines():
            return super().init_test_tqdm()

    @override
    def on_exception(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Close the bar, so that the error has a line of its own."""
        if trainer.training and self._train_progress_bar is not None:
            self._train_progress_bar.close()

    @override
    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)  # the logger's version is no figure
        if trainer.training:
            model = cast(TrainedModel, pl_module)
            label = "loss" if len(model.names) == 1 else f"loss of {len(model.names)} SAEs together"
            shown[label] = model.loss
        return shown
