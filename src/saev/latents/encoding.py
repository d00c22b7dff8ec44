"""Codes of recorded images, in batches of bounded size, wherever they come from.

Shape suffixes: b = images of a batch, t = tokens of an image, d = d_in, s = d_sae.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from saev.latents.sparse import SparseCodes, Spots
from saev.nn import SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.progress import progress_bar
from saev.shards.format.strict_json import canonical_digest
from saev.shards.tokens import TokenSelection
from saev.vit.weights import weights_digest

Images = Sequence[int] | NDArray[np.int64]


class ImageCodes(ABC):
    """The codes of an SAE on the images of a recording, by the numbers of the images.

    Args:
        spots: Which tokens of an image are encoded.
        grid: Patches of an image as (rows, columns).
    """

    def __init__(self, d_sae: int, spots: Spots, grid: tuple[int, int]) -> None:
        self.d_sae, self.spots, self.grid = d_sae, spots, grid

    @abstractmethod
    def batches(self, images: Images, what: str | None) -> Iterator[tuple[NDArray[np.int64], SparseCodes]]:
        """The numbers (b,) of some images, ascending, and their codes, so many at a time as memory is meant for.

        Args:
            what: Names the progress bar; None shows none.

        Raises:
            InputError: If a code is not finite, or a file is damaged.
        """

    def each(self, images: Images, what: str | None) -> Iterator[tuple[int, SparseCodes]]:
        """One image after the other, as `batches`."""
        for ids_b, codes in self.batches(images, what):
            yield from zip(ids_b.tolist(), codes.images(), strict=True)


@final
class Encoding(ImageCodes):
    """Codes that are computed when they are asked for.

    Args:
        tokens: The recording, and which of the tokens: all of these are encoded, also those that training ignores.
    """

    def __init__(self, sae: SparseAutoencoder, tokens: TokenSelection) -> None:
        layout = tokens.reader.layout.tokens
        super().__init__(sae.d_sae, Spots.of(tokens.positions, layout), layout.grid)
        self.sae, self.tokens = sae, tokens

    @override
    def batches(self, images: Images, what: str | None) -> Iterator[tuple[NDArray[np.int64], SparseCodes]]:
        return ((ids_b, codes) for _, ids_b, codes in together({"": self}, images, what))


def together(
    codes: Mapping[str, ImageCodes], images: Images, what: str | None
) -> Iterator[tuple[str, NDArray[np.int64], SparseCodes]]:
    """What `ImageCodes.batches` gives for each of several SAEs, by name; what is encoded is read once for all.

    Args:
        codes: By name; those that are encoded are of one recording, and SAEs of one width.
    """
    encoded = {name: one for name, one in codes.items() if isinstance(one, Encoding)}
    for name, one in codes.items():
        if name not in encoded:
            yield from ((name, ids_b, part) for ids_b, part in one.batches(images, what))
    if encoded:
        yield from _encoded(encoded, np.asarray(images, dtype=np.int64), what)


def sae_digest(sae: SparseAutoencoder) -> str:
    """SHA-256, in hex, over what determines an SAE's codes: architecture, options and weights."""
    own = {"architecture": type(sae).__name__, "d_in": sae.d_in, "options": sae.options()}
    return canonical_digest(own | {"weights": weights_digest(sae)})


@torch.no_grad()
def _encoded(
    codes: Mapping[str, Encoding], images: NDArray[np.int64], what: str | None
) -> Iterator[tuple[str, NDArray[np.int64], SparseCodes]]:
    tokens = replace(next(iter(codes.values())).tokens, examples=images, kept=None)
    per_batch = images_at_once(max(one.d_sae for one in codes.values()), len(tokens.positions))
    with progress_bar(total=len(images), desc=what, unit=" images", disable=what is None) as progress:
        for start in range(0, len(images), per_batch):
            ids_b = images[start : start + per_batch]
            x_btd = torch.cat(list(tokens.read(ids_b)))
            for name, one in codes.items():
                for part, found in SparseCodes.parts(one.sae.encode(x_btd.to(one.sae.mean_d.device))):
                    yield name, ids_b[part], found
            progress.update(len(ids_b))
