"""The files of recorded pictures."""

import hashlib
from pathlib import Path
from typing import final

from saev.errors import InputError
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader
from saev.vit.images import from_description


@final
class RecordedFiles:
    """Finds the pictures of a recording where it says that they lie.

    They are found by name: their numbers change when a file comes or goes.

    Raises:
        InputError: If its source is gone, or only a pickle or Python code of the original saev names its pictures.
    """

    def __init__(self, reader: ShardReader) -> None:
        if not reader.manifest.has_names:
            raise InputError(
                f"{reader.path}: the original saev names its pictures in a pickle or in Python code, which is not "
                "opened"
            )
        self._source = from_description(reader.recording.source)
        self._places = {self._source.record(index).path: index for index in range(len(self._source))}

    def read(self, record: ExampleRecord) -> bytes:
        """The bytes of a picture.

        Raises:
            InputError: If it is gone, or is not the one any more that was recorded.
        """
        data = self._source.read_bytes(self._place(record))
        if hashlib.sha256(data).hexdigest() != record.digest:
            raise InputError(f"'{record.path}' is not the picture any more that was recorded")
        return data

    def file_of(self, record: ExampleRecord) -> Path | None:
        """The file of a picture, unchecked; None where its bytes are part of another one.

        Raises:
            InputError: If it is gone.
        """
        return self._source.file_of(self._place(record))

    def _place(self, record: ExampleRecord) -> int:
        if record.path not in self._places:
            raise InputError(f"'{record.path}' is not in {self._source.location} any more")
        return self._places[record.path]
