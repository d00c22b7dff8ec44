"""What is known of recorded images: a table of the user's, or what the source of their pictures says of them."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from saev.errors import InputError, one_line, tell
from saev.latents.metadata import MAX_COLUMNS, Column, Metadata, read_metadata
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader
from saev.vit.images import BadImage, ImageSource, class_with_metadata, from_description


def known_metadata(reader: ShardReader, file: str | Path | None = None, *, tells: bool = True) -> Metadata | None:
    """The table of a recording's images: the user's if there is one, or else the one of their source.

    Few sources have one, see `saev.vit.images.ImageSource.metadata`; none of the others is opened for the answer. Where
    one cannot be made again, has other pictures by now, or its columns are of no use, a line says so.

    Args:
        file: The user's, for `read_metadata`.
        tells: Whether to print that line: of several processes one does.

    Returns:
        None where nothing is known, or the same of all pictures.

    Raises:
        InputError: As `read_metadata`.
    """
    records = reader.examples()
    if file is not None:
        return read_metadata(file, records)
    if (name := class_with_metadata(reader.recording.source)) is None:
        return None
    try:
        source = from_description(reader.recording.source)
        columns = _columns(source, name, records)
    except (InputError, OSError) as error:
        if tells:
            tell(f"{reader.path}: what its source of pictures says of them is not known: {one_line(error)}")
        return None
    return Metadata(name, columns) if columns else None


def telling_columns(reader: ShardReader, file: str | Path | None = None, *, tells: bool = True) -> Sequence[Column]:
    """The columns of `known_metadata` that say something of the images; see `Metadata.telling`.

    Raises:
        InputError: As `read_metadata`, or if no column of the user's table is left.
    """
    table = known_metadata(reader, file, tells=tells)
    if table is None or (file is None and all(column.kind == "text" for column in table.columns)):
        return ()
    return table.telling(tells=tells)


def _columns(source: ImageSource, name: str, records: Sequence[ExampleRecord]) -> list[Column]:
    """The columns of a source that are not the same for all images, at the images that were recorded."""
    table = source.metadata()
    _check(table, name, len(source))
    places = {source.record(index).path: index for index in range(len(source))}
    _check_pictures(source, places, records)
    of_records = [places.get(record.path) for record in records]
    found = (
        Column.of(heading, ["" if place is None else cells[place] for place in of_records])
        for heading, cells in table.items()
    )
    return [column for column in found if column.kind != "constant"]


def _check(table: Mapping[str, Sequence[str]], name: str, n: int) -> None:
    where = f"{name}.metadata()"
    if len(table) > MAX_COLUMNS:
        raise InputError(f"{where} gives {len(table):,} columns, at most {MAX_COLUMNS:,} are read: give fewer")
    for heading, cells in table.items():
        if not isinstance(heading, str) or not heading.strip():
            raise InputError(f"{where}: {heading!r} is no heading of a column: give a text")
        if len(cells) != n or not all(isinstance(cell, str) for cell in cells):
            raise InputError(f"{where}: column {heading!r} must have a text for each of the {n:,} pictures")


def _check_pictures(source: ImageSource, places: Mapping[str, int], records: Sequence[ExampleRecord]) -> None:
    """Refuse a source that has other pictures by now under the names of the recorded ones, as three of them tell."""
    for record in (records[0], records[len(records) // 2], records[-1]):
        with suppress(BadImage, OSError, KeyError):  # of one that is gone nothing is wrong
            if hashlib.sha256(source.read_bytes(places[record.path])).hexdigest() != record.digest:
                raise InputError(f"'{record.path}' is not the picture any more that was recorded")
