"""Tokens that all fit into memory: read once, permuted uniformly in every epoch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, final

import numpy as np

from saev.ranges import Ints
from saev.shards.loading.interleaving import ORDER_VERSION, Segments
from saev.shards.loading.rows import Bytes, RowFormat, RowReads, empty_rows
from saev.shards.tokens import TokenSelection
from saev.threads import DaemonThreads

JOB_BYTES: Final = 8 * 2**20
"""What one job reads."""


def in_memory_bytes(tokens: TokenSelection) -> int:
    """Memory of all tokens and of their order."""
    return tokens.n_tokens * (RowFormat(tokens).row_bytes + 8)


def uniform_order(n_tokens: int, seed: Sequence[int], epoch: int) -> Ints:
    """The order of the tokens of an epoch: a uniform permutation."""
    return np.random.default_rng([*seed, epoch, ORDER_VERSION]).permutation(n_tokens)


@final
class InMemoryTokens:
    """All selected tokens as rows in memory, in the order of the disk.

    Args:
        quota: How many of a batch are from here, over all processes.
        rows: Which of them this process gives.
        seed: Another seed is another order.
    """

    def __init__(self, tokens: TokenSelection, *, quota: int, rows: range, seed: Sequence[int]) -> None:
        self._tokens = tokens
        self._quota, self._mine, self._seed = quota, rows, seed
        self._rows: Bytes | None = None
        self._order: tuple[int, Ints] | None = None
        self._reads: RowReads | None = None
        self._pending: list[Future[None]] = []

    def start(self, threads: DaemonThreads, first: int, end: int) -> None:
        """Begin to read all tokens, unless they are there from an earlier pass."""
        del first, end  # every batch has tokens from everywhere
        if self._rows is not None:
            return
        self._rows = empty_rows(self._tokens.n_tokens + 1, RowFormat(self._tokens).row_bytes)
        self._reads = RowReads(self._tokens)
        jobs = [partial(self._reads.read, part, slots, self._rows) for part, slots in self._parts()]
        self._pending = [threads.submit(job) for job in jobs]

    @property
    def rows(self) -> Bytes:
        """All tokens, uint8 (n_tokens + 1, row bytes)."""
        assert self._rows is not None
        return self._rows

    def _parts(self) -> Iterator[tuple[Segments, Ints]]:
        """Whole examples, a few at a time, and the rows of their tokens."""
        counts = self._tokens.counts
        ends = np.cumsum(counts)
        whole = Segments.whole(np.arange(len(counts)), np.zeros_like(counts), counts)
        per_part = max(1, JOB_BYTES // (len(self._tokens.positions) * self._tokens.token_bytes))
        for start in range(0, len(counts), per_part):
            part = slice(start, start + per_part)
            yield whole[part], np.arange(ends[start] - counts[start], ends[part][-1])

    def needed(self, batch: int) -> list[Future[None]]:
        """What must have been read before a batch can be gathered: everything."""
        del batch
        return self._pending

    def slots(self, batch: int) -> Ints:
        """The rows of memory that hold this process's part of a global batch."""
        n, place = self._tokens.n_tokens, batch * self._quota + self._mine.start
        end, parts = place + len(self._mine), [np.empty(0, dtype=np.int64)]
        while place < end:
            epoch, start = divmod(place, n)
            parts.append(self._order_of(epoch)[start : start + end - place])
            place += len(parts[-1])
        return parts[-1] if len(parts) == 2 else np.concatenate(parts)

    def contents(self, batches: Sequence[int]) -> list[tuple[Ints, Ints]]:
        """The examples and ordinals of the tokens of this process's part of some batches."""
        counts = self._tokens.counts
        ends = np.cumsum(counts)
        found = []
        for batch in batches:
            slots = self.slots(batch)
            example = np.searchsorted(ends, slots, side="right")
            found.append((example, slots - (ends - counts)[example]))
        return found

    def _order_of(self, epoch: int) -> Ints:
        if self._order is None or self._order[0] != epoch:
            self._order = None  # its memory, before the next one's is taken
            self._order = epoch, uniform_order(self._tokens.n_tokens, self._seed, epoch)
        return self._order[1]

    def release(self, batch: int) -> None:
        """Nothing: the tokens stay for the next epoch."""

    def stop(self) -> None:
        """Close the files; the tokens stay, if they were all read."""
        if not all(job.done() and not job.cancelled() and job.exception() is None for job in self._pending):
            self._rows = None
        self._pending = []
        if self._reads is not None:
            self._reads.close()
            self._reads = None
