"""Codes of recorded images that stay in memory once they were asked for."""

from collections.abc import Iterator
from itertools import groupby
from threading import Event
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from saev.latents.encoding import ImageCodes, Images
from saev.latents.sparse import SparseCodes

KEPT_BYTES: Final = 2**30


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nobody wants the codes any more."""


@final
class RememberedCodes(ImageCodes):
    """The codes of some others, of which so many bytes are kept as come first; without progress bars.

    Args:
        n_bytes: Upper bound of what is kept.

    Attributes:
        n_given: Images that were given so far.
        stop: When it is set, `batches` raises `Stopped` at the next batch.
    """

    def __init__(self, codes: ImageCodes, n_bytes: int = KEPT_BYTES) -> None:
        super().__init__(codes.d_sae, codes.spots, codes.grid)
        self._codes = codes
        self.n_given, self.stop, self._left = 0, Event(), n_bytes
        self._kept: dict[int, SparseCodes] = {}

    @override
    def batches(self, images: Images, what: str | None) -> Iterator[tuple[NDArray[np.int64], SparseCodes]]:
        wanted = [(int(image), int(image) in self._kept) for image in images]
        for is_kept, several in groupby(wanted, lambda one: one[1]):
            ids = np.array([image for image, _ in several], dtype=np.int64)
            found = ((ids[i : i + 1], self._kept[int(ids[i])]) for i in range(len(ids)))
            for ids_b, part in found if is_kept else self._codes.batches(ids, None):
                if self.stop.is_set():
                    raise Stopped
                if not is_kept:
                    self._keep(ids_b, part)
                self.n_given += len(ids_b)
                yield ids_b, part

    def _keep(self, ids_b: NDArray[np.int64], part: SparseCodes) -> None:
        """Keep a whole batch, whose images share its memory, or nothing of it."""
        n_bytes = part.starts_r.nbytes + part.latents_n.nbytes + part.values_n.nbytes
        if n_bytes <= self._left:
            self._left -= n_bytes
            self._kept.update(zip(ids_b.tolist(), part.images(), strict=True))
