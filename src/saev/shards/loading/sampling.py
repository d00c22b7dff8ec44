"""A random sample of tokens, to start training from."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from saev.ranges import ranges
from saev.shards.loading.interleaving import Segments, queue_of_pieces
from saev.shards.loading.rows import RowFormat, RowReads, empty_rows
from saev.shards.tokens import TokenSelection, random_subset
from saev.threads import DaemonThreads

_SEGMENTS_A_JOB = 64


def sample(tokens: TokenSelection, n_tokens: int, seed: Sequence[int], *, n_threads: int, timeout: float) -> Tensor:
    """Random units of random examples, float32 (n, d_model): so many tokens, or all where there are fewer.

    Args:
        seed: Another seed is another sample.
        timeout: Seconds without anything read after which it is given up.

    Raises:
        InputError: For damaged or unreadable bytes, or if nothing can be read for so long.
    """
    rng = np.random.default_rng(seed)
    some = tokens.take(random_subset(len(tokens.examples), n_tokens, int(rng.integers(2**32))))
    counts = some.unit_counts()
    example, first, length = queue_of_pieces(counts, len(some.examples), counts.shape[-1], rng)
    n = int(np.searchsorted(np.cumsum(length), n_tokens)) + 1
    length = length[:n] - np.maximum(0, np.cumsum(length)[:n] - n_tokens)
    segments = Segments.whole(example[:n], first[:n], length)
    starts = np.cumsum(length) - length
    n = int(length.sum())
    rows = empty_rows(n + 1, RowFormat(tokens).row_bytes)
    reads = RowReads(some)
    threads = DaemonThreads(n_threads, "sample tokens", places=tokens.paths, timeout=timeout)
    try:
        parts = (slice(start, start + _SEGMENTS_A_JOB) for start in range(0, len(segments), _SEGMENTS_A_JOB))
        jobs = [
            threads.submit(partial(reads.read, segments[part], ranges(starts[part], length[part]), rows))
            for part in parts
        ]
        for job in jobs:
            threads.result(job)
    finally:
        threads.close()
        reads.close()
    return RowFormat(tokens).decode(torch.from_numpy(rows[:n])).float()
