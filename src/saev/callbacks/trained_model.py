"""What callbacks look at of the LightningModule that trains or evaluates SAEs."""

from typing import Protocol

from saev.artifacts.metrics_file import Figures
from saev.nn import SparseAutoencoder


class TrainedModel(Protocol):
    """SAEs of a run."""

    results: dict[str, dict[str, Figures]]
    """The figures of metrics.json, by SAE and stage."""

    @property
    def names(self) -> list[str]:
        """Names of the SAEs, given up or not."""

    @property
    def saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs by name, without those that were given up."""

    @property
    def loss(self) -> float:
        """Of the last step."""

    def whole_saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs with all latents, for process 0; all processes call it."""

    def keep_outcomes(self) -> None:
        """Add the training metrics of each SAE to the results."""

    def settings(self) -> list[dict[str, object]]:
        """What each SAE was trained with."""
