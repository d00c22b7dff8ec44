"""Exports the trained SAE and its metrics."""

import json
from pathlib import Path
from typing import Any, Protocol, cast

import lightning
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.interop import save_sae
from saev.nn import SparseAutoencoder

METRICS_FILE = "metrics.json"


class TrainedModel(Protocol):
    """The part of the LightningModule that is exported."""

    sae: SparseAutoencoder


class TrainingData(Protocol):
    """The part of the data module that config.json tells about."""

    @property
    def about(self) -> dict[str, object]:
        """What is trained on."""


class SAEExporter(lightning.Callback):
    """Writes ``saes/<name>/`` into the run directory: the SAE when training ends, its metrics after evaluation.

    metrics.json has an object for each stage, "val" and "test", with the figures of tokens in docs/metrics.md.
    """

    @override
    @rank_zero_only
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write config.json, sae.safetensors and the metrics of the last validation."""
        sae = cast(TrainedModel, pl_module).sae
        data = cast(TrainingData, trainer.datamodule)  # type: ignore[attr-defined]
        directory = sae_directory(trainer, sae)
        save_sae(sae, directory, data.about)
        _write_metrics(directory, trainer.callback_metrics, "val")

    @override
    @rank_zero_only
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the metrics of `saev validate`."""
        if trainer.state.fn == "validate":
            _write_metrics(sae_directory(trainer, cast(TrainedModel, pl_module).sae), trainer.callback_metrics, "val")

    @override
    @rank_zero_only
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the metrics of `saev test`."""
        _write_metrics(sae_directory(trainer, cast(TrainedModel, pl_module).sae), trainer.callback_metrics, "test")


def sae_directory(trainer: lightning.Trainer, sae: SparseAutoencoder) -> Path:
    """Where the SAE goes in the run directory."""
    return Path(trainer.default_root_dir) / "saes" / sae.name


def _write_metrics(directory: Path, logged: dict[str, Any], stage: str) -> None:
    path = directory / METRICS_FILE
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    values = {name.split("/")[1]: float(value) for name, value in logged.items() if name.startswith(f"{stage}/")}
    if values:
        metrics[stage] = values
    path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
