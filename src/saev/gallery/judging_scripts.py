"""What latents are judged by, as `assets/judged.js` reads it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from saev.gallery.judged import Judged, Known, KnownLabels, KnownMasks
from saev.gallery.near_misses import NearMisses
from saev.pages.embedding import data_script

FAR = 255  # A byte of gaps that has another one after it.


def known_script(known: Known) -> str:
    """What is known of the pictures."""
    return data_script(
        {
            "images": known.images.astype("<u4"),
            "nImages": known.n_images,
            "labels": [_labels(one) for one in known.labels],
            "silence": known.silence,
            "masks": None if known.masks is None else _masks(known.masks),
        }
    )


def judged_value(judged: Judged) -> dict[str, Any]:
    """What a latent does."""
    return {
        "places": gaps(judged.places_p),
        "values": judged.values_p.astype("<f4"),
        "nFires": judged.n_fires,
        "silent": None if judged.silent is None else _silent(judged.silent, judged),
        "patches": None if judged.patches_jh is None else _patches(judged.patches_jh),
    }


def gaps(places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Ascending places as how many lie between two of them: bytes, of which 255 means as many, and the next byte more.

    >>> gaps(np.array([0, 1, 300])).tolist()
    [0, 0, 255, 43]
    """
    far, rest = np.divmod(np.diff(places, prepend=-1) - 1, FAR)
    found = np.full(int((far + 1).sum()), FAR, dtype=np.uint8)
    found[np.cumsum(far + 1) - 1] = rest
    return found


def _labels(one: KnownLabels) -> dict[str, Any]:
    return {
        "source": one.source,
        "family": one.family,
        "names": list(one.names),
        "numbers": one.numbers_i.astype("<i4"),
    }


def _masks(masks: KnownMasks) -> dict[str, Any]:
    return {
        "names": list(masks.names),
        "known": np.packbits(masks.is_known_i, bitorder="little"),
        "has": [np.packbits(has_i, bitorder="little") for has_i in masks.has_ij.T],
        "patches": None if masks.patches_j is None else masks.patches_j.tolist(),
    }


def _silent(silent: NearMisses, judged: Judged) -> dict[str, Any] | None:
    """Pre-activations in 255 steps from the lowest to the highest one; places only where pictures are left out."""
    if not len(silent.places_q):
        return None
    low, high = float(silent.values_q.min()), float(silent.values_q.max())
    levels_q = np.round((silent.values_q - low) / max(high - low, 1e-30) * 255).astype(np.uint8)
    n_patches = int(silent.patches_q.max()) + 1
    is_whole = len(judged.places_p) == judged.n_fires == judged.n - len(silent.places_q)
    return {
        "range": [low, high],
        "levels": levels_q,
        "patches": silent.patches_q.astype("<u1" if n_patches <= 256 else "<u2"),
        **({} if is_whole else {"places": gaps(silent.places_q)}),
    }


def _patches(patches_jh: npt.NDArray[np.int64]) -> list[Any]:
    """The first bin that is not empty, and of each label that occurs its number and its counts from there on."""
    filled = np.flatnonzero(patches_jh.any(0))
    if not len(filled):
        return [0, []]
    first, stop = int(filled[0]), int(filled[-1]) + 1
    labels = np.flatnonzero(patches_jh.any(1)).tolist()
    return [first, [[label, patches_jh[label, first:stop].tolist()] for label in labels]]
