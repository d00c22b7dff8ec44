"""What the page judges latents by, as plain arrays: labels of pictures, and what a latent does on them.

Pictures are numbered by their places among those that are judged by. Labels are called as `saev.probing` calls them.

Shape suffixes: i = pictures that are judged by, j = labels of patches, p = pictures on which a latent fires, q =
pictures on which it is silent, h = bins of values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.gallery.near_misses import NearMisses
from saev.latents.labels import Labels
from saev.vit.images.base import NO_LABEL

MAX_FIRES: Final = 4096
"""Pictures of a latent on its page, the strongest ones."""
Ints = NDArray[np.int64]


@final
@dataclass(frozen=True)
class KnownLabels:
    """Labels of which a picture has one."""

    source: str  # "label", or "metadata".
    family: str  # The column of the table, or "label".
    names: Sequence[str]  # What `saev.probing` calls them.
    numbers_i: Ints  # Their places in `names`; -1 where it is not known, len(names) for none of these.


@final
@dataclass(frozen=True)
class KnownMasks:
    """Labels of patches of which a picture may have several."""

    names: Sequence[str]  # What they are called.
    has_ij: NDArray[np.bool_]  # Whether a picture has patches of each.
    is_known_i: NDArray[np.bool_]  # Whether any of its patches has a label.
    patches_j: Ints | None
    """Patches with each label, of all pictures that were looked at; None where they were not counted."""


@final
@dataclass(frozen=True)
class Known:
    """What is known of the pictures that latents are judged by."""

    images: Ints  # (i,) their ids, ascending.
    n_images: int  # Pictures that were looked at: more than these if their values were too many.
    labels: Sequence[KnownLabels]  # Labels of pictures.
    masks: KnownMasks | None  # Labels of their patches, where there are any.
    silence: str  # When latents are silent, in a sentence.

    @classmethod
    def of(cls, labels: Labels, images: Ints, n_images: int, patches_j: Ints | None, silence: str) -> Self:
        """What labels say of some images, by their numbers in the recording."""
        found = [KnownLabels("label", "label", labels.names, labels.numbers[images])] if labels.names else []
        for column in labels.counted:
            if column.kind == "boolean":
                truth_i = np.nan_to_num(1 - column.floats()[images], nan=-1).astype(np.int64)
                found.append(KnownLabels("metadata", column.name, [column.name], truth_i))
            else:
                names = [f"{column.name}={value}" for value in column.values]
                found.append(KnownLabels("metadata", column.name, names, column.numbers_i[images]))
        return cls(images, n_images, found, _masks(labels, images, patches_j), silence)


@final
@dataclass(frozen=True)
class Judged:
    """What a latent does on the pictures that it is judged by."""

    places_p: Ints  # Those on which it fires, ascending, or the `MAX_FIRES` strongest ones.
    values_p: NDArray[np.float32]  # float32, its largest value there.
    n_fires: int  # On how many it fires.
    n: int  # How many pictures it is judged by.
    silent: NearMisses | None = None  # Its pre-activations on others.
    patches_jh: Ints | None = None
    """Patches on which it fires, by label and by quarters of an octave of its values; None where that is not known."""
    shown: frozenset[int] = frozenset()  # Ids of hits and false alarms that are shown in any case.
    near: frozenset[int] = frozenset()  # Ids of misses likewise.


def _masks(labels: Labels, images: Ints, patches_j: Ints | None) -> KnownMasks | None:
    if labels.patch_numbers is None:
        return None
    seen_ij = np.zeros((len(images), NO_LABEL + 1), dtype=np.bool_)
    for place, image in enumerate(images.tolist()):
        seen_ij[place, labels.patch_numbers[image]] = True
    n = len(labels.patch_names)
    known_i: NDArray[np.bool_] = np.any(seen_ij[:, :NO_LABEL], axis=1)
    return KnownMasks(labels.patch_names, seen_ij[:, :n], known_i, patches_j)
