"""What is measured on an SAE over a pass through held-out tokens.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

from collections.abc import Iterable
from typing import Final, final

import torch
from torch import Tensor

from saev.metrics import CodeStatistics, Coherence, ReconstructionQuality, nearest_other, own_metrics
from saev.nn import SparseAutoencoder

FIGURES: Final = (
    *("fvu", "explained_variance", "cosine", "bias"),
    *("l0", "l1", "dead", "almost_dead", "dense", "dense_1pct"),
    *("coherence", "coherence_max"),
)
"""What is measured; coherence only of two latents or more."""
HISTOGRAM: Final = "frequency_histogram"
TAKEN: Final = (*FIGURES, HISTOGRAM, "name", "on_front", "stability", "fvu_start", "diverged")
"""Names of figures, of metrics.json and sweep.csv, that metrics of one's own cannot have."""


@final
class Evaluation:
    """The metrics of one SAE, over all processes; these may divide the tokens or the latents."""

    def __init__(self, sae: SparseAutoencoder, device: torch.device) -> None:
        self._sae = sae
        # Processes that divide the latents all see all tokens.
        divides_tokens = sae.processes.tokens.everyone
        self._reconstruction = ReconstructionQuality(sae.d_in, sync_on_compute=divides_tokens).to(device)
        self._codes = CodeStatistics(sae.d_sae, sae.own_latents).to(device)
        # Those of users would take the codes of one process for all.
        self._own = [metric.to(device) for metric in own_metrics(sae.d_in, sae.d_sae)] if divides_tokens else []

    def update(self, x_bd: Tensor) -> None:
        """Add a batch of raw activations."""
        f_bs = self._sae.encode(x_bd)
        x_hat_bd = self._sae.decode(f_bs)
        self._codes.update(f_bs)
        self._reconstruction.update(x_bd, x_hat_bd)
        if len(x_bd):  # a process may have none of the tokens
            for metric in self._own:
                metric.update(x_bd, x_hat_bd, f_bs)

    def compute(self) -> dict[str, float | list[int]]:
        """All figures by name, with the histogram of frequencies; all processes call it."""
        values = self._reconstruction.compute() | self._codes.compute()
        found: dict[str, float | list[int]] = {name: value.item() for name, value in values.items()}
        if self._sae.d_sae > 1:
            coherence = self._coherence()
            found |= {"coherence": coherence.mean, "coherence_max": coherence.max}
        for metric in self._own:
            found |= metric.values()
        return found | {HISTOGRAM: self._codes.histogram()}

    def _coherence(self) -> Coherence:
        latents, own_sd = self._sae.processes.latents, self._sae.W_dec.detach()
        return Coherence.of(latents.rows(nearest_other(own_sd, latents.each(own_sd), latents.rank)))


@torch.no_grad()
def evaluated(sae: SparseAutoencoder, batches: Iterable[Tensor]) -> dict[str, float | list[int]]:
    """The metrics of an SAE in evaluation mode on raw activations (b, d_in); nothing where there are none."""
    metrics, n_tokens = Evaluation(sae, sae.W_dec.device), 0
    for x_bd in batches:
        metrics.update(x_bd.to(sae.W_dec.device).float())
        n_tokens += len(x_bd)
    return metrics.compute() if n_tokens else {}
