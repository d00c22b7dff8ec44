"""All that is known of the pictures of a recording, from what the user names, and which half of them is the test's.

Shape suffix: i = pictures of the recording.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, tell
from saev.latents.labels import Labels
from saev.latents.metadata import Metadata
from saev.latents.source_metadata import known_metadata
from saev.probing.pictures.attributes import Attributes, image_labels, patch_labels, table
from saev.probing.pictures.folders import Task, read_tasks, task_attributes
from saev.probing.pictures.units import Units, check_sides
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader

IMAGE: Final = "image"
PATCH: Final = "patch"


@final
@dataclass(frozen=True)
class Known:
    """What is known of the pictures of a recording."""

    records: Sequence[ExampleRecord]  # The pictures.
    labels: Labels  # What was recorded with them.
    metadata: Metadata | None  # The user's table, or that of the source of the pictures, if there is one.
    attributes: Attributes | None  # Of all sources; None where nothing was asked for and nothing is there.
    tasks: Sequence[Task] = ()  # Those of folders, with their pictures that were never recorded.

    @classmethod
    def of(
        cls,
        reader: ShardReader,
        labels: Sequence[str | Path] | None = None,
        metadata: str | Path | None = None,
    ) -> Self:
        """Read what the user names.

        Args:
            labels: "image" (recorded labels of pictures), "patch" (of patches) and directories with folders of tasks,
                as many as wanted; None takes the recorded labels that are there.
            metadata: A table of the pictures. Without one, that of their source is taken if it has one, of which the
                columns are attributes only where `labels` is None.

        Raises:
            InputError: If one of them is not there, cannot be read, or does not tell pictures apart.
        """
        records, recorded, where = reader.examples(), Labels.of(reader), str(reader.path)
        recorded_kinds: dict[str, Callable[[Labels, str], Attributes]] = {IMAGE: image_labels, PATCH: patch_labels}
        parts: list[Attributes] = []
        tasks: list[Task] = []
        for one in recorded_kinds if labels is None else labels:
            if str(one) not in recorded_kinds:
                tasks += (read := read_tasks(one, records))
                parts.append(task_attributes(read))
                continue
            # What nobody asked for may be missing.
            with suppress(InputError) if labels is None else nullcontext():
                parts.append(recorded_kinds[str(one)](recorded, where))
        known = known_metadata(reader, metadata)
        is_wanted = known is not None and (metadata is not None or labels is None)
        if known is not None and is_wanted and known.only_groups():
            tell(f"{known.name}: its columns can say which pictures belong together, and nothing else")
        elif known is not None and is_wanted:
            parts.append(table(known))
        return cls(records, recorded, known, Attributes.joined(parts) if parts else None, tasks)

    def classes(self, column: str | None = None) -> NDArray[np.int64]:
        """(i,) the number of each picture's class, -1 where it is not known: the recorded label, or a column's value.

        Raises:
            InputError: If there is no such column, it has numbers, or there is no table.
        """
        if column is None:
            return self.labels.numbers
        if self.metadata is None:
            raise InputError(f"class column {column!r}: there is no table that has it: give it (metadata)")
        found = self.metadata.column(column)
        if found.kind == "numeric":
            raise InputError(f"class column {column!r} has numbers: give one of words, such as species")
        return found.numbers_i

    def units(self, columns: Sequence[str]) -> Units:
        """What belongs together: equal pictures, and those with equal values in these columns of the table.

        Raises:
            InputError: If there is no such column, or columns are named without a table.
        """
        if columns and self.metadata is None:
            raise InputError(f"column {columns[0]!r} groups pictures, and there is no table: give it (metadata)")
        return Units.of(self.records, [self.metadata.column(name) for name in columns] if self.metadata else [])


def testable(attributes: Attributes, units: Units, is_test_i: NDArray[np.bool_]) -> Attributes:
    """The attributes of which both halves have units with and without them, and those that are numbers.

    One line for the user counts the ones that are left out.

    Raises:
        InputError: If none is left; says what the first one lacks.
    """
    faults: list[tuple[str, str]] = []
    kept = []
    for place, one in enumerate(attributes.binary):
        try:
            check_sides(str(one), attributes.y_ij[:, place], units, is_test_i)
            kept.append(place)
        except InputError as error:
            faults.append((str(one), str(error)))
    if not kept and not attributes.numeric:
        raise InputError(faults[0][1])
    if faults:
        n, names = len(faults), ", ".join(name for name, _ in faults[:3]) + (", ..." if len(faults) > 3 else "")
        tell(f"{n} of {len(attributes.binary)} attributes are left out, too rare in one of the halves: {names}")
    binary = [attributes.binary[place] for place in kept]
    return Attributes(binary, attributes.y_ij[:, kept], attributes.numeric, attributes.x_ij)
