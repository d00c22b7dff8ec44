"""A picture as the backbone sees it: the mean of its recorded activations.

Shape suffixes: n = pictures, d = width of the model.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.progress import progress_bar
from saev.ranges import Ints
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

_AT_ONCE: Final = 64


def mean_activations(reader: ShardReader, images: Ints) -> NDArray[np.floating[Any]]:
    """The mean activation of the patches of each picture, float32 (n, d), seen from that of all these pictures.

    All means lie far from 0 on one side of it, so that without the latter all their cosines are near 1.

    Args:
        reader: The recording.
        images: (n,) numbers of pictures, ascending.

    Raises:
        InputError: If a shard is damaged.
    """
    tokens = TokenSelection.of([reader], images, "content")
    found = [np.empty((0, reader.layout.d_model), dtype=np.float32)]
    with progress_bar(total=len(images), desc="mean activations", unit=" pictures") as bar:
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            found.append(torch.cat([x_btd.mean(1) for x_btd in tokens.read(part)]).numpy())
            bar.update(len(part))
    means_nd = np.concatenate(found)
    centred: NDArray[np.floating[Any]] = means_nd - means_nd.mean(axis=0) if len(means_nd) else means_nd
    return centred
