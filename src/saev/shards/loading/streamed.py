"""Tokens that don't all fit into memory: read piece by piece, just before they are needed."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.ranges import Ints
from saev.shards.loading.interleaving import LaneSizes, Schedule, Segments, rows_of
from saev.shards.loading.rows import RowFormat, RowReads, empty_rows
from saev.shards.tokens import TokenSelection
from saev.threads import DaemonThreads

SLOT_BYTES: Final = 24
"""What it takes for each token in memory to know where it is."""
SEGMENT_BYTES: Final = 200
"""What it takes to make the schedule of an epoch, for each segment."""
LOAD_BYTES: Final = 4 * 2**20
"""What one job reads: little enough to share the work, enough to keep the disk busy."""
_PLANNED_LOADS: Final = 16
_SOME_EXAMPLES: Final = 4096  # enough to tell how many tokens are kept of an example
READING_BYTES: Final = 24 * 2**20
"""About what the threads take to read."""


@final
@dataclass(frozen=True)
class Load:
    """Segments that one job reads, and where their tokens are wanted."""

    first: int  # The first batch, of any process, that has a token of these segments; loads are in this order.
    segments: Segments  # What to read.
    wanted: NDArray[np.bool_]  # For each of their tokens, whether this process gives it.
    batch: Ints  # For each wanted token the batch that it belongs to.
    row: Ints  # And its row there, among those of this process.


@final
class StreamedTokens:
    """Gives the tokens in the order of a `Schedule`, an epoch after the other.

    A row of memory is taken when the read of a token begins, and is free again when its batch has been gathered.

    Args:
        sizes: Lanes and pieces.
        quota: How many of a batch are from here, over all processes.
        rows: Which rows of a batch this process gives.
        buffer_tokens: Rows of memory for all processes.
        seed: Another seed is another order.
    """

    def __init__(
        self,
        tokens: TokenSelection,
        sizes: LaneSizes,
        *,
        quota: int,
        rows: range,
        buffer_tokens: int,
        seed: Sequence[int],
    ) -> None:
        self._tokens, self._sizes = tokens, sizes
        self._quota, self._mine, self._seed = quota, rows, seed
        self._n_rows = -(-buffer_tokens * len(rows) // quota)
        self._reads: RowReads | None = None

    def start(self, threads: DaemonThreads, first: int, end: int) -> None:
        """Get ready to read what the batches first to end, not included, need."""
        self._threads = threads
        self._reads = RowReads(self._tokens)
        self._counts = self._tokens.unit_counts()
        # What is never used takes no memory: room to grow without a copy, and a last row for what is not wanted.
        self.rows = empty_rows(self._n_rows + self._n_rows // 4 + 1, RowFormat(self._tokens).row_bytes)
        self._n_used = self._n_rows
        self._free = FreeRows(self._n_rows)
        self._slots: dict[int, Ints] = {}
        self._pending: deque[tuple[int, Future[None]]] = deque()
        loads = self._plan(first, end)
        # In a thread of its own: behind the jobs of those that read it would wait in line.
        self._planner = DaemonThreads(1, "plan", places=self._tokens.paths, timeout=math.inf)
        self._plan_next = partial(next, loads, None)
        self._planned = deque(self._planner.submit(self._plan_next) for _ in range(_PLANNED_LOADS))
        self._next = self._take_planned()

    def _plan(self, first_batch: int, end_batch: int) -> Iterator[Load]:
        """All loads of tokens of these batches, in the order in which they are needed."""
        n, last = self._tokens.n_tokens, end_batch * self._quota
        for epoch in range(first_batch * self._quota // n, -(-last // n)):
            schedule = Schedule(self._counts, len(self._tokens.examples), self._sizes, self._seed, epoch)
            needed = epoch * n + schedule.last_places() >= first_batch * self._quota
            for part in self._parts(schedule.segments[np.flatnonzero(needed)]):
                places = schedule.places(part)
                here = places >= 0
                place = np.where(here, epoch * n + places, 0)
                batch, row = np.divmod(place, self._quota)
                # Not the first of the wanted ones: with several processes these are in another order.
                first = int(batch[here].min())
                if first >= end_batch:
                    return
                wanted = here & (batch >= first_batch) & (place < last)
                wanted &= (row >= self._mine.start) & (row < self._mine.stop)
                if wanted.any():
                    yield _without_useless(first, part, wanted, batch, row - self._mine.start)

    def _parts(self, segments: Segments) -> Iterator[Segments]:
        per_part = max(1, LOAD_BYTES // self._tokens.token_bytes)
        number = (np.cumsum(segments.length) - 1) // per_part
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(segments)]])
        for start, stop in pairwise(bounds.tolist()):
            yield segments[start:stop]

    def contents(self, batches: Sequence[int]) -> list[tuple[Ints, Ints]]:
        """The examples and ordinals of the tokens of this process's part of some batches."""
        found = {batch: np.empty((2, len(self._mine)), dtype=np.int64) for batch in batches}
        self._counts = self._tokens.unit_counts()
        for load in self._plan(min(batches), max(batches) + 1):
            number, within = rows_of(load.segments)
            example = load.segments.example[number]
            ordinal = (load.segments.first[number] + within) % self._tokens.counts_of(example)
            token = np.stack([example, ordinal])[:, load.wanted]
            for batch in np.intersect1d(load.batch, batches).tolist():
                here = load.batch == batch
                found[batch][:, load.row[here]] = token[:, here]
        return [(example, ordinal) for example, ordinal in found.values()]

    def needed(self, batch: int) -> list[Future[None]]:
        """What must have been read before a batch can be gathered; reads ahead as far as there is room."""
        while (load := self._next) is not None:
            if len(load.batch) > len(self._free):
                if load.first > batch:
                    break
                self._grow(len(load.batch) - len(self._free))
            self._submit(load)
            self._next = self._take_planned()
        waiting = []
        while self._pending and self._pending[0][0] <= batch:
            waiting.append(self._pending.popleft()[1])
        return waiting

    def _take_planned(self) -> Load | None:
        self._planned.append(self._planner.submit(self._plan_next))
        load: Load | None = self._planned.popleft().result()
        return load

    def _submit(self, load: Load) -> None:
        assert self._reads is not None
        taken = self._free.take(len(load.batch))
        slots = np.full(len(load.wanted), -1, dtype=np.int64)
        slots[load.wanted] = taken
        order = np.argsort(load.batch, kind="stable")
        batches, starts = np.unique(load.batch[order], return_index=True)
        for batch, part in zip(batches.tolist(), np.split(order, starts[1:]), strict=True):
            if batch not in self._slots:
                self._slots[batch] = np.full(len(self._mine), -1, dtype=np.int64)
            self._slots[batch][load.row[part]] = taken[part]
        job = partial(self._reads.read, load.segments, slots, self.rows)
        self._pending.append((load.first, self._threads.submit(job)))

    def _grow(self, n: int) -> None:
        """Take more memory than planned, for buffers of so few lanes that chance decides how much they hold."""
        if self._n_used + n >= len(self.rows):
            for _, job in self._pending:
                self._threads.result(job)  # it writes to the old memory
            self.rows = np.concatenate([self.rows, empty_rows(n, self.rows.shape[1])])
        self._free.add(np.arange(self._n_used, self._n_used + n, dtype=np.int64))
        self._n_used += n

    def slots(self, batch: int) -> Ints:
        """The rows of memory that hold this process's part of a global batch."""
        slots = self._slots.get(batch, np.empty(0, dtype=np.int64))
        assert len(slots) == len(self._mine) and (slots >= 0).all(), f"a token of batch {batch} is not read"
        return slots

    def release(self, batch: int) -> None:
        """The memory of a batch that has been gathered may be used again."""
        self._free.add(self._slots.pop(batch, np.empty(0, dtype=np.int64)))

    def stop(self) -> None:
        """Close the files and give all memory back."""
        if self._reads is not None:
            self._planner.close()
            self._reads.close()
            self._reads = None
            del self.rows, self._free, self._slots, self._pending, self._plan_next, self._planned, self._next


def streaming_sizes(tokens: TokenSelection, quota: int, n_bytes: int) -> tuple[LaneSizes, int]:
    """Lanes and pieces for so much memory, and the tokens that are held in it."""
    step = max(1, len(tokens.examples) // _SOME_EXAMPLES)
    some = tokens if tokens.kept is None else tokens.take(np.arange(0, len(tokens.examples), step))
    counts = some.unit_counts()
    row_bytes = RowFormat(tokens).row_bytes

    def fitting(n_bytes: int) -> tuple[LaneSizes, int]:
        buffer_tokens = max(1, n_bytes // (row_bytes + SLOT_BYTES))
        sizes = LaneSizes.fitting(
            counts,
            n_examples=len(tokens.examples),
            token_bytes=row_bytes,
            quota=quota,
            buffer_tokens=buffer_tokens,
        )
        return sizes, buffer_tokens

    plan, _ = fitting(n_bytes)
    return fitting(n_bytes - SEGMENT_BYTES * (len(tokens.examples) * plan.pieces + plan.lanes))


@final
class FreeRows:
    """A stack of the numbers of rows that nothing is kept in.

    Args:
        n: How many there are at first, numbered from 0.
    """

    def __init__(self, n: int) -> None:
        self._stack = np.arange(n, dtype=np.int64)
        self._n = n

    def __len__(self) -> int:
        return self._n

    def take(self, n: int) -> Ints:
        """The numbers of n rows."""
        assert n <= self._n, (n, self._n)
        self._n -= n
        return self._stack[self._n : self._n + n].copy()

    def add(self, rows: Ints) -> None:
        """These are free from now on."""
        end = self._n + len(rows)
        if end > len(self._stack):
            self._stack = np.concatenate([self._stack, np.empty(end - len(self._stack), dtype=np.int64)])
        self._stack[self._n : end] = rows
        self._n = end


def _without_useless(first: int, part: Segments, wanted: NDArray[np.bool_], batch: Ints, row: Ints) -> Load:
    """A load of those segments alone that have a wanted token."""
    number = rows_of(part)[0]
    useful = np.zeros(len(part), dtype=np.bool_)
    useful[number[wanted]] = True
    return Load(first, part[np.flatnonzero(useful)], wanted[useful[number]], batch[wanted], row[wanted])
