"""What latents do on pictures, whether they were recorded or not.

Shape suffixes: k = pictures, l = latents, p = patches of a picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from saev.latents.codes import Codes
from saev.probing.hypotheses.hypothesis import Hypothesis, Latents
from saev.probing.statistics.arrays import Floats, Integers

Picture = tuple[int | None, str]
"""The number of a picture in the recording, None where it was never recorded, and the SHA-256 of its file."""


@final
@dataclass(frozen=True)
class AllCodes:
    """Codes of a recording, and of pictures that were never recorded."""

    recorded: Codes  # Of the recording.
    new: Codes  # Of the others.
    numbers: Mapping[str, int]  # Of the others in `new`, by the SHA-256 of their files.

    def pooled(self, hypothesis: Hypothesis, latents: Sequence[int], pictures: Sequence[Picture]) -> Floats:
        """The pooled values (k, l) of latents on pictures; the hypothesis says of which tokens, and how.

        Raises:
            InputError: As `Hypothesis.pooled`.
        """
        found = np.zeros((len(pictures), len(latents)))
        for codes, own_k, images, place_n in self._apart(pictures):
            found[own_k] = hypothesis.pooled(codes, images, np.asarray(latents)).toarray()[place_n]
        return found

    def on_patches(self, latents: Latents, pictures: Sequence[Picture]) -> list[Floats]:
        """The largest value of the latents on each patch (p,) of pictures; of several latents, in units of thresholds.

        Raises:
            InputError: If a file of codes is damaged.
        """
        found, some = [np.empty(0)] * len(pictures), list(latents.any)
        scale_l = np.array(latents.thresholds)[: len(some)] if len(some) > 1 else np.ones(1)
        for codes, own_k, images, place_n in self._apart(pictures):
            if codes.spots.patches:
                each = (own.at(codes.spots.patches).matrix[:, some] for _, own in codes.each(images, None))
                maps = [(one.toarray().astype(np.float64) / scale_l).max(1) for one in each]
                for k, place in zip(own_k.tolist(), place_n.tolist(), strict=True):
                    found[k] = maps[place]
        return found

    def _apart(self, pictures: Sequence[Picture]) -> Iterator[tuple[Codes, Integers, Integers, Integers]]:
        """Codes, which of the pictures are theirs, the images of these, each once, and the place of each there."""
        recorded = [-1 if image is None else image for image, _ in pictures]
        new = [self.numbers[sha256] if image is None else -1 for image, sha256 in pictures]
        for codes, numbers in ((self.recorded, recorded), (self.new, new)):
            number_k = np.array(numbers, dtype=np.int64)
            # Two pictures of a set may have the same bytes, and then one number.
            images, place_n = np.unique(number_k[number_k >= 0], return_inverse=True)
            if len(images):
                yield codes, np.flatnonzero(number_k >= 0), images, place_n
