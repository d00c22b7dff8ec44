"""What is known of each picture, as scripts that hold `CHUNK` pictures each: a page loads those that it looks at.

Shape suffixes: i = images of the recording, p = patches, r = runs.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.pages.embedding import ascii_json

CHUNK: Final = 256
LONGEST_RUN: Final = 255


@final
@dataclass(frozen=True)
class Masks:
    """Labels of patches.

    Args:
        names: What the numbers mean.
        numbers_ip: (images of the recording, patches) uint8, places in `names`; `NO_LABEL` for none.
    """

    names: Sequence[str]
    numbers_ip: NDArray[np.uint8]


def mask_scripts(masks: Masks, images: Sequence[int]) -> Iterator[str]:
    """The labels of patches of some pictures, in their order, each as runs: the label's number, then how many follow.

    Args:
        masks: Those of all images.
        images: Ids of the pictures.
    """
    for start in range(0, len(images), CHUNK):
        own = images[start : start + CHUNK]
        rows = [base64.b64encode(runs(masks.numbers_ip[image])).decode("ascii") for image in own]
        yield f"saevTake({ascii_json(rows)});\n"


def mask_bytes(masks: Masks, image: int) -> int:
    """Upper bound of what a picture takes in these scripts."""
    return 2 * len(runs(masks.numbers_ip[image])) + 8


def runs(numbers_p: NDArray[np.uint8]) -> bytes:
    """Pairs of a number and how often it stands there, at most 255 times.

    >>> list(runs(np.array([7, 7, 7, 0, *[9] * 300], dtype=np.uint8)))
    [7, 3, 0, 1, 9, 255, 9, 45]
    """
    starts_r = np.concatenate([[0], np.flatnonzero(np.diff(numbers_p)) + 1])
    counts_r = np.diff(starts_r, append=len(numbers_p))
    parts_r = np.maximum(1, -(-counts_r // LONGEST_RUN))  # long runs come in parts
    lengths = np.full(parts_r.sum(), LONGEST_RUN)
    lengths[np.cumsum(parts_r) - 1] = counts_r - (parts_r - 1) * LONGEST_RUN
    return np.stack([np.repeat(numbers_p[starts_r], parts_r), lengths], axis=1).astype(np.uint8).tobytes()
