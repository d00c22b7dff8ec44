"""Pictures that do not fit a claim, and on which latents are the most likely to fire all the same.

Shape suffixes: n = pictures to choose from, l = latents, d = width of an activation.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.metrics.neighbours import nearest
from saev.nn import SparseAutoencoder
from saev.progress import progress_bar
from saev.ranges import Ints
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

N_NEIGHBOURS: Final = 5
"""Latents with the nearest decoder vectors, of each latent."""
LARGEST_SHARE: Final = 0.25
"""Of the pictures that do not fit: of more, one could not call them hard."""
_AT_ONCE: Final = 64
Bools = NDArray[np.bool_]


def of_same_class(fits_n: Bools, class_n: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Places of pictures that do not fit, of classes of which others do: at random, each class as often as those.

    Args:
        fits_n: Whether a picture fits the claim.
        class_n: Its class; -1 where that is not known.
        n: At most so many.

    >>> of_same_class(np.array([True, False, False]), np.array([3, 3, 4]), 9, np.random.default_rng(0)).tolist()
    [1]
    """
    n_classes = int(class_n.max(initial=-1)) + 1
    fitting, others = (
        np.bincount(class_n[(class_n >= 0) & kind_n], minlength=n_classes) for kind_n in (fits_n, ~fits_n)
    )
    share = np.append(fitting / np.maximum(others, 1), 0.0)  # the last one is that of -1
    p_n = np.where(fits_n, 0.0, share[class_n])
    may = np.flatnonzero(p_n)
    if not len(may):
        return may
    return rng.choice(may, min(n, len(may)), replace=False, p=p_n[may] / p_n.sum())


def mean_activations(reader: ShardReader, images: Ints) -> NDArray[np.floating[Any]]:
    """The mean activation of the patches of each picture, float32 (n, d), seen from that of all these pictures.

    All means lie far from 0 on one side of it, so that without the latter all their cosines are near 1.

    Args:
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


def nearest_pictures(fits_n: Bools, means_nd: NDArray[np.floating[Any]], n: int) -> Ints:
    """Places of the pictures that do not fit and lie nearest to one that does, the nearest first.

    What the latents do on them plays no part: of pictures that were chosen because the latents are silent on them,
    nobody could say that they do not speak against the claim.

    Args:
        fits_n: Whether a picture fits the claim.
        means_nd: As `mean_activations` gives them.
        n: At most so many, and at most `LARGEST_SHARE` of those that do not fit.
    """
    fitting, others = np.flatnonzero(fits_n), np.flatnonzero(~fits_n)
    cosine = nearest(torch.from_numpy(means_nd[others]), torch.from_numpy(means_nd[fitting])).cosines[:, 0].numpy()
    return others[np.argsort(-cosine, kind="stable")[: at_most(len(others), n)]]


def neighbours_of(sae: SparseAutoencoder, latents: Sequence[int]) -> dict[int, float]:
    """Latents whose decoder vectors are near to those of some latents, without these, each with its largest cosine.

    They are the `N_NEIGHBOURS` nearest of each, as far as their cosines are above 0, the nearest of all first.
    """
    own = torch.tensor(latents)
    rows = sae.W_dec.detach()
    found = nearest(rows[own], rows, N_NEIGHBOURS + len(latents), own)
    cosine: dict[int, float] = {}
    for numbers, cosines in zip(found.numbers.tolist(), found.cosines.tolist(), strict=True):
        others = [pair for pair in zip(numbers, cosines, strict=True) if pair[0] not in latents and pair[1] > 0]
        for latent, value in others[:N_NEIGHBOURS]:
            cosine[latent] = max(value, cosine.get(latent, 0.0))
    return dict(sorted(cosine.items(), key=lambda one: -one[1]))


def of_neighbours(fits_n: Bools, pooled_nl: csc_array, cosine_l: Sequence[float], n: int) -> Ints:
    """Places of the pictures that do not fit and on which one of the latents fires the most, from the most on.

    A latent's values count in units of its largest one, times its cosine. Pictures on which all are silent are not
    chosen.

    Args:
        fits_n: Whether a picture fits the claim.
        pooled_nl: Values of neighbours, none below 0.
        cosine_l: How near they are.
        n: At most so many, and at most `LARGEST_SHARE` of those that do not fit.

    >>> fits = np.array([True, False, False, False, False])
    >>> of_neighbours(fits, csc_array([[9.0], [0], [2], [0], [3]]), [0.4], n=9).tolist()
    [4]
    """
    x_nl = pooled_nl.toarray().astype(np.float64)
    strength_nl = x_nl / np.where(x_nl.max(axis=0) > 0, x_nl.max(axis=0), 1.0) * np.asarray(cosine_l)
    strength_n = strength_nl.max(axis=1, initial=0.0)
    may = np.flatnonzero(~fits_n & (strength_n > 0))
    return may[np.argsort(-strength_n[may], kind="stable")[: at_most(int((~fits_n).sum()), n)]]


def at_most(n_others: int, n: int) -> int:
    """How many of the pictures that do not fit are taken."""
    return min(n, int(np.ceil(LARGEST_SHARE * n_others)))
