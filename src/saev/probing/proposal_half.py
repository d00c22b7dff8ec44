"""The half of the pictures that one may look at before a test.

Shape suffixes: i = pictures of the recording, h = those of the proposal half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, final

import numpy as np

from saev.latents.half import Half, HalfImages
from saev.probing.hypotheses.file import Halves
from saev.probing.pictures.attributes import Attributes
from saev.probing.pictures.known import Known
from saev.probing.pictures.units import Units
from saev.probing.statistics.arrays import Bools, Integers
from saev.probing.subject import opened
from saev.shards.reading.reader import ShardReader


@final
@dataclass(frozen=True)
class ProposalHalf:
    """The pictures of a recording that are no pictures of the test."""

    known: Known  # What is known of all pictures.
    units: Units  # What belongs together.
    is_test_i: Bools  # (i,) which pictures are of the test half.
    halves: Halves  # How they were divided, with the digest of what came out.

    @classmethod
    def of(cls, known: Known, halves: Halves) -> Self:
        """Divide the pictures.

        Raises:
            InputError: If a column is unknown, all units fall into one half, or the division is not the one that
                `halves` has noted.
        """
        units = known.units(halves.columns)
        return cls(known, units, halves.divide(units), halves.noted(units))

    @cached_property
    def images(self) -> Integers:
        """(h,) the numbers of its pictures."""
        return np.flatnonzero(~self.is_test_i)

    @property
    def group_h(self) -> Integers:
        """(h,) the unit of each picture."""
        return self.units.group_i[self.images]

    def part(self, attributes: Attributes) -> Attributes:
        """Attributes of its pictures alone."""
        return Attributes(
            attributes.binary, attributes.y_ij[self.images], attributes.numeric, attributes.x_ij[self.images]
        )


def proposal_images(
    shards: ShardReader | str | Path, seed: int = 0, group: Sequence[str] = (), metadata: str | Path | None = None
) -> HalfImages:
    """The pictures that no test with this seed and these groups takes, for `saev.render(..., images=...)`.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(10), backbone, [-2], directory)
    ...     found = proposal_images(shards, seed=3)
    >>> str(found.half), len(found.numbers)
    ('proposal half of seed 3', 4)

    Args:
        shards: The recording, or its directory.
        seed: Of the division.
        group: Columns of the table by which pictures belong together.
        metadata: The table.

    Raises:
        InputError: If there is no such recording, a column is unknown, or all pictures fall into one half.
    """
    half = ProposalHalf.of(Known.of(opened(shards), (), metadata), Halves(seed, tuple(group)))
    return HalfImages(Half(seed, tuple(group)), half.images)
