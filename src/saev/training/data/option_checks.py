"""Checks of the options of the training data that need no look at the shards."""

import math
from collections.abc import Sequence
from typing import Final

from saev.errors import InputError
from saev.threads import check_threads

LONGEST: Final = 10**9  # seconds; the system waits for no longer


def check_numbers(
    *,
    n_tokens: int,
    batch_size: int,
    n_val_tokens: int,
    buffer_gib: float | None,
    val_share: float,
    share: float,
    threads: int,
    timeout: float,
    seed: int,
) -> None:
    """Raise InputError for a number out of its range."""
    if not 1 <= batch_size <= n_tokens:
        raise InputError(f"n_tokens={n_tokens} must be at least one batch, batch_size={batch_size}, of 1 or more")
    if n_val_tokens < 1 or (buffer_gib is not None and not 0 < buffer_gib < math.inf):
        raise InputError(f"n_val_tokens={n_val_tokens} and buffer_gib={buffer_gib} must be above 0")
    if not 0 <= val_share < 1:
        raise InputError(f"val_share={val_share} must be at least 0 and below 1")
    if not 0 < share <= 1:
        raise InputError(f"share={share} must be above 0 and at most 1")
    check_threads("threads", threads)
    if not 0 < timeout <= LONGEST:
        raise InputError(f"timeout={timeout} must be above 0 and at most {LONGEST}")
    if seed < 0:
        raise InputError(f"seed={seed} must be 0 or more")


def check_weights(weights: Sequence[float] | None, n_shards: int, batch_size: int) -> None:
    """Raise InputError for weights that are not one positive number for each directory, and for too small batches."""
    if weights is not None and (len(weights) != n_shards or not all(0 < weight < math.inf for weight in weights)):
        raise InputError(f"weights={list(weights)} must be one number above 0 for each of the {n_shards} shards")
    if batch_size < n_shards:
        raise InputError(f"batch_size={batch_size} is less than a token of each of the {n_shards} shards: raise it")


def checked_labels(labels: list[int], tokens: str) -> list[int]:
    """The labels to ignore.

    Raises:
        InputError: For one that cannot be, and where tokens have none.
    """
    wrong = [label for label in labels if not 0 <= label <= 255]
    if wrong:
        raise InputError(f"ignore_labels {wrong}: labels are 0 to 255")
    if labels and tokens not in ("content", "all"):
        raise InputError(f"ignore_labels={labels}: {tokens} tokens have no labels: leave it out, or train on patches")
    return labels
