"""Evaluation of SAEs by Lightning."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import lightning
from torch import nn
from typing_extensions import override

from saev.errors import tell
from saev.metrics import own_figures
from saev.nn import SparseAutoencoder
from saev.nn.processes import said_by_any
from saev.training.activations import activations
from saev.training.evaluation import FIGURES, Evaluation


class EvaluatedSaes(lightning.LightningModule, ABC):
    """SAEs whose metrics are computed on batches of raw activations (b, d_in), and logged."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, dict[str, dict[str, float | list[int]]]] = {}
        """The figures of metrics.json, by SAE and stage."""
        self.validation_fault: str | None = None
        """Why the last validation gave no figures."""
        self._metrics: dict[str, Evaluation] = {}

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of all SAEs, given up or not."""

    @property
    @abstractmethod
    def saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs by name, without those whose training failed."""

    def whole_saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs with all latents, for process 0, put together there by all processes."""
        return self.saes

    @property
    def logged_names(self) -> list[str]:
        """Names of the values that callbacks can monitor."""
        figures = [*FIGURES, *own_figures()]
        return ["loss", *(f"{self._prefix(name)}val/{figure}" for name in self.names for figure in figures)]

    @override
    def on_validation_epoch_start(self) -> None:
        """Begin with empty metrics."""
        self._metrics = {name: Evaluation(sae, self.device) for name, sae in self.saes.items()}

    on_test_epoch_start = on_validation_epoch_start

    @override
    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Add a batch of raw activations (b, d_in) to the metrics."""
        x_bd = activations(batch).float()
        for metrics in self._metrics.values():
            metrics.update(x_bd)

    test_step = validation_step

    @override
    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the held-out tokens as ``val/...``, unless a process could not read its part of them."""
        source = getattr(self.trainer, "datamodule", None)
        self.validation_fault = said_by_any(getattr(source, "val_fault", None))  # data modules of ours forgive
        if self.validation_fault is None:
            self._finish("val")
            return
        for found in self.results.values():
            found.pop("val", None)  # an earlier one's figures are not those of these weights
        if self.trainer.is_global_zero:
            when = f"after {self.trainer.global_step} steps"
            tell(f"the validation {when} has failed: {self.validation_fault}")

    @override
    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test tokens as ``test/...``."""
        self._finish("test")

    def _finish(self, stage: str) -> None:
        """Keep and log what was measured."""
        for name in self.results.keys() - self._metrics.keys():
            del self.results[name]  # it was given up since
        for name, metrics in self._metrics.items():
            values = metrics.compute()
            self.results.setdefault(name, {})[stage] = dict(values)
            named = {f"{stage}/{figure}": value for figure, value in values.items() if isinstance(value, float)}
            self._log(name, named)
            shown = {self._prefix(name) + figure: value for figure, value in named.items()}
            self.log_dict(shown, logger=False, sync_dist=True)  # the same in all processes: else it warns

    def _log(self, sae: str, values: Mapping[str, float]) -> None:
        # Not self.log: for so many keys it would cost more than it is worth, even when it throws the values away.
        own = [logger for logger in self.loggers if logger.version == sae]
        for logger in own or self.loggers:
            prefix = "" if own else self._prefix(sae)
            named = {prefix + figure: value for figure, value in values.items()}
            logger.log_metrics(named, step=self.trainer.global_step)

    def _prefix(self, sae: str) -> str:
        return "" if len(self.names) == 1 else f"{sae}/"


@final
class EvaluationModule(EvaluatedSaes):
    """Evaluates SAEs that are there already."""

    def __init__(self) -> None:
        super().__init__()
        self.adopt({})

    def adopt(self, saes: Mapping[str, SparseAutoencoder]) -> None:
        """Evaluate these SAEs, by name."""
        self._names = list(saes)
        self.adopted = nn.ModuleList(saes.values())

    @property
    @override
    def names(self) -> list[str]:
        return self._names

    @property
    @override
    def saes(self) -> dict[str, SparseAutoencoder]:
        found = dict(zip(self._names, self.adopted, strict=True))
        return {name: sae for name, sae in found.items() if isinstance(sae, SparseAutoencoder)}
