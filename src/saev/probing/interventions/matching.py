"""Other latents to compare with: drawn at random among those that fire on about as many pictures.

Shape suffixes: r = draws, l = latents, s = d_sae.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError

AMONG: Final = 100
"""How many latents of the nearest frequency one is drawn from."""


def matched_latents(
    latents: Sequence[int], frequency_s: NDArray[np.floating], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Random latents (r, l), each in the place of one of the given ones, which occur in none of the draws.

    Args:
        latents: Each once.
        frequency_s: (s,) share of the pictures on which each latent fires.
        n: Draws.

    Raises:
        InputError: If there are not as many others.

    >>> matched_latents([0], np.array([0.5, 0.5, 0.1]), 2, np.random.default_rng(0)).shape
    (2, 1)
    """
    others = rng.permutation(np.setdiff1d(np.arange(len(frequency_s)), latents))  # chance decides among equals
    if len(others) < len(latents):
        raise InputError(
            f"{len(latents)} of {len(frequency_s)} latents are changed: the {len(others)} others are too few to "
            "compare with, change fewer"
        )
    among = max(AMONG, len(latents))
    near_l = [
        others[np.argsort(np.abs(frequency_s[others] - frequency_s[latent]), kind="stable")][:among]
        for latent in latents
    ]
    return np.array([_one_draw(near_l, rng) for _ in range(n)], dtype=np.int64).reshape(n, len(latents))


def _one_draw(near_l: Sequence[NDArray[np.int64]], rng: np.random.Generator) -> list[int]:
    """One of each list, none twice: each list is as long as there are lists, or has all there are."""
    drawn: list[int] = []
    for near in near_l:
        free = np.setdiff1d(near, drawn)
        drawn.append(int(rng.choice(free)))
    return drawn
