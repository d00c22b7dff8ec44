"""What counts as one observation: a picture, or the group that it belongs to; and the two halves of them all.

Shape suffix: i = pictures of the recording.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.latents.metadata import Column
from saev.probing.statistics.arrays import components
from saev.shards.format.examples import ExampleRecord

TEST_SHARE: Final = 0.5


@final
@dataclass(frozen=True)
class Units:
    """The pictures that belong together: no split may part them.

    >>> records = [ExampleRecord(f"{i}.png", None, 8, 8, 100, digest * 64) for i, digest in enumerate("aba")]
    >>> Units.of(records).group_i.tolist()
    [0, 1, 0]
    """

    group_i: NDArray[np.int64]  # (i,) int64, the unit of each picture, as a place in `names`.
    names: Sequence[str]  # The units' names; each is in use.

    @classmethod
    def of(cls, records: Sequence[ExampleRecord], columns: Sequence[Column] = ()) -> Self:
        """Pictures with the same bytes are one unit, and so are those with the same value in one of the columns.

        Both count at once: two sites that share a picture become one unit. A picture whose value is not known stands
        for itself. A unit's name says what its pictures share: the first of its "column=value", otherwise their
        SHA-256, or the path of a picture of which there is none.

        Args:
            columns: Of a table of these pictures: specimen, site, date, burst.

        Raises:
            InputError: If the table is of other pictures.
        """
        names_i = [record.digest or record.path for record in records]
        ties = [_numbered(names_i)]
        for column in columns:
            if len(column.numbers_i) != len(records):
                raise InputError(
                    f"column {column.name!r} is of {len(column.numbers_i)} pictures, the recording has {len(records)}: "
                    "read the table for this recording"
                )
            ties.append(column.numbers_i)
        component_i = _components(ties)
        best: dict[int, tuple[bool, str]] = {}
        for image, component in enumerate(component_i.tolist()):
            own = [
                (False, f"{one.name}={one.values[one.numbers_i[image]]}")
                for one in columns
                if one.numbers_i[image] >= 0
            ]
            name = min(own, default=(True, names_i[image]))
            best[component] = min(name, best.get(component, name))
        ordered = sorted(best, key=lambda component: best[component])
        group = {component: place for place, component in enumerate(ordered)}
        group_i = np.array([group[component] for component in component_i.tolist()], dtype=np.int64)
        return cls(group_i, [best[component][1] for component in ordered])

    def halves(self, seed: int) -> NDArray[np.bool_]:
        """(i,) bool: whether each picture is in the test half; see `in_test_half`.

        Raises:
            InputError: If all units fall into one half.
        """
        test_g = np.array([in_test_half(name, seed) for name in self.names], dtype=np.bool_)
        if test_g.all() or not test_g.any():
            raise InputError(
                f"{len(self.names)} units of {len(self.group_i)} pictures all fall into one half with seed {seed}: "
                "record more pictures, group them by a finer column, or give another seed before you look at any"
            )
        found: NDArray[np.bool_] = test_g[self.group_i]
        return found


def digest_of_division(units: Units, is_test_i: NDArray[np.bool_]) -> str:
    """SHA-256 of which pictures belong together, and which of them are in the test half (i,)."""
    return hashlib.sha256(units.group_i.astype("<i8").tobytes() + is_test_i.tobytes()).hexdigest()


def in_test_half(name: str, seed: int) -> bool:
    """Whether a unit belongs to the test half: a hash of its name and the seed says so, and nothing else.

    So pictures that are added or left out move no other unit across, and a picture that was never recorded has its half
    before anybody looks at it. The halves are about equal, not exactly.

    >>> [in_test_half(f"site={letter}", seed=0) for letter in "ABCDE"]
    [True, True, False, False, True]
    """
    digest = hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def check_sides(
    name: str,
    y_i: NDArray[np.int8],
    units: Units,
    is_test_i: NDArray[np.bool_],
    at_least: int = 2,
    more: Sequence[bool] = (),
) -> None:
    """Check whether both halves have units with an attribute and units without it.

    Args:
        name: The attribute, for messages.
        y_i: (i,) int8: 1 true, 0 not true, -1 not known.
        units: Of the pictures.
        is_test_i: (i,) bool, their half.
        at_least: How many units of each kind each half needs.
        more: Labels of further units of the test half, which were never recorded.

    Raises:
        InputError: If not; says what is missing where.
    """
    for half, inside_i in (("proposal", ~is_test_i), ("test", is_test_i)):
        for kind, value in (("with", 1), ("without", 0)):
            n = len(np.unique(units.group_i[inside_i & (y_i == value)]))
            n += more.count(bool(value)) if half == "test" else 0
            if n < at_least:
                raise InputError(
                    f"{name}: the {half} half has {n} units {kind} it, {at_least} are needed: label or record more "
                    "pictures, or group them by a finer column"
                )


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    places: dict[str, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64)


def _components(ties: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """(i,) which pictures hang together: equal numbers in one of the ties hold pictures, -1 holds none."""
    n = len(ties[0])
    pictures, nodes, n_nodes = [], [], n
    for tie_i in ties:
        known_i = np.flatnonzero(tie_i >= 0)
        pictures.append(known_i)
        nodes.append(n_nodes + tie_i[known_i])
        n_nodes += int(tie_i.max(initial=-1)) + 1
    return components(np.concatenate(pictures), np.concatenate(nodes), n_nodes)[:n]
