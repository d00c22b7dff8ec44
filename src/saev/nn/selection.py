"""Which latents may be active: the k largest of each token, or the k * b largest of a batch.

Shape suffixes: b = tokens of a batch, r = tokens of a block, s = d_sae, n = entries. Where processes divide
the latents, s are those of this process.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from saev.nn.functional import among_largest, keep_top_k
from saev.nn.pattern import Pattern
from saev.nn.pre_activations import Entries, PreActivations, groups, maxima
from saev.nn.processes import DIVIDED_TOKENS, EVERYONE, Group, Processes

MEMORY = 0.9  # Share of the running threshold that stays at each step.
BITS = {torch.bfloat16: (torch.int16, 16), torch.float32: (torch.int32, 32), torch.float64: (torch.int64, 64)}
CAUTION = 0.9  # What lies below this share of the last threshold is not looked at, unless too little is above.


class Selection(nn.Module, ABC):
    """Chooses the latents that may be active.

    Args:
        k: Active latents a token, at most or on average.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    @abstractmethod
    def select(self, h: PreActivations, k: int, processes: Processes = DIVIDED_TOKENS) -> tuple[Pattern, Tensor]:
        """The entries that a training batch keeps, for this k, and their values (n,); some need not be positive."""

    @abstractmethod
    def activate(self, h_bs: Tensor, processes: Processes = DIVIDED_TOKENS) -> Tensor:
        """Dense codes (b, s) of pre-activations (b, s)."""


@final
class PerToken(Selection):
    """The k largest pre-activations of each token."""

    @override
    def select(self, h: PreActivations, k: int, processes: Processes = DIVIDED_TOKENS) -> tuple[Pattern, Tensor]:
        values_bc, latents_bc = h.largest(min(k, h.shape[1]))
        if processes.latents.size == 1:
            return Pattern.of_rows(latents_bc, h.shape[1]), values_bc.flatten()
        kept_bc = among_largest(values_bc, k, processes.latents)
        pattern = Pattern.of_sorted(kept_bc.nonzero()[:, 0], latents_bc[kept_bc], *h.shape)
        return pattern, values_bc[kept_bc]

    @override
    def activate(self, h_bs: Tensor, processes: Processes = DIVIDED_TOKENS) -> Tensor:
        return keep_top_k(h_bs, self.k, processes.latents)


@final
class PerBatch(Selection):
    """The k * b largest positive pre-activations of a batch of b tokens, over all processes.

    Where they divide the tokens, b is their sum; where they divide the latents, all of them have the same b tokens.

    At evaluation a token must not depend on its neighbours: everything above a threshold is kept, the running mean
    of the smallest values that training batches kept. Bussmann et al. 2024, "BatchTopK Sparse Autoencoders",
    https://arxiv.org/abs/2412.06410.
    """

    threshold: Tensor
    n_steps: Tensor

    def __init__(self, k: int) -> None:
        super().__init__(k)
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self._last = 0.0

    @override
    def select(self, h: PreActivations, k: int, processes: Processes = DIVIDED_TOKENS) -> tuple[Pattern, Tensor]:
        most = processes.tokens.sum(torch.full((), k * h.shape[0], device=self.threshold.device))
        entries, smallest = self._largest(h, k, most, processes)
        self._remember(smallest)
        kept_n = (entries.values_n >= smallest).nonzero().squeeze(-1)
        pattern = Pattern.of_sorted(entries.rows_n[kept_n], entries.latents_n[kept_n], *h.shape)
        return pattern, entries.values_n[kept_n]

    @override
    def activate(self, h_bs: Tensor, processes: Processes = DIVIDED_TOKENS) -> Tensor:
        if not self.training:
            return h_bs * (h_bs > self.threshold)
        h_rs = h_bs.reshape(-1, h_bs.shape[-1])
        n = torch.tensor(self.k * len(h_rs), device=h_bs.device)
        smallest = nth_largest(h_rs[h_rs > 0], processes.tokens.sum(n), processes.all)
        return h_bs * ((h_bs >= smallest) & (h_bs > 0))

    def _remember(self, smallest: Tensor) -> None:
        """Move the running threshold; the first batches count more, as nothing came before them."""
        self.n_steps.add_(1)
        weight = (1 / self.n_steps).clamp_min(1 - MEMORY).to(self.threshold)
        self.threshold.lerp_(smallest.to(self.threshold), weight)

    def _largest(self, h: PreActivations, k: int, most: Tensor, processes: Processes) -> tuple[Entries, Tensor]:
        """All entries that can be among the `most` largest, and the smallest of these.

        The smallest entry that was kept last gives a bound; it holds if enough entries reach it.
        """
        if self._last > 0:
            found = h.above(CAUTION * self._last)
            smallest = nth_largest(found.values_n, most, processes.all)
            bound, self._last = CAUTION * self._last, smallest.item()
            if self._last >= bound:
                return found, smallest
        # Each block holds its share of k * r entries not below its bound; with the smallest of all bounds there are
        # enough, which may be a little lower when they are computed again.
        share = -(-k // processes.latents.size)
        bounds = torch.stack([_bound(h_rs, share) for h_rs in h.blocks()])
        found = h.above(CAUTION * max(processes.all.min(bounds.min()).item(), 0.0))
        smallest = nth_largest(found.values_n, most, processes.all)
        self._last = smallest.item()
        return found, smallest


def _bound(h_rs: Tensor, k: int) -> Tensor:
    """A number that at least k * r of the entries reach, close to the largest one of which this is true."""
    return maxima(groups(h_rs, k)).flatten().topk(k * len(h_rs)).values[-1]


def nth_largest(values_n: Tensor, n: Tensor, group: Group = EVERYONE) -> Tensor:
    """The n-th largest of positive values that some processes have together; 0 where there are fewer.

    Several processes find it digit by digit: positive floating-point numbers are ordered as their bits are, and each
    process only counts.

    Args:
        values_n: Those of this process, float32, float64 or bfloat16.
        n: An integer, the same in each process, at least 1.
        group: The processes.

    >>> nth_largest(torch.tensor([0.5, 3.0, 2.0]), torch.tensor(2))
    tensor(2.)
    """
    values_n = values_n.sort().values
    if group.size == 1:
        place = (len(values_n) - n + 1).clamp_min(0)  # the zero in front, where there are fewer than n
        return F.pad(values_n, (1, 0)).gather(0, place.view(1)).squeeze(0)
    integer, n_bits = BITS[values_n.dtype]
    bits_n = values_n.view(integer)
    found = bits_n.new_zeros(())
    for bit in range(n_bits - 2, -1, -1):
        tried = found | (1 << bit)
        n_above = group.sum(len(bits_n) - torch.searchsorted(bits_n, tried))
        found = torch.where(n_above >= n, tried, found)
    return found.view(values_n.dtype)
