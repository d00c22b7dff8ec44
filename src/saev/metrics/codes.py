"""How sparse the codes are and how many latents are in use."""

from typing import Any, final

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from saev.metrics.functional import (
    DENSE_1PCT_FREQUENCY,
    CodeSums,
    almost_dead_share,
    code_sums,
    dead_share,
    dense_share,
    frequency_histogram,
    l0,
    l1,
)


@final
class CodeStatistics(Metric):
    """L0, L1 and how often latents fire, over all updates and processes.

    `update` takes codes (b, s); `compute` gives ``{"l0", "l1", "dead", "almost_dead", "dense", "dense_1pct"}``,
    scalars, and `histogram` a list.

    Args:
        d_sae: Number of latents.
        own: The latents whose codes `update` gets, where processes that see the same tokens divide the latents
            equally; by default all.
    """

    full_state_update = False
    is_differentiable = False

    def __init__(self, d_sae: int, own: slice = slice(None), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        n_own = len(range(d_sae)[own])
        self.add_state("n", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum" if n_own == d_sae else "max")
        fires = "sum" if n_own == d_sae else torch.flatten  # of those of all processes, one below the other
        self.add_state("fires_s", torch.zeros(n_own, dtype=torch.int64), dist_reduce_fx=fires)
        self.add_state("l1", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    @override
    def update(self, f_bs: Tensor) -> None:
        """Add a batch of codes."""
        for name, value in code_sums(f_bs)._asdict().items():
            setattr(self, name, getattr(self, name) + value)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Statistics of everything since the last reset."""
        sums = self._sums()
        return {
            "l0": l0(sums),
            "l1": l1(sums),
            "dead": dead_share(sums),
            "almost_dead": almost_dead_share(sums),
            "dense": dense_share(sums),
            "dense_1pct": dense_share(sums, DENSE_1PCT_FREQUENCY),
        }

    def histogram(self) -> list[int]:
        """Numbers of latents by frequency, as in `frequency_histogram`; all processes must call it."""
        # What torchmetrics does around compute, and only there.
        with self.sync_context(should_sync=self.sync_on_compute):
            numbers: list[int] = frequency_histogram(self._sums()).tolist()
        return numbers

    def _sums(self) -> CodeSums:
        return CodeSums(*(getattr(self, name) for name in CodeSums._fields))
