"""Activations that say which token they are, and loaders of them whose pieces and reads are a few tokens long."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saev.shards.format.layout import TokenKind
from saev.shards.loading.shuffled import DataSet, ShuffledTokens
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

N, GRID, D = 40, (3, 4), 8
N_PATCHES = GRID[0] * GRID[1]
TOKEN_BYTES = 4 * D
Name = tuple[int, ...]


def named_acts(n_examples: int = N, n_tokens: int = N_PATCHES + 1, mark: int = 0) -> Tensor:
    """Activations (n, t, D) that begin with the numbers of the example and the token, and a mark."""
    acts = torch.zeros(n_examples, n_tokens, D)
    acts[..., 0] = torch.arange(n_examples)[:, None]
    acts[..., 1] = torch.arange(n_tokens)
    acts[..., 2] = mark
    return acts


def names(batch: Tensor) -> list[Name]:
    """Mark, example and position of each token."""
    return [(mark, example, position) for example, position, mark in batch[:, :3].int().tolist()]


def all_names(tokens: TokenSelection, mark: int = 0) -> list[Name]:
    """The names of all selected tokens."""
    kept = np.ones((len(tokens.examples), len(tokens.positions)), dtype=bool) if tokens.kept is None else tokens.kept
    return [
        (mark, int(example), tokens.positions[place])
        for example, row in zip(tokens.examples, kept, strict=True)
        for place in np.flatnonzero(row)
    ]


def select(
    *directories: Path, kind: TokenKind = "content", examples: Sequence[int] = range(N), ignore: Sequence[int] = ()
) -> TokenSelection:
    """Tokens of a directory, or of several layers."""
    return TokenSelection.of([open_shards(path) for path in directories], np.array(examples), kind, ignore)


def loader(
    *tokens: TokenSelection, rows: Sequence[int] = (24,), batches: int = 10, held: int, **more: Any
) -> ShuffledTokens:
    """Batches of so many rows of each data set, with a buffer of so many float32 tokens beside the batches."""
    data_sets = [DataSet(one, n) for one, n in zip(tokens, rows, strict=True)]
    buffer = (held + 3 * sum(rows)) * TOKEN_BYTES + sum(one.hash_bytes for one in tokens)
    return ShuffledTokens(data_sets, **{"n_batches": batches, "buffer_bytes": buffer, "seed": 0, "timeout": 30} | more)


def stream(batches: ShuffledTokens) -> list[Name]:
    """The names of all tokens of a pass."""
    return [name for batch in batches for name in names(batch)]


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    """Units of two tokens, pieces of four or six, reads of a few pieces; nothing but tokens counts as memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saev.shards.format.hashing.UNIT_BYTES", 2 * TOKEN_BYTES)
        patch.setattr("saev.shards.loading.interleaving.GOOD_PIECE_BYTES", 6 * TOKEN_BYTES)
        patch.setattr("saev.shards.loading.interleaving.SMALL_PIECE_BYTES", 4 * TOKEN_BYTES)
        patch.setattr("saev.shards.loading.streamed.LOAD_BYTES", 10 * TOKEN_BYTES)
        patch.setattr("saev.shards.loading.streamed.SLOT_BYTES", 0)
        patch.setattr("saev.shards.loading.shuffled.READING_BYTES", 0)
        patch.setattr("saev.shards.loading.streamed.SEGMENT_BYTES", 0)
        patch.setattr("saev.shards.loading.in_memory.JOB_BYTES", 30 * TOKEN_BYTES)
        yield
