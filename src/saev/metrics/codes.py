"""How sparse the codes are and how many latents are in use, as sums that add up over batches and processes.

Shape suffixes: b = tokens of a batch, s = d_sae.
"""

from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

DENSE_FREQUENCY = 0.1
DENSE_1PCT_FREQUENCY = 0.01
ALMOST_DEAD_FREQUENCY = 1e-7
HISTOGRAM_EDGES = tuple(10 ** (half / 2) for half in range(-14, 0))
"""Between the bins of the frequencies above 0, half a decade each: 1e-7, 3.2e-7, 1e-6, ..., 0.32."""


class CodeSums(NamedTuple):
    """Sums over tokens: their number, how often each latent fired (s,), and the L1 norms of the codes."""

    n: Tensor
    fires_s: Tensor
    l1: Tensor


def code_sums(f_bs: Tensor) -> CodeSums:
    """Sums of one batch of codes. A latent fires where its code is above 0."""
    n = torch.tensor(len(f_bs), dtype=torch.float64, device=f_bs.device)
    return CodeSums(n, (f_bs > 0).sum(0), f_bs.abs().sum(dtype=torch.float64))


def l0(sums: CodeSums) -> Tensor:
    """Mean number of latents that fire on a token."""
    return sums.fires_s.sum() / sums.n


def l1(sums: CodeSums) -> Tensor:
    """Mean L1 norm of a token's codes, in normalised units."""
    return sums.l1 / sums.n


def dead_share(sums: CodeSums) -> Tensor:
    """Share of the latents that fired on none of the tokens."""
    return (sums.fires_s == 0).double().mean()


def dense_share(sums: CodeSums, frequency: float = DENSE_FREQUENCY) -> Tensor:
    """Share of the latents that fired on more than this share of the tokens."""
    return (sums.fires_s / sums.n > frequency).double().mean()


def almost_dead_share(sums: CodeSums) -> Tensor:
    """Share of the latents that fired on less than one in ten million tokens; dead latents count, too."""
    return (sums.fires_s / sums.n < ALMOST_DEAD_FREQUENCY).double().mean()


def frequency_histogram(sums: CodeSums) -> Tensor:
    """Numbers of latents by frequency, int64: never; above 0 and below the first of `HISTOGRAM_EDGES`; from each edge
    to below the next one; from the last edge on.

    >>> one = torch.ones((), dtype=torch.float64)
    >>> frequency_histogram(CodeSums(n=10 * one, fires_s=torch.tensor([0, 1, 2, 10]), l1=one)).tolist()
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    """
    frequency_s = sums.fires_s / sums.n
    edges = torch.tensor(HISTOGRAM_EDGES, dtype=frequency_s.dtype, device=frequency_s.device)
    bins_s = torch.where(sums.fires_s > 0, torch.bucketize(frequency_s, edges, right=True) + 1, 0)
    return torch.bincount(bins_s, minlength=len(HISTOGRAM_EDGES) + 2)


@final
class CodeStatistics(Metric):
    """L0, L1 and how often latents fire, over all updates and processes.

    `update` takes codes (b, s); `compute` gives ``{"l0", "l1", "dead", "almost_dead", "dense", "dense_1pct"}``,
    scalars, and `histogram` a list.

    Args:
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
        for name, value in code_sums(f_bs)._asdict().items():
            setattr(self, name, getattr(self, name) + value)

    @override
    def compute(self) -> dict[str, Tensor]:
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
