"""What a table of the user's says of recorded images: a CSV with one row for each, keyed by its path.

Shape suffix: i = images of the recording.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, one_line, tell
from saev.files import UnreadableFile, given_path, read_regular_text
from saev.shards.format.examples import ExampleRecord

Numbers = NDArray[np.int64]
KEY: Final = "path"
MAX_BYTES: Final = 2**28
MAX_COLUMNS: Final = 1_000
MAX_CATEGORIES: Final = 100
"""Distinct values of a categorical column; of more, a column is free text."""
_UNKNOWN: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null"})
_PAIRS: Final = ({"true", "false"}, {"yes", "no"})
_WORDS: Final = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Kind = Literal["boolean", "numeric", "categorical", "text", "constant"]


@final
@dataclass(frozen=True)
class Column:
    """A column of the table. All of its values together decide its kind.

    >>> Column("wing", ["3.5", "4"], np.array([0, 1, -1])).kind
    'numeric'
    """

    name: str  # Its heading.
    values: Sequence[str]  # Its distinct values as they were written, sorted; without those that mean "not known".
    numbers_i: Numbers  # (i,) int64, the place of each image's value in `values`; -1 where it is not known.

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> Self:
        """The column with these cells, one for each image.

        >>> Column.of("wing", ["4", "NA", "3.5"]).values
        ['3.5', '4']
        """
        stripped = [cell.strip() for cell in cells]
        values = sorted({*stripped} - _UNKNOWN)
        places = {value: place for place, value in enumerate(values)}
        return cls(name, values, np.array([places.get(cell, -1) for cell in stripped], dtype=np.int64))

    @cached_property
    def kind(self) -> Kind:
        """What the values are.

        - boolean: true and false, yes and no, in any case, or 0 and 1;
        - numeric: finite numbers with a decimal point;
        - categorical: at most `MAX_CATEGORIES` texts that stand on two images each on average;
        - text: other texts;
        - constant: no two different values.
        """
        kind, n_distinct = self._looked_at()
        return "constant" if n_distinct < 2 else kind

    def floats(self) -> NDArray[np.float64]:
        """(i,) the numbers of a numeric column, 1 and 0 of a boolean one; NaN where they are not known."""
        assert self.kind in ("numeric", "boolean"), self.kind
        found = np.array([*(_number(value) for value in self.values), math.nan])
        return found[self.numbers_i]

    def _looked_at(self) -> tuple[Kind, int]:
        words = {value.lower() for value in self.values}
        if any(words <= pair for pair in _PAIRS):
            return "boolean", len(words)
        numbers = {_number(value) for value in self.values}
        if all(math.isfinite(number) for number in numbers) and not words & _WORDS.keys():
            return "boolean" if numbers <= {0.0, 1.0} else "numeric", len(numbers)
        n = len(self.values)
        repeated = 2 * n <= np.count_nonzero(self.numbers_i >= 0)
        return "categorical" if n <= MAX_CATEGORIES and repeated else "text", n


@final
@dataclass(frozen=True)
class Metadata:
    """A table of the images of a recording.

    `read_metadata` makes it of a file, `saev.latents.source_metadata` of a source of pictures.
    """

    name: str  # The file or source, for messages.
    columns: Sequence[Column]  # All but the key.

    def column(self, name: str) -> Column:
        """The column with a heading.

        Raises:
            InputError: If there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(f"{self.name}: no column {name!r}: it has {_listed([one.name for one in self.columns])}")

    @property
    def digest(self) -> str:
        """SHA-256 in hex of headings and values: a line of JSON for each column, the place of each image's value in it.

        A file has a digest of its own; this one is for tables that are none.
        """
        digest = hashlib.sha256()
        for column in self.columns:
            digest.update(json.dumps([column.name, list(column.values), column.numbers_i.tolist()]).encode() + b"\n")
        return digest.hexdigest()

    def only_groups(self) -> bool:
        """Whether no column says anything of images, while one has texts that may say which images belong together."""
        kinds = {column.kind for column in self.columns}
        return "text" in kinds and kinds <= {"text", "constant"}

    def telling(self, *, tells: bool = True) -> list[Column]:
        """The columns that say something of the images: boolean, numeric and categorical ones.

        One line for the user names those that are left out: free text, and what is the same for all images.

        Args:
            tells: Whether to print it.

        Raises:
            InputError: If none is left.
        """
        found = [column for column in self.columns if column.kind not in ("text", "constant")]
        texts = [column.name for column in self.columns if column.kind == "text"]
        constant = [column.name for column in self.columns if column.kind == "constant"]
        faults = [
            f"{what}: {_listed(names)}"
            for what, names in (
                (f"free text (over {MAX_CATEGORIES} values, or hardly any twice)", texts),
                ("the same for all pictures", constant),
            )
            if names
        ]
        if not found:
            raise InputError(
                f"{self.name}: no column tells pictures apart; {'; '.join(faults)}: add a column of yes and no, of "
                "numbers, or of a few words that repeat"
            )
        if faults and tells:
            tell(f"{self.name}: columns left out: {'; '.join(faults)}")
        return found


def read_metadata(file: str | Path, records: Sequence[ExampleRecord]) -> Metadata:
    """Read a table of the images of a recording.

    The file is a CSV in UTF-8, with or without a byte order mark: commas, cells in double quotes where need be, a first
    row of headings. The column "path" holds the path of each image as it was recorded; each image has one row or none.
    A cell that is empty, NA, N/A, NaN, nan or null says that a value is not known. `Column.kind` says what the other
    columns may hold. One line tells the user how many images have no row.

    >>> import tempfile
    >>> records = [ExampleRecord(f"bird/{i}.png", None, 8, 8, 100, f"{i}" * 64) for i in range(3)]
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory) / "birds.csv"
    ...     _ = path.write_text("path,wing,juvenile\\nbird/2.png,3.5,yes\\nbird/0.png,4,no\\nbird/1.png,NA,no\\n")
    ...     table = read_metadata(path, records)
    >>> [(column.name, column.kind, column.floats().tolist()) for column in table.columns]
    [('wing', 'numeric', [4.0, nan, 3.5]), ('juvenile', 'boolean', [0.0, 0.0, 1.0])]

    Args:
        file: The table, of at most 256 MiB and 1,000 columns.
        records: The images of the recording, as `ShardReader.examples` gives them.

    Raises:
        InputError: If it cannot be read, is no such table, has a path twice, or one that was not recorded.
    """
    path = given_path(file, "metadata")
    try:
        text = read_regular_text(path, MAX_BYTES)
    except UnreadableFile as error:
        raise InputError(f"metadata {error}: give a CSV in UTF-8") from error
    rows = _rows(text, str(path))
    names, key = _headings(next(rows, (0, []))[1], str(path))
    places: dict[str, list[int]] = {}
    for image, record in enumerate(records):
        places.setdefault(record.path, []).append(image)
    found = [_Cells(len(records)) for _ in names]
    lines: dict[str, int] = {}
    unknown: list[tuple[int, str]] = []
    for line, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"{path} line {line}: {len(cells)} cells, the first row has {len(names)}: quote cells that hold commas"
            )
        if (earlier := lines.setdefault(cells[key], line)) != line:
            raise InputError(f"{path}: lines {earlier} and {line} are both of {cells[key]!r}: remove one of them")
        images = places.get(cells[key])
        if images is None:
            unknown.append((line, cells[key]))
            continue
        for column, cell in zip(found, cells, strict=True):
            column.put(images, cell.strip())
    _check_known(path, lines, unknown, records)
    if n := sum(record.path not in lines for record in records):
        tell(f"{path}: no row for {n:,} of {len(records):,} pictures: what it says of these is not known")
    return Metadata(
        str(path), [cells.column(name) for i, (name, cells) in enumerate(zip(names, found, strict=True)) if i != key]
    )


class _Cells:
    """What a column says of each image."""

    def __init__(self, n_images: int) -> None:
        self._numbers_i = np.full(n_images, -1, dtype=np.int64)
        self._places: dict[str, int] = {}

    def put(self, images: list[int], cell: str) -> None:
        """Note a cell, stripped, for the images of its row."""
        if cell not in _UNKNOWN:
            self._numbers_i[images] = self._places.setdefault(cell, len(self._places))

    def column(self, name: str) -> Column:
        """The column, its values in order."""
        values = sorted(self._places)
        new = np.array([*np.argsort([self._places[value] for value in values]), -1], dtype=np.int64)
        return Column(name, values, new[self._numbers_i])


def _number(text: str) -> float:
    """What a value counts as; NaN for words that count as nothing."""
    return float(text) if _NUMBER.fullmatch(text) else _WORDS.get(text.lower(), math.nan)


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{where} line {reader.line_num}: no valid CSV ({one_line(error)}): mend the line") from error


def _headings(cells: list[str], where: str) -> tuple[list[str], int]:
    """The headings, and which of them is the key."""
    names = [cell.strip() for cell in cells]
    if KEY not in names:
        hint = "separate cells by commas" if len(names) == 1 and re.search(r"[;\t|]", names[0]) else "add it"
        raise InputError(f"{where}: no column {KEY!r} among {_listed(names)}: {hint}")
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{where}: {len(names):,} columns, at most {MAX_COLUMNS:,} are read: remove some")
    for number, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{where}: column {number} has no heading: name it or remove it")
        if names.count(name) > 1:
            raise InputError(f"{where}: {names.count(name)} columns are called {name!r}: rename or remove them")
    if len(names) == 1:
        raise InputError(f"{where}: {KEY!r} is its only column: add columns that say something of the pictures")
    return names, names.index(KEY)


def _check_known(
    path: Path, lines: dict[str, int], unknown: list[tuple[int, str]], records: Sequence[ExampleRecord]
) -> None:
    if not lines:
        raise InputError(f"{path}: no row but the headings: add one for each picture")
    if unknown:
        line, name = unknown[0]
        raise InputError(
            f"{path}: {len(unknown):,} of {len(lines):,} rows are of pictures that were not recorded, first {name!r} "
            f"(line {line}): write paths as they were recorded, such as {records[0].path!r}, or remove these rows"
        )


def _listed(names: Sequence[str]) -> str:
    """The first few names."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + more
