"""Batches of tokens from one shard directory."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saev.errors import InputError
from saev.shards.loading.shuffle import Ints, ShufflePlan, random_subset
from saev.shards.reading.reader import ShardReader

BLOCK_BYTES = 4 * 2**20  # Neighbours that travel together through the shuffle.
READ_BYTES = 64 * 2**20  # Upper bound of one read, as float32 in memory.


@dataclass(frozen=True)
class TokenSelection:
    """Which tokens of a shard directory are used.

    Args:
        reader: The shard directory.
        examples: (n,) ascending indices of the examples.
        positions: Which tokens of each example.
    """

    reader: ShardReader
    examples: Ints
    positions: range

    @property
    def n_tokens(self) -> int:
        """Selected tokens."""
        return len(self.examples) * len(self.positions)

    def subset(self, n_examples: int, seed: int) -> "TokenSelection":
        """At most so many examples, a random choice of blocks that lie together on disk."""
        if n_examples >= len(self.examples):
            return self
        per_block = max(1, BLOCK_BYTES // self.reader.layout.bytes_per_example)
        blocks = np.split(self.examples, range(per_block, len(self.examples), per_block))
        chosen = random_subset(len(blocks), -(-n_examples // per_block), seed)
        examples = np.concatenate([blocks[block] for block in chosen])[:n_examples]
        return TokenSelection(self.reader, examples, self.positions)

    def read(self, examples: Ints) -> Iterator[Tensor]:
        """The selected tokens of ascending examples, float32 (n, positions, d_model), a stretch of disk at a time.

        Small gaps are read over: the checksums cover whole blocks anyway.
        """
        if not len(examples):
            yield torch.empty(0, len(self.positions), self.reader.layout.d_model)
            return
        layout = self.reader.layout
        example_bytes, float32_bytes = layout.bytes_per_example, 4 * layout.tokens.n_tokens * layout.d_model
        far = np.diff(examples) > max(1, BLOCK_BYTES // example_bytes)
        full = np.diff(examples // max(1, READ_BYTES // float32_bytes)) > 0
        for part in np.split(examples, np.flatnonzero(far | full) + 1):
            first = int(part[0])
            acts = self.reader.read(first, int(part[-1]) + 1)
            yield acts[torch.from_numpy(part - first), self.positions.start : self.positions.stop].float()


class OrderedTokens:
    """An iterable over all selected tokens in the order of the shards: float32 (tokens of whole examples, d_model).

    Args:
        tokens: What to read.
        batch_size: Upper bound of the tokens of a batch, unless one example has more.
        rank: Which part of the examples to give; the parts differ by one example at most.
        world_size: Number of parts.
    """

    def __init__(self, tokens: TokenSelection, *, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self._tokens = tokens
        self._per_batch = max(1, batch_size // len(tokens.positions))
        self._examples = np.array_split(tokens.examples, world_size)[rank]

    def __len__(self) -> int:
        # A part without examples gives one batch without tokens: its process has to meet the others at the end.
        return max(1, -(-len(self._examples) // self._per_batch))

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, max(1, len(self._examples)), self._per_batch):
            parts = self._tokens.read(self._examples[start : start + self._per_batch])
            yield torch.cat(list(parts)).flatten(0, 1)


class ShuffledTokens:
    """An iterable over shuffled batches of tokens: float32 (batch size / ranks, d_model).

    The global batches are the same for any number of ranks; each rank takes its rows of them. One pass over this
    iterable is the whole token budget, over several epochs of the data where the budget is larger.
    The state is the number of batches given out, so that a resumed run goes on with the next one.

    Memory: one pool of tokens with its order, ``(4 d_model + 8)`` bytes a token, at most ``buffer_bytes``, and a
    block being read.

    Args:
        tokens: What to shuffle.
        n_batches: Length of the iterable.
        batch_size: Tokens of a global batch.
        buffer_bytes: Bound of the pool.
        seed: Another seed is another order.
        rank: Which part of each batch to give.
        world_size: Number of parts.

    Raises:
        InputError: If the batch cannot be divided among the ranks, or the buffer holds less than one example.
    """

    def __init__(
        self,
        tokens: TokenSelection,
        *,
        n_batches: int,
        batch_size: int,
        buffer_bytes: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise InputError(f"a batch of {batch_size} tokens cannot be divided among {world_size} processes")
        self._tokens = tokens
        self._n_batches = n_batches
        self._batch_size = batch_size
        self._rows = batch_size // world_size
        self._rank = rank
        self.plan = _plan(tokens, buffer_bytes, seed)
        self._pool: tuple[tuple[int, int], Tensor, Ints] | None = None
        self._next = 0

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[Tensor]:
        if self._next == self._n_batches:
            self._next = 0  # The trainer asks for the last batch and not for the end.
        while self._next < self._n_batches:
            batch = torch.cat(list(self._rows_of(self._next)))
            # Counted before it is given, because the trainer saves the state while it still holds the batch.
            self._next += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the number of batches given out, and what the order depends on."""
        return {"plan": self._identity(), "batch": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batches that the state counts.

        Raises:
            InputError: If the data, the seed, the batch size or the buffer have changed since.
        """
        saved, now = state["plan"], self._identity()
        changed = [f"{key} was {saved.get(key)} and is {now[key]}" for key in now if saved.get(key) != now[key]]
        if changed:
            raise InputError(f"the run cannot go on with other training data: {'; '.join(changed)}")
        self._next = state["batch"]

    def _identity(self) -> dict[str, Any]:
        content_id = self._tokens.reader.manifest.content_id
        positions = self._tokens.positions
        tokens = f"{positions.start} to {positions.stop} of each image"
        sizes = {"batch_size": self._batch_size, "batches": self._n_batches}
        return {"shards": content_id, "tokens": tokens, **sizes, **asdict(self.plan)}

    def _rows_of(self, batch: int) -> Iterator[Tensor]:
        """This rank's rows of a global batch, in pieces where a pool ends."""
        start = batch * self._batch_size + self._rank * self._rows
        stop = start + self._rows
        while start < stop:
            epoch, place = divmod(start, self.plan.n_tokens)
            bounds = self.plan.bounds(epoch)
            pool = int(np.searchsorted(bounds, place, side="right")) - 1
            piece = self._take(epoch, pool, place - int(bounds[pool]), stop - start)
            yield piece
            start += len(piece)

    def _take(self, epoch: int, pool: int, start: int, n: int) -> Tensor:
        """At most n tokens of a pool from a place in its order on."""
        # A function of its own: local names would keep a pool in memory while the next one is read.
        data, order = self._load(epoch, pool)
        return data[torch.from_numpy(order[start : start + n])]

    def _load(self, epoch: int, pool: int) -> tuple[Tensor, Ints]:
        """The tokens of a pool and their order, kept until another pool is asked for."""
        # With one pool the tokens stay in memory from epoch to epoch, only the order changes.
        if self._pool is None or self._pool[0] != (epoch, pool):
            stays = self._pool is not None and self.plan.n_pools == 1
            data = self._pool[1] if self._pool is not None and stays else self._read(epoch, pool)
            self._pool = ((epoch, pool), data, self.plan.order(epoch, pool, len(data)))
        return self._pool[1], self._pool[2]

    def _read(self, epoch: int, pool: int) -> Tensor:
        self._pool = None  # The old pool's memory is needed for the new one.
        members = self.plan.pool(epoch, pool)
        d_model = self._tokens.reader.layout.d_model
        data = torch.empty(len(members), len(self._tokens.positions), d_model)
        start = 0
        for acts in self._tokens.read(self._tokens.examples[members]):
            data[start : start + len(acts)] = acts
            start += len(acts)
        return data.flatten(0, 1)


def _plan(tokens: TokenSelection, buffer_bytes: int, seed: int) -> ShufflePlan:
    layout = tokens.reader.layout
    token_bytes = 4 * layout.d_model + 8
    pool = min(buffer_bytes // (token_bytes * len(tokens.positions)), len(tokens.examples))
    if pool < 1:
        need = token_bytes * len(tokens.positions) / 2**30
        raise InputError(f"the buffer of {buffer_bytes / 2**30:.3g} GiB holds no example: give at least {need:.3g} GiB")
    fits = pool == len(tokens.examples)
    # Where all fits, blocks would only leave a short second pool.
    block = 1 if fits else min(max(1, BLOCK_BYTES // layout.bytes_per_example), pool)
    return ShufflePlan(len(tokens.examples), len(tokens.positions), pool, block, seed)
