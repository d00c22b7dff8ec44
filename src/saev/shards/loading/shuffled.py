"""Shuffled training batches."""

import weakref
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.loading.in_memory import InMemoryTokens, in_memory_bytes
from saev.shards.loading.interleaving import ORDER_VERSION, LaneSizes
from saev.shards.loading.mixture import rows_of_rank, shares_of_buffer
from saev.shards.loading.rows import BatchMemory, Bytes, RowFormat
from saev.shards.loading.sampling import sample
from saev.shards.loading.saved_state import SavedState
from saev.shards.loading.streamed import READING_BYTES, StreamedTokens, streaming_sizes
from saev.shards.tokens import TokenSelection
from saev.threads import DaemonThreads

BATCHES_HELD: Final = 2
"""A consumer that keeps a batch until it has the next one holds two."""
GATHER_THREADS: Final = 2


@final
@dataclass(frozen=True)
class DataSet:
    """A part of every batch."""

    tokens: TokenSelection  # Where its tokens are from.
    quota: int  # How many of each batch it gives, over all processes.


@final
class ShuffledTokens:
    """An iterable over shuffled batches of tokens (batch size / processes, d_model), in the stored dtype; float32 for
    int8.

    The order is a pure function of the data sets, the buffer, the seed and the epoch of the data: the same for any
    number of threads, and the same batches for any number of processes, each of which gives its part of them. Where the
    tokens of a data set fit its share of the buffer they are read once, and every epoch is a uniform permutation of
    them. Otherwise they are read as they are needed, in the order that `lanes` describes.

    One pass over this iterable is the whole token budget, over several epochs of the data where the budget is larger.
    The next pass goes on with the next tokens, also after a pass that was given up. The state is the number of batches
    given out, so that a resumed run goes on with the next one.

    Args:
        data_sets: What the batches are made of; all of one width and dtype.
        n_batches: Length of a pass.
        buffer_bytes: Bound of the memory for tokens, batches and their order.
        seed: Another seed is another order.
        rank: Which part of each batch to give.
        world_size: Number of parts.
        timeout: Seconds without anything read after which waiting for a batch is given up.
        pin: Whether batches are in page-locked memory, for copies to a GPU.

    Raises:
        InputError: If the batch cannot be divided among the ranks, or the buffer is too small for it.
    """

    def __init__(
        self,
        data_sets: Sequence[DataSet],
        *,
        n_batches: int,
        buffer_bytes: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        n_threads: int = 4,
        timeout: float = 300.0,
        pin: bool = False,
    ) -> None:
        self._data_sets = data_sets
        self.n_batches = n_batches
        self.batch_size = sum(data_set.quota for data_set in data_sets)
        self.buffer_bytes = buffer_bytes
        self._seed, self._n_threads, self._timeout = seed, n_threads, timeout
        if self.batch_size % world_size:
            raise InputError(f"a batch of {self.batch_size} tokens cannot be divided among {world_size} processes")
        self._format = RowFormat(data_sets[0].tokens)
        self._memory = BatchMemory(self.batch_size // world_size, self._format.row_bytes, pin=pin)
        self._rows = rows_of_rank([data_set.quota for data_set in data_sets], rank, world_size)
        self._ahead, self._sizes = self._choose_sizes()
        self._sources = [self._source(number) for number in range(len(data_sets))]
        self._pass = self._next = 0
        self._batches: weakref.ref[Generator[Tensor, None, None]] | None = None

    def _choose_sizes(self) -> tuple[int, list[tuple[LaneSizes, int] | None]]:
        """How many batches are gathered ahead; lanes and tokens in memory of each data set, None for those that fit."""
        # From memory alone a batch is gathered so fast that the threads would wait for the next one.
        if (sizes := self._sizes_for(self.buffer_bytes, ahead=2)) is not None and not any(sizes):
            return 2, sizes
        if (sizes := self._sizes_for(self.buffer_bytes, ahead=1)) is not None:
            return 1, sizes
        enough = self.buffer_bytes
        while self._sizes_for(enough, ahead=1) is None:
            enough += enough // 8 + 1
        raise InputError(
            f"a buffer of {byte_text(self.buffer_bytes)} is too small for batches of {self.batch_size} tokens and the "
            f"order of all of them: give {1.01 * enough / 2**30:.3g} GiB"
        )

    def _sizes_for(self, buffer_bytes: int, ahead: int) -> list[tuple[LaneSizes, int] | None] | None:
        """The sizes for a buffer of so many bytes, or None if it is too small."""
        row_bytes = self._format.row_bytes + self._format.decoded_bytes
        reading = min(READING_BYTES, buffer_bytes // 16) + sum(one.tokens.hash_bytes for one in self._data_sets)
        at_hand = (BATCHES_HELD + ahead) * self.batch_size * row_bytes + reading
        needs = [in_memory_bytes(data_set.tokens) for data_set in self._data_sets]
        shares = shares_of_buffer(needs, [one.quota for one in self._data_sets], max(0, buffer_bytes - at_hand))
        sizes: list[tuple[LaneSizes, int] | None] = []
        for data_set, need, share in zip(self._data_sets, needs, shares, strict=True):
            plan = None if need <= share else streaming_sizes(data_set.tokens, data_set.quota, share)
            if plan is not None and plan[1] < 2 * data_set.quota:
                return None
            sizes.append(plan)
        return sizes

    def _source(self, number: int) -> InMemoryTokens | StreamedTokens:
        data_set, rows, sizes = self._data_sets[number], self._rows[number], self._sizes[number]
        seed = (self._seed, number)
        if sizes is None:
            return InMemoryTokens(data_set.tokens, quota=data_set.quota, rows=rows, seed=seed)
        return StreamedTokens(
            data_set.tokens, sizes[0], quota=data_set.quota, rows=rows, buffer_tokens=sizes[1], seed=seed
        )

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Tensor]:
        # They share the memory: one that somebody still holds would end this one when it is dropped.
        if self._batches is not None and (earlier := self._batches()) is not None:
            earlier.close()
        batches = self._iterate()
        self._batches = weakref.ref(batches)
        return batches

    def _iterate(self) -> Generator[Tensor, None, None]:
        if self._next == self.n_batches:  # The trainer asks for the last batch and not for the end.
            self._pass, self._next = self._pass + 1, 0
        places = ", ".join(dict.fromkeys(data_set.tokens.paths for data_set in self._data_sets))
        readers = DaemonThreads(self._n_threads, "read tokens", places=places, timeout=self._timeout)
        gatherers = DaemonThreads(GATHER_THREADS, "gather tokens", places=places, timeout=self._timeout)
        first, end = self._pass * self.n_batches + self._next, (self._pass + 1) * self.n_batches
        try:
            for source in self._sources:
                source.start(readers, first, end)
            ready = deque(self._prepare(number, gatherers) for number in range(first, min(first + self._ahead, end)))
            for number in range(first, end):
                batch = self._wait(*ready.popleft(), readers)
                for source in self._sources:
                    source.release(number)
                if number + self._ahead < end:
                    ready.append(self._prepare(number + self._ahead, gatherers))
                if number + 1 == end:
                    self._stop(readers, gatherers)
                # Counted before it is given, because the trainer saves the state while it still holds the batch.
                self._next += 1
                yield batch
                del batch  # before the memory of the next one is taken
        finally:
            self._stop(readers, gatherers)

    def _stop(self, *threads: DaemonThreads) -> None:
        for some in threads:
            some.close()
        for source in self._sources:
            source.stop()

    def _prepare(self, number: int, gatherers: DaemonThreads) -> tuple[Tensor, list[Future[None]]]:
        """Begin to gather a batch, when what it needs has been read: its rows, and the jobs that fill them."""
        needed = [read for source in self._sources for read in source.needed(number)]
        rows = self._memory.take()
        jobs, start = [], 0
        for source, mine in zip(self._sources, self._rows, strict=True):
            picked, out = source.slots(number), rows.numpy()[start : start + len(mine)]
            for part in np.array_split(np.arange(len(mine)), GATHER_THREADS):
                if len(part):
                    one = slice(int(part[0]), int(part[-1]) + 1)
                    jobs.append(gatherers.submit(partial(_gather, needed, source.rows, picked[one], out[one])))
            start += len(mine)
        return rows, jobs

    def _wait(self, rows: Tensor, jobs: list[Future[None]], readers: DaemonThreads) -> Tensor:
        """The tokens of a batch."""
        for job in jobs:
            readers.result(job)
        return self._format.decode(rows)

    def sample(self, n_tokens: int) -> Tensor:
        """Tokens from everywhere, the same in every process: float32 (n, d_model); fewer where there are fewer."""
        return torch.cat(
            [
                sample(
                    one.tokens,
                    -(-n_tokens * one.quota // self.batch_size),
                    (self._seed, number),
                    n_threads=self._n_threads,
                    timeout=self._timeout,
                )
                for number, one in enumerate(self._data_sets)
            ]
        )[:n_tokens]

    def contents(self, batches: Sequence[int]) -> list[list[tuple[Ints, Ints]]]:
        """What the batches of the first pass hold: for each batch and data set the examples and the ordinals of the
        tokens that this process gives, by their numbers in the selection. Reads nothing.
        """
        found = [source.contents(batches) for source in self._sources]
        return [list(parts) for parts in zip(*found, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: a `SavedState`."""
        return self._state().to_dict()

    def _state(self) -> SavedState:
        return SavedState(self.plan(), self.buffer_bytes, self._pass, self._next)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batches that the state counts.

        Raises:
            InputError: If the data, the seed, the batch size or what follows from the buffer have changed since, or the
                state is none.
        """
        saved = SavedState.from_dict(state)
        saved.check_same_order(self._state())
        if saved.batch > self.n_batches:
            raise InputError(f"the checkpoint is damaged: {saved.batch} of {self.n_batches} batches: start a new run")
        self._pass, self._next = saved.passes, saved.batch

    def plan(self) -> dict[str, Any]:
        """All that the order depends on."""
        plan: dict[str, Any] = {"order_version": ORDER_VERSION, "batch_size": self.batch_size, "seed": self._seed}
        plan["batches"] = self.n_batches
        for number, (data_set, sizes) in enumerate(zip(self._data_sets, self._sizes, strict=True)):
            prefix = f"data set {number + 1} " if len(self._data_sets) > 1 else ""
            facts = {**data_set.tokens.identity(), "tokens_a_batch": data_set.quota}
            facts["order"] = "uniform" if sizes is None else asdict(sizes[0])
            plan |= {prefix + name: value for name, value in facts.items()}
        return plan

    def describe(self) -> list[str]:
        """For people: how each data set is shuffled, and what is held in memory."""
        lines = []
        for data_set, sizes in zip(self._data_sets, self._sizes, strict=True):
            tokens = data_set.tokens
            what = f"{tokens.n_tokens:,} tokens of {len(tokens.examples):,} images"
            if sizes is None:
                how = f"all in memory ({byte_text(in_memory_bytes(tokens))}): each epoch is a uniform permutation"
            else:
                lanes, n = sizes
                held, piece = byte_text(n * self._format.row_bytes), -(-len(tokens.positions) // lanes.pieces)
                how = (
                    f"{n:,} of them in memory ({held}): a batch mixes pieces of {piece} tokens of "
                    f"{min(lanes.lanes, data_set.quota, len(tokens.examples)):,} images, {lanes.per_visit} of each"
                )
            lines.append(f"{what}, {how}")
        return lines


def _gather(needed: Sequence[Future[None]], rows: Bytes, picked: Ints, out: Bytes) -> None:
    for read in needed:
        read.result()
    # numpy's and not torch's: it takes no other threads than this one from the training step.
    np.take(rows, picked, axis=0, out=out, mode="clip")
