"""Exports the trained SAE and its metrics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import lightning
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.artifacts import Provenance, RunDirectory, trained_on, write_sae
from saev.artifacts.metrics_file import add_metrics, read_metrics
from saev.callbacks.trained_model import TrainedModel


@runtime_checkable
class TrainingData(Protocol):
    """The part of the data module that config.json describes, if there is one."""

    @property
    def provenance(self) -> Provenance:
        """What is trained on."""


class SAEExporter(lightning.Callback):
    """Writes ``saes/<name>/`` into the run directory: the SAEs when training ends, their metrics after evaluation.

    metrics.json has an object for each stage, "train", "val" and "test", with the figures in docs/metrics.md.
    """

    _exported_step: int | None = None

    @override
    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write config.json and sae.safetensors after the last step: the validation that follows may fail."""
        if trainer.state.fn == "fit" and trainer.is_last_batch:
            self._export(trainer, cast(TrainedModel, pl_module))

    @override
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the SAEs, unless these are written, and the metrics of the last validation."""
        if self._exported_step != trainer.global_step:
            self._export(trainer, cast(TrainedModel, pl_module))
        cast(TrainedModel, pl_module).keep_outcomes()
        if trainer.is_global_zero:
            _write_metrics(trainer, cast(TrainedModel, pl_module))

    def _export(self, trainer: lightning.Trainer, model: TrainedModel) -> None:
        data = getattr(trainer, "datamodule", None)
        known = data.provenance if isinstance(data, TrainingData) else None
        saes, parts = model.whole_saes(), model.saes
        if trainer.is_global_zero:
            for name, sae in saes.items():
                write_sae(sae, RunDirectory(Path(trainer.default_root_dir)).sae(name), trained_on(parts[name], known))
        self._exported_step = trainer.global_step

    @override
    @rank_zero_only
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the metrics of `saev validate`."""
        if trainer.state.fn == "validate":
            _write_metrics(trainer, cast(TrainedModel, pl_module))

    @override
    @rank_zero_only
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the metrics of `saev test`."""
        _write_metrics(trainer, cast(TrainedModel, pl_module))


def diverged_saes(run: RunDirectory, names: Sequence[str]) -> list[str]:
    """The name of each SAE of a run that was given up or has diverged, with its FVU."""
    found = []
    for name in names:
        train = read_metrics(run.metrics(name)).get("train", {})
        if not run.sae(name).is_dir():
            found.append(f"{name} (given up)")
        elif train.get("diverged"):
            fvu = train["fvu"]
            found.append(f"{name} (FVU {'not finite' if fvu is None else format(fvu, '.3g')} on the last batch)")
    return found


def _write_metrics(trainer: lightning.Trainer, model: TrainedModel) -> None:
    """Add the new metrics to those of earlier stages."""
    for name in model.saes:
        add_metrics(RunDirectory(Path(trainer.default_root_dir)).metrics(name), model.results.get(name, {}))
