"""Which pictures of the test half a set has, and what each is there for.

Shape suffixes: n = pictures to choose from, k = pictures of a sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.probing.pictures.folders import NewPicture
from saev.probing.sets.image_set import Role, SetPicture
from saev.probing.sets.sampling import Sample, Stratum, allotted
from saev.ranges import Ints
from saev.shards.format.examples import ExampleRecord

Values = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Pool:
    """The pictures that a set is chosen from."""

    images_n: Ints  # Numbers in the recording, ascending; those that were never recorded have the next numbers.
    values_n: Values  # Of the hypothesis' latents; NaN where they are not known.
    groups_n: Sequence[str]  # The unit of each, by name.
    has_n: NDArray[np.bool_] | None = None  # Whether each has the attribute; None where people are asked.

    def with_more(self, new: Sequence[NewPicture], n_recorded: int) -> "Pool":
        """With pictures that were never recorded, behind the others; each is a unit of its own."""
        assert self.has_n is not None
        return Pool(
            np.concatenate([self.images_n, n_recorded + np.arange(len(new))]),
            np.concatenate([self.values_n, np.full(len(new), np.nan)]),
            [*self.groups_n, *(one.digest for one in new)],
            np.concatenate([self.has_n, np.array([one.positive for one in new], dtype=np.bool_)]),
        )


def by_label(pool: Pool, n: int, seed: int) -> Sample:
    """All pictures if there are at most n, as one stratum; otherwise a random sample of each label, in equal parts.

    A label with fewer pictures is taken whole, and the other one gives more.

    Args:
        pool: Pictures with both labels.
        n: At least 2.
        seed: Of the choice.
    """
    assert pool.has_n is not None
    rng = np.random.default_rng(seed)
    labels = (False, True) if len(pool.images_n) > n else (None,)
    sides = [np.flatnonzero((pool.has_n == label) | (label is None)) for label in labels]
    size_s = np.array([len(side) for side in sides])
    n_s = allotted(size_s, np.ones(len(sides)), min(n, int(size_s.sum())))
    places_k = np.concatenate([rng.choice(side, n_s[s], replace=False) for s, side in enumerate(sides)])
    strata = tuple(
        Stratum(*_range(pool.values_n[side]), len(side), int(n_s[s]), labels[s]) for s, side in enumerate(sides)
    )
    return Sample(places_k, np.repeat(np.arange(len(sides)), n_s), strata)


def _range(values_n: Values) -> tuple[float, float]:
    """The smallest and the largest value that is known; 0 where none is."""
    known = values_n[~np.isnan(values_n)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def chosen(
    pool: Pool,
    sample: Sample,
    more: Mapping[Role, Ints],
    records: Sequence[ExampleRecord],
    new: Sequence[NewPicture],
    rng: np.random.Generator,
) -> tuple[SetPicture, ...]:
    """The sample and the pictures of other roles, in random order.

    Args:
        pool: Where they are from.
        sample: Of these.
        more: Places of pictures that have other roles, whether they are in the sample or not.
        records: All pictures of the recording.
        new: Those that were never recorded.
        rng: Of the order.
    """
    names = [(one.path, one.digest) for one in records] + [(one.name, one.digest) for one in new]
    roles: dict[int, tuple[Role, ...]] = dict.fromkeys(sample.pictures_k.tolist(), ("sample",))
    for role, places in more.items():
        for place in places.tolist():
            roles[place] = (*roles.get(place, ()), role)
    stratum = dict(zip(sample.pictures_k.tolist(), sample.strata_k.tolist(), strict=True))
    return tuple(
        SetPicture.of(
            number,
            len(roles),
            *names[image := int(pool.images_n[place])],
            image=image if image < len(records) else None,
            roles=roles[place],
            group=pool.groups_n[place],
            stratum=stratum.get(place),
            label=None if pool.has_n is None else bool(pool.has_n[place]),
        )
        for number, place in enumerate(rng.permutation(list(roles)).tolist(), 1)
    )
