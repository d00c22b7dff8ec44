"""How a batch and the buffer are divided among several data sets and processes: pure arithmetic."""

from collections.abc import Sequence

import numpy as np


def rows_by_weight(weights: Sequence[float], batch_size: int) -> list[int]:
    """Rows of a batch for each data set: in proportion to the weights, rounded, at least one each.

    >>> rows_by_weight([2, 1], 10)
    [7, 3]
    >>> rows_by_weight([1000, 1], 10)
    [9, 1]
    """
    assert batch_size >= len(weights) and min(weights) > 0
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * batch_size
    rows = np.maximum(1, exact.astype(np.int64))
    while rows.sum() < batch_size:
        rows[np.argmax(exact - rows)] += 1
    while rows.sum() > batch_size:
        rows[np.argmin(np.where(rows > 1, exact - rows, np.inf))] -= 1
    return [int(n) for n in rows]


def rows_of_rank(rows: Sequence[int], rank: int, world_size: int) -> list[range]:
    """Which rows of each data set's part of a batch a process gives.

    All processes have the same number of rows, and as nearly as possible the same number of each data set.

    >>> [rows_of_rank([5, 3], rank, 2) for rank in (0, 1)]
    [[range(0, 3), range(0, 1)], [range(3, 5), range(1, 3)]]
    """
    size = sum(rows)
    assert size % world_size == 0, (rows, world_size)
    where = np.concatenate([(np.arange(n) + 0.5) / n for n in rows])
    owner = np.repeat(np.arange(len(rows)), rows)[np.argsort(where, kind="stable")]
    begin, end = (r * size // world_size for r in (rank, rank + 1))
    return [range(int((owner[:begin] == i).sum()), int((owner[:end] == i).sum())) for i in range(len(rows))]


def shares_of_buffer(needs: Sequence[int], weights: Sequence[float], buffer_bytes: int) -> list[int]:
    """Memory for each data set: all that it needs where that is not more than its share, which goes by weight.

    >>> shares_of_buffer([10, 1000, 1000], [1, 1, 2], 400)
    [10, 130, 260]
    """
    shares = [0] * len(needs)
    todo, left = set(range(len(needs))), buffer_bytes
    while todo:
        total = sum(weights[i] for i in todo)
        small = {i for i in todo if needs[i] <= left * weights[i] / total}
        for i in small or todo:
            shares[i] = needs[i] if small else int(left * weights[i] / total)
        left -= sum(shares[i] for i in small)
        todo -= small or todo
    return shares
