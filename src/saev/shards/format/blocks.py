"""Block arithmetic: files are hashed in blocks of 4 MiB, so that a read verifies just what it touches."""

BLOCK_BYTES = 4 * 2**20


def n_blocks(n_bytes: int) -> int:
    """How many blocks a file of `n_bytes` has.

    >>> n_blocks(BLOCK_BYTES), n_blocks(BLOCK_BYTES + 1)
    (1, 2)
    """
    return -(-n_bytes // BLOCK_BYTES)


def blocks_touched(start: int, stop: int) -> range:
    """The blocks that hold the bytes from `start` up to, not including, `stop`.

    >>> blocks_touched(BLOCK_BYTES - 1, BLOCK_BYTES + 1)
    range(0, 2)
    """
    assert 0 <= start <= stop, (start, stop)
    return range(start // BLOCK_BYTES, n_blocks(stop)) if start < stop else range(0)


def block_span(block: int, n_bytes: int) -> tuple[int, int]:
    """First byte and end of a block in a file of `n_bytes`; the last block may be short.

    >>> block_span(1, BLOCK_BYTES + 10)
    (4194304, 4194314)
    """
    assert 0 <= block < n_blocks(n_bytes), (block, n_bytes)
    return block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, n_bytes)
