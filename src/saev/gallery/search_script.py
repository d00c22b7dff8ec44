"""What the search of the overview finds beside what it shows: file names and labels, loaded when somebody searches."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.gallery.data import N_SMALL, LatentPage
from saev.gallery.labels import MAX_Q
from saev.gallery.scripts import packed_script

SEARCH_ENTRY: Final = 96
"""Bytes of what is said of a latent with nine pictures and a dozen labels."""


@final
class SearchIndex:
    """The strongest pictures and the labels of latents that have a page.

    Labels are those that are more frequent than everywhere and no chance, of all kinds.
    """

    def __init__(self) -> None:
        self._images: dict[int, list[int]] = {}
        self._labels: dict[int, list[int]] = {}
        self._names: dict[str, int] = {}

    def add(self, page: LatentPage) -> None:
        """Take what a page says."""
        self._images[page.index] = [one.image_id for one in page.best[:N_SMALL]]
        counts = [*page.labels, *page.patch_labels, *(one for column in page.columns.values() for one in column)]
        told = dict.fromkeys(one.label for one in counts if one.q <= MAX_Q and one.lift > 1)
        self._labels[page.index] = [self._names.setdefault(label, len(self._names)) for label in told]

    def script(self, images: Sequence[int]) -> str:
        """The latents; how many pictures each has, and their places among `images`, ascending; likewise its labels."""
        place = {image: number for number, image in enumerate(images)}
        return packed_script(
            {
                "latents": np.array(list(self._images), dtype="<u4"),
                "pictures": _lists({i: [place[one] for one in own] for i, own in self._images.items()}),
                "labels": _lists(self._labels),
                "names": list(self._names),
            }
        )


def _lists(lists: Mapping[int, Sequence[int]]) -> list[NDArray[np.unsignedinteger]]:
    """How many each latent has, and all of them."""
    flat = [one for own in lists.values() for one in own]
    return [np.array([len(own) for own in lists.values()], dtype="<u2"), np.array(flat, dtype="<u4")]
