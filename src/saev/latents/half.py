"""The half of the pictures that one may look at before a test, as whoever looks at it is told."""

from dataclasses import dataclass
from typing import final

from saev.ranges import Ints


@final
@dataclass(frozen=True)
class Half:
    """The half of the pictures that `saev probe` leaves for looking.

    Args:
        seed: Of the division.
        group: Columns by which pictures belong together.
    """

    seed: int
    group: tuple[str, ...] = ()

    def __str__(self) -> str:
        by = f", by {' and '.join(self.group)}" if self.group else ""
        return f"proposal half of seed {self.seed}{by}"


@final
@dataclass(frozen=True, eq=False)
class HalfImages:
    """The pictures of such a half in a recording.

    Args:
        half: Which half.
        numbers: Their numbers, ascending.
    """

    half: Half
    numbers: Ints
