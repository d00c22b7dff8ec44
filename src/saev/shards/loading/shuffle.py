"""The order of training tokens: a pure function of sizes, seed and epoch.

The selected examples are cut into blocks that lie together on disk, the blocks are shuffled and dealt into pools
that fit the buffer, and all tokens of a pool are shuffled. Where everything fits one pool, an epoch is a uniform
permutation of all tokens; beyond that a batch mixes tokens from all blocks of one pool.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ShufflePlan:
    """Sizes that fix the order of the tokens.

    Args:
        n_examples: Selected examples, numbered from 0.
        tokens_per_example: Selected tokens of each.
        pool_examples: Examples whose tokens are shuffled together; at least block_examples.
        block_examples: Neighbouring examples that are read together.
        seed: Another seed is another order.
    """

    n_examples: int
    tokens_per_example: int
    pool_examples: int
    block_examples: int
    seed: int

    def __post_init__(self) -> None:
        assert self.n_examples > 0 and self.tokens_per_example > 0
        assert self.pool_examples >= self.block_examples > 0

    @property
    def n_tokens(self) -> int:
        """Tokens of one epoch."""
        return self.n_examples * self.tokens_per_example

    @property
    def n_pools(self) -> int:
        """Pools of one epoch."""
        n_blocks = -(-self.n_examples // self.block_examples)
        return -(-n_blocks // (self.pool_examples // self.block_examples))

    def pool(self, epoch: int, pool: int) -> Ints:
        """The examples of a pool, ascending."""
        return _pools(self, epoch)[pool]

    def bounds(self, epoch: int) -> Ints:
        """Where each pool starts among the tokens of the epoch, and at the end their number."""
        sizes = [len(members) * self.tokens_per_example for members in _pools(self, epoch)]
        return np.cumsum([0, *sizes], dtype=np.int64)

    def order(self, epoch: int, pool: int, n_pool_tokens: int) -> Ints:
        """The order in which a pool's tokens leave, as a permutation of their places in the pool."""
        rng = np.random.default_rng([self.seed, epoch, pool])
        return rng.permutation(n_pool_tokens).astype(np.int64, copy=False)


@lru_cache(maxsize=2)
def _pools(plan: ShufflePlan, epoch: int) -> list[Ints]:
    """The examples of every pool of an epoch."""
    n_blocks = -(-plan.n_examples // plan.block_examples)
    order = np.random.default_rng([plan.seed, epoch]).permutation(n_blocks)
    per_pool = plan.pool_examples // plan.block_examples
    pools = []
    for blocks in np.split(order, range(per_pool, n_blocks, per_pool)):
        members = np.sort(blocks)[:, None] * plan.block_examples + np.arange(plan.block_examples)
        pools.append(members[members < plan.n_examples].astype(np.int64))
    return pools


def random_subset(n_examples: int, size: int, seed: int) -> Ints:
    """A random choice of examples, ascending. A larger size with the same seed contains the smaller one's.

    >>> random_subset(10, 3, seed=0).tolist()
    [1, 4, 7]
    """
    order = np.random.default_rng([seed, n_examples]).permutation(n_examples)
    return np.sort(order[:size]).astype(np.int64)
