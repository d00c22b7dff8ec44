"""The pictures of a report: from the files of a set and from codes.

Shape suffixes: k = pictures of the set, p = patches of a picture.
"""

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, final

import numpy as np
from PIL import Image

from saev.errors import InputError
from saev.latents.heatmaps import quantise
from saev.pages.embedding import jpeg
from saev.pages.heatmap import overlay_table
from saev.probing.report.reported import Kind, ShownPairs, ShownPicture, chosen, evenly, kinds_of
from saev.probing.sets.files import read_picture
from saev.probing.sets.image_set import SetPicture
from saev.probing.sets.paired_set import read_pair_picture
from saev.probing.statistics.arrays import Floats
from saev.probing.verdicts.all_codes import AllCodes
from saev.probing.verdicts.edit_effects import PairValues
from saev.probing.verdicts.given_sets import GivenSet
from saev.probing.verdicts.values import SetValues
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing

log = logging.getLogger(__name__)

LONGEST_SIDE: Final = 224
"""Of a picture, in pixels."""
PAIRS_OF_EACH: Final = 4
"""That are shown of an edit."""


@final
@dataclass(frozen=True)
class Gatherer:
    """Makes pictures of what latents do on sets."""

    codes: AllCodes  # Of the recording, and of pictures that were never recorded.
    preprocessing: Preprocessing  # Of the recording: what the ViT saw of a picture.
    faults: list[str] = field(default_factory=list)  # Why pictures are shown as grey tiles.

    def kinds(self, values: SetValues, directory: Path, most: int) -> tuple[Kind, ...]:
        """The pictures that show what the latents of a hypothesis do, in kinds.

        Args:
            most: How many pictures are shown.

        Raises:
            InputError: If a file of codes is damaged. A picture that is gone is one of `faults`, and shown grey.
        """
        shown = chosen(values, most)
        places = np.unique(np.concatenate([*shown.values(), np.empty(0, np.int64)])).astype(np.int64)
        pictures = [(one.image, one.sha256) for one in map(values.made.pictures.__getitem__, places.tolist())]
        on_patches = self.codes.on_patches(values.hypothesis.latents, pictures)
        maps = dict(zip(places.tolist(), on_patches, strict=True))
        # Level 255 is the largest value among them: heatmaps of one hypothesis compare.
        top = max((float(value_p.max()) for value_p in maps.values() if value_p.size), default=0.0)
        n_k = {title: int(mask_k.sum()) for title, mask_k in kinds_of(values).items()}
        return tuple(
            Kind(title, n_k[title], tuple(self._shown(values, directory, int(k), maps[int(k)], top) for k in some))
            for title, some in shown.items()
        )

    def pairs(self, edits: Sequence[PairValues], given: GivenSet, most: int) -> tuple[ShownPairs, ...]:
        """Pairs that show what edits do to the latents of a hypothesis.

        Args:
            edits: The hypothesis on the pairs of each edit.
            given: The hypothesis and its set.
            most: How many pictures there is room for; two thirds of it are for pairs.

        Raises:
            InputError: If a file of codes is damaged.
        """
        n = min(PAIRS_OF_EACH, 2 * most // (9 * max(1, len(edits))))
        chosen = [evenly(np.argsort(one.after_q - one.before_q, kind="stable"), n).tolist() for one in edits]
        wanted = {
            sha256
            for one, places in zip(edits, chosen, strict=True)
            for place in places
            for sha256 in one.edit.files(one.edit.pairs[place]).values()
        }
        on_patches = self.codes.on_patches(given.hypothesis.latents, [(None, sha256) for sha256 in wanted])
        maps = dict(zip(wanted, on_patches, strict=True))
        top = max((float(value_p.max()) for value_p in maps.values() if value_p.size), default=0.0)

        def shown(one: PairValues, place: int) -> tuple[ShownPicture, ...]:
            pair = one.edit.pairs[place]
            values = ("original", one.before_q), (one.edit.name, one.after_q), ("placebo", one.placebo_q)
            return tuple(
                ShownPicture(
                    pair.name, float(value_q[place]), (which,),
                    self._read(partial(_pair_picture, given.directory, file, sha256)),
                    self._heat(maps[sha256], top),
                )
                for (file, sha256), (which, value_q) in zip(one.edit.files(pair).items(), values, strict=True)
            )  # fmt: skip

        return tuple(
            ShownPairs(one.edit.name, tuple(shown(one, place) for place in places))
            for one, places in zip(edits, chosen, strict=True)
        )

    def _shown(self, values: SetValues, directory: Path, place: int, value_p: Floats, top: float) -> ShownPicture:
        one = values.made.pictures[place]
        content = self._read(partial(self._set_picture, directory, one))
        return ShownPicture(one.path, float(values.a_k[place]), tuple(one.roles), content, self._heat(value_p, top))

    def _heat(self, value_p: Floats, top: float) -> bytes | None:
        return png(value_p.reshape(self.codes.recorded.grid), top) if value_p.size else None

    def _set_picture(self, directory: Path, one: SetPicture) -> Image.Image:
        return self.preprocessing.view(decode(read_picture(directory, one), one.path))

    def _read(self, picture: Callable[[], Image.Image]) -> bytes | None:
        try:
            return jpeg(picture(), LONGEST_SIDE)[0]
        except (InputError, OSError) as error:
            self.faults.append(str(error))
            return None

    def warn_of_faults(self) -> None:
        """Log how many pictures are shown as grey tiles, and why the first of them is."""
        if self.faults:
            log.warning("%d pictures are shown as grey tiles; the first: %s", len(self.faults), self.faults[0])


def _pair_picture(directory: Path, file: str, sha256: str) -> Image.Image:
    return decode(read_pair_picture(directory, file, sha256), file)


def png(value_hw: Floats, top: float) -> bytes:
    """A heatmap of a pixel a patch; `top` has the brightest colour."""
    file = io.BytesIO()
    Image.fromarray(overlay_table()[quantise(value_hw, top)]).save(file, "PNG", optimize=True)
    return file.getvalue()
