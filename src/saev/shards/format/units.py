"""Unit arithmetic: the tokens of an example are hashed in short runs, too, so that a few of them can be verified alone.

Training reads tens to hundreds of KB of one example at a time; to verify them by blocks of 4 MiB would read many times
as much.
"""

from collections.abc import Iterator
from typing import Final

from saev.shards.format.layout import ShardLayout, TokenLayout

UNITS_FILE: Final = "units.xxh3"
UNIT_BYTES: Final = 16 * 2**10
HASH_BYTES: Final = 8


def unit_bounds(tokens: TokenLayout, bytes_per_token: int) -> tuple[int, ...]:
    """The token positions where units begin, ascending from 0, and tokens.n_tokens.

    A unit holds either CLS and registers or patches. It has about UNIT_BYTES, less than UNIT_BYTES and one token, and
    the units of patches differ by at most one token, as do those before them.

    >>> unit_bounds(TokenLayout(cls=True, n_registers=0, grid=(3, 3)), UNIT_BYTES // 3)
    (0, 1, 4, 7, 10)
    """
    groups = _groups(tokens, bytes_per_token)
    return (*(start + i * n // n_units for start, n, n_units in groups for i in range(n_units)), tokens.n_tokens)


def unit_hash_bytes(layout: ShardLayout) -> int:
    """Bytes that the hashes of one example take in UNITS_FILE; no loop, the layout may be nonsense.

    >>> unit_hash_bytes(ShardLayout(7, TokenLayout(cls=True, n_registers=0, grid=(3, 3)), 8192, "int8", 7))
    48
    """
    return HASH_BYTES * sum(n_units for _, _, n_units in _groups(layout.tokens, layout.bytes_per_token))


def _groups(tokens: TokenLayout, bytes_per_token: int) -> Iterator[tuple[int, int, int]]:
    """First token, tokens and units of what comes before the patches, and of the patches."""
    for start, n in ((0, tokens.n_prefix), (tokens.n_prefix, tokens.n_content)):
        yield start, n, min(n, -(-n * bytes_per_token // UNIT_BYTES))
