"""One task's controls, from the values of all candidates.

Shape suffixes: i = pictures of the proposal half, k = pictures of the test half, s = columns of a view.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from saev.probing.controls import probes
from saev.probing.controls.choosing import best_column
from saev.probing.controls.control import Control, ControlOptions, ControlTask
from saev.probing.controls.pooled_activations import Columns, dense
from saev.probing.statistics.arrays import Floats, Integers
from saev.probing.statistics.bootstrap import interval
from saev.probing.statistics.scores import Counts, auroc, average_precision

NEURON: Final = "best neuron"
DIRECTION: Final = "best random direction"
COMPONENT: Final = "best principal component"
CENTRE: Final = "best centre of k-means"
LATENT: Final = "best latent"
RANDOM_SAE: Final = "best latent of an SAE with random weights"
MEANS: Final = "difference of class means"
LINEAR: Final = "linear probe"
SPARSE: Final = {
    LATENT: "latents",
    NEURON: "neurons",
    RANDOM_SAE: "latents of an SAE with random weights",
}
"""What sparse probes are of."""


def judged(task: ControlTask, columns: Mapping[str, Columns], options: ControlOptions, seed: int) -> Iterator[Control]:
    """All controls of a task, of those columns that are there.

    Args:
        task: Its proposal half has weights.
        columns: By the names of the controls.
        options: Which ones.
        seed: Of folds and of the bootstrap.
    """
    judge = Judge(task, options.n_draws, seed)
    for name, one in columns.items():
        if name != NEURON or options.neurons:
            yield judge.best(name, one)
    fold_i = probes.folds(task.proposal.y_i, task.proposal.group_i, np.random.default_rng(seed))
    if fold_i is None:
        return
    if options.linear:
        yield from judge.linear(columns[NEURON], fold_i)
    for name in [name for name in SPARSE if name in columns]:
        for k in options.sparse_ks if name == LATENT else options.compared_ks:
            yield judge.sparse(f"sparse probe, {k} {SPARSE[name]}", columns[name], k, fold_i)


@final
@dataclass(frozen=True)
class Judge:
    """Measures controls on a task."""

    task: ControlTask  # Its proposal half has weights.
    n_draws: int  # Draws of the bootstrap.
    seed: int  # Of the bootstrap.

    def best(self, name: str, columns: Columns) -> Control:
        """The best single column."""
        x_is, x_ks = self._halves(columns)
        best = best_column(x_is, self.task.proposal.y_i, self._weights_i)
        return self.of_values(name, dense(x_ks[:, [best.column]])[:, 0], best.threshold, columns.named(best.column))

    def linear(self, neurons: Columns, fold_i: Integers) -> Iterator[Control]:
        """The difference of class means, and the linear probe, on largest and mean values of the neurons."""
        x_is, x_ks = (dense(x)[:, _both(x.shape[1])] for x in self._halves(neurons))
        y_i, n = self.task.proposal.y_i, x_is.shape[1]
        means = probes.probed(probes.class_means, x_is, y_i, fold_i, x_ks)
        yield self._of_probe(MEANS, means, f"of {n:,} largest and mean values of neurons")
        found, c = probes.best_linear(x_is, y_i, self._weights_i, fold_i, x_ks)
        yield self._of_probe(LINEAR, found, f"on {n:,} largest and mean values of neurons, C {c:g}")

    def sparse(self, name: str, columns: Columns, k: int, fold_i: Integers) -> Control:
        """A sparse probe on k columns."""
        x_is, x_ks = self._halves(columns)
        found = probes.probed(probes.sparse_linear(k), x_is, self.task.proposal.y_i, fold_i, x_ks)
        return self._of_probe(name, found, f"chosen from {x_is.shape[1]:,} largest and mean values")

    def _halves(self, columns: Columns) -> tuple[Any, Any]:
        return columns.of(self.task.proposal.images), columns.of(self.task.test.images)

    @property
    def _weights_i(self) -> Floats:
        weights_i = self.task.proposal.weights_i
        assert weights_i is not None, "balanced"
        return weights_i

    def _of_probe(self, name: str, found: probes.Probed, note: str) -> Control:
        best = best_column(found.fitted_i[:, None], self.task.proposal.y_i, self._weights_i)
        n = len(found.fitted_i)
        return self.of_values(name, found.others_i, best.threshold, f"{note}; fitted on {n:,} pictures")

    def of_values(self, name: str, a_k: Floats, threshold: float, note: str) -> Control:
        """What values (k,) of the test half are worth that fire above a threshold."""
        test = self.task.test
        mcc, low, high = interval(
            Counts.mcc if test.confounder_i is None else Counts.mcc_within, a_k > threshold, test.y_i, self.n_draws,
            np.random.default_rng(self.seed), test.weights_i, test.group_i, test.stratum_i,
            is_by_label=test.is_by_label, confounder_i=test.confounder_i,
        )  # fmt: skip
        area = auroc(a_k, test.y_i, test.weights_i)
        precision = average_precision(a_k, test.y_i, test.weights_i)
        return Control(name, mcc, low, high, area, precision, note)


def _both(n: int) -> Integers:
    """Largest and mean values among those of `Directions`, without the turned ones."""
    return np.arange(n).reshape(4, -1)[[0, 2]].ravel()
