"""Metrics of one's own, which are measured wherever an SAE is evaluated.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from saev.errors import InputError, one_line
from saev.registry import Registry, path_of


class SaeMetric(Metric, ABC):
    """What is measured of an SAE on held-out tokens, in metrics.json, TensorBoard and sweep.csv.

    Once a class is registered, each evaluation measures it. Sums over batches are states,
    ``add_state(name, torch.zeros(()), dist_reduce_fx="sum")``, so that several processes give one figure.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
    """

    figures: ClassVar[tuple[str, ...]]
    """Names of the values that `compute` gives."""
    full_state_update = False

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__()
        self.d_in = d_in
        self.d_sae = d_sae

    @abstractmethod
    @override
    def update(self, x_bd: Tensor, x_hat_bd: Tensor, f_bs: Tensor) -> None:
        """Add a batch of a token or more: raw activations (b, d), reconstructions (b, d) and codes (b, s)."""

    @abstractmethod
    @override
    def compute(self) -> dict[str, Any]:
        """A number, or a tensor of one, for each of `figures`, over all batches since the last reset."""

    def values(self) -> dict[str, float]:
        """What `compute` gives, as numbers.

        Raises:
            InputError: If it gives others than `figures`.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The ``compute`` method")  # a process may have had no tokens
            found = self.compute()
        if not isinstance(found, dict) or set(found) != set(self.figures):
            given = sorted(found) if isinstance(found, dict) else found
            raise InputError(f"{path_of(type(self))}.compute() gives {given}, its figures are {sorted(self.figures)}")
        return {name: float(found[name]) for name in self.figures}


METRICS: Registry[SaeMetric] = Registry(SaeMetric, "metric", "saev.metrics")


def own_metrics(d_in: int, d_sae: int) -> list[SaeMetric]:
    """All metrics that are registered, with nothing measured yet."""
    METRICS.load_packages()
    return [metric(d_in, d_sae) for metric in METRICS.values()]


def own_figures() -> list[str]:
    """Names of all that these give."""
    return [name for metric in METRICS.values() for name in metric.figures]


def check_own_metrics(d_in: int, d_sae: int, taken: tuple[str, ...]) -> None:
    """Try the registered metrics on two tokens: one that fails at the end of a training would cost it its figures.

    Args:
        taken: Names of figures that are saev's.

    Raises:
        InputError: If one fails, or two figures have one name.
    """
    names = list(taken)
    for metric in own_metrics(d_in, d_sae):
        if twice := set(metric.figures) & set(names):
            raise InputError(f"{path_of(type(metric))}: there is a figure {min(twice)!r} already: give it another name")
        names += metric.figures
        try:
            metric.update(torch.randn(2, d_in), torch.randn(2, d_in), torch.rand(2, d_sae))
            metric.values()
        except InputError:
            raise
        except Exception as error:  # the code is the user's
            what = f"{type(error).__name__}: {one_line(error)}"
            raise InputError(
                f"{path_of(type(metric))} fails on two tokens of width {d_in} ({what}): mend it"
            ) from error
