"""Which parts of a picture a latent rests on: its value where it was largest, with one part after the other filled.

Shape suffixes: b = pictures of a batch, q = tokens that the SAE takes, n = blocks of patches in row-major order.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from PIL import Image

from saev.serving.live_sae import LiveSae
from saev.serving.turn import Turn, Wanted, always
from saev.serving.variants import variant

BATCH: Final = 16
"""Pictures that pass the ViT together; others may be computed between two batches."""


def occlusion(
    sae: LiveSae, view: Image.Image, latent: int, block: int, lock: Turn, is_wanted: Wanted = always
) -> dict[str, Any]:
    """How the value of a latent changes at its strongest patch when squares of patches get the picture's mean colour.

    Args:
        sae: The SAE behind its ViT.
        view: The picture as the ViT saw it.
        block: Rows and columns of patches of a square; those at the right and lower end may be smaller.
        lock: Held while a batch is computed.
        is_wanted: Asked before each batch.

    Returns:
        {"value" of the untouched picture, "patch" where that is, null where the SAE takes no patches, "rows" and
        "columns" of squares, "values" there with each of these filled, "seconds"}.

    Raises:
        InputError: As `LiveSae.see_view`.
        Left: If it is not wanted any more.
    """
    begun = time.monotonic()
    with lock.of(is_wanted):
        (before_q,) = sae.values([view], latent)
    ranked_q = before_q[sae.patches] if len(before_q[sae.patches]) else before_q
    place = int(ranked_q.argmax())
    token = place + (sae.patches.start if len(before_q[sae.patches]) else 0)
    squares = list(_squares(sae.grid, block))
    values: list[float] = []
    for start in range(0, len(squares), BATCH):
        filled = [variant(view, "cut_out", own, sae.grid) for own in squares[start : start + BATCH]]
        with lock.of(is_wanted):
            values += sae.values(filled, latent)[:, token].tolist()
    return {
        "value": float(before_q[token]),
        "patch": place if len(before_q[sae.patches]) else None,
        "rows": -(-sae.grid[0] // block),
        "columns": -(-sae.grid[1] // block),
        "values": [float(f"{value:.5g}") for value in values],
        "seconds": round(time.monotonic() - begun, 2),
    }


def _squares(grid: tuple[int, int], block: int) -> Iterator[list[int]]:
    patches = np.arange(grid[0] * grid[1]).reshape(grid)
    for row in range(0, grid[0], block):
        for column in range(0, grid[1], block):
            yield patches[row : row + block, column : column + block].reshape(-1).tolist()
