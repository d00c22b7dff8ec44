"""Codes of recorded images, in batches of bounded size.

Shape suffixes: b = images of a batch, t = tokens of an image, d = d_in, s = d_sae.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from saev.nn import SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.shards.tokens import TokenSelection


def encoded(
    saes: Sequence[SparseAutoencoder], tokens: TokenSelection, what: str
) -> Iterator[tuple[NDArray[np.int64], Iterator[Tensor]]]:
    """Image ids (b,) and, for one SAE after the other, the codes (b, t, s) of a selection's images.

    Each image is read once for all SAEs; the codes of one SAE are to be done with before the next one's are asked for.

    Args:
        saes: SAEs of one width.
        tokens: Images and which of their tokens; all of these are encoded, also those that training ignores.
        what: Names the progress bar.
    """
    per_batch = images_at_once(max(sae.d_sae for sae in saes), len(tokens.positions))
    with tqdm(total=len(tokens.examples), desc=what, unit=" images") as progress:
        for start in range(0, len(tokens.examples), per_batch):
            ids_b = tokens.examples[start : start + per_batch]
            x_btd = torch.cat(list(tokens.read(ids_b)))
            yield ids_b, _codes(saes, x_btd)
            progress.update(len(ids_b))


@torch.no_grad()
def _codes(saes: Sequence[SparseAutoencoder], x_btd: Tensor) -> Iterator[Tensor]:
    for sae in saes:
        yield sae.encode(x_btd.to(sae.mean_d.device))
