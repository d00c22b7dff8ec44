"""The pictures of a recording, as the ViT saw them."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never

from PIL import Image

from saev.errors import InputError
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader
from saev.vit.images import ImageSource, from_description
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing

log = logging.getLogger(__name__)

ReadBytes = Callable[[ExampleRecord], bytes]
View = Callable[[ExampleRecord], Image.Image]


@dataclass(frozen=True)
class Picture:
    """A picture as the model saw it; `name` and `label` are the user's and only ever shown as text.

    Without a view it is gone or another one by now, and a grey tile is shown.
    """

    image_id: int
    name: str
    label: str | None
    view: Image.Image | None


class RecordedPictures:
    """Gives the pictures of a recording one at a time, by image id.

    A picture that is gone or is another one by now has no view, and so has each of the original saev's: only a pickle
    or Python code names them, which is not opened.

    Args:
        reader: The recording.
    """

    def __init__(self, reader: ShardReader) -> None:
        self._records = reader.examples()
        self._view = _views(reader) if reader.manifest.has_names else _original_views(reader)
        # Not the errors themselves: these hold what was read.
        self._faulty: set[int] = set()
        self._first_fault = ""

    def __getitem__(self, image_id: int) -> Picture:
        """The picture as the ViT saw it."""
        record = self._records[image_id]
        view: Image.Image | None = None
        try:
            view = self._view(record)
        except (InputError, OSError) as error:
            self._first_fault = self._first_fault or str(error)
            self._faulty.add(image_id)
        return Picture(image_id, record.path, record.label, view)

    def warn_of_faults(self) -> None:
        """Log how many pictures are shown as grey tiles, and why the first of them is."""
        if self._faulty:
            log.warning("%d pictures are shown as grey tiles; the first: %s", len(self._faulty), self._first_fault)


def _views(reader: ShardReader) -> View:
    try:
        preprocessing = Preprocessing.from_dict(reader.recording.preprocessing)
        read_bytes = _reader_by_name(from_description(reader.recording.source))
    except (InputError, OSError) as error:
        # A run of hours does not end here for want of pictures.
        return _fails(str(error))

    def view(record: ExampleRecord) -> Image.Image:
        return preprocessing.view(decode(_unchanged(read_bytes, record), record.path))

    return view


def _original_views(reader: ShardReader) -> View:
    return _fails(
        f"{reader.path}: the original saev names its pictures in a pickle or in Python code, which is not opened"
    )


def _fails(why: str) -> Callable[[ExampleRecord], Never]:
    def fail(record: ExampleRecord) -> Never:  # noqa: ARG001 - for whoever reads a record
        raise InputError(why)

    return fail


def _unchanged(read_bytes: ReadBytes, record: ExampleRecord) -> bytes:
    data = read_bytes(record)
    if hashlib.sha256(data).hexdigest() != record.digest:
        raise InputError(f"'{record.path}' is not the picture any more that was recorded")
    return data


def _reader_by_name(source: ImageSource) -> ReadBytes:
    """Reads pictures by name: their numbers change when a file comes or goes."""
    places = {source.record(index).path: index for index in range(len(source))}

    def read(record: ExampleRecord) -> bytes:
        if record.path not in places:
            raise InputError(f"'{record.path}' is not in {source.location} any more")
        return source.read_bytes(places[record.path])

    return read
