"""The pictures of a recording, as the ViT saw them."""

import hashlib
import logging
from collections.abc import Callable

from PIL import Image

from saev.errors import InputError
from saev.shards.examples import ExampleRecord
from saev.shards.reader import ShardReader
from saev.vit.images import from_description
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing
from saev.viz import Picture

log = logging.getLogger(__name__)

ReadBytes = Callable[[ExampleRecord], bytes]


class RecordedPictures:
    """Gives the pictures of a recording one at a time, by image id.

    A picture that is gone or is another one by now becomes a grey tile.

    Args:
        reader: The recording.
    """

    def __init__(self, reader: ShardReader) -> None:
        self._preprocessing = Preprocessing.from_dict(reader.manifest.config["preprocessing"])
        self._records = reader.examples()
        self._read_bytes = _reader_by_name(reader)
        self._faults: dict[int, Exception] = {}

    def __getitem__(self, image_id: int) -> Picture:
        """The picture as the ViT saw it."""
        record = self._records[image_id]
        try:
            view = self._preprocessing.view(decode(_unchanged(self._read_bytes, record), record.path))
        except (InputError, OSError) as error:
            height, width = self._preprocessing.image_size
            view = Image.new("RGB", (width, height), "grey")
            self._faults[image_id] = error
        return Picture(image_id, record.path, record.label, view)

    def warn_of_faults(self) -> None:
        """Log how many of the pictures given became grey tiles, and why the first of them did."""
        if self._faults:
            first = next(iter(self._faults.values()))
            log.warning("%d pictures are shown as grey tiles; the first: %s", len(self._faults), first)


def _unchanged(read_bytes: ReadBytes, record: ExampleRecord) -> bytes:
    data = read_bytes(record)
    if hashlib.sha256(data).hexdigest() != record.digest:
        raise InputError(f"'{record.path}' is not the picture any more that was recorded")
    return data


def _reader_by_name(reader: ShardReader) -> ReadBytes:
    """Reads pictures by name: their numbers change when a file comes or goes."""
    try:
        source = from_description(reader.manifest.source)
    except (InputError, OSError) as error:
        # A run of hours does not end here for want of pictures.
        fault = error

        def fail(record: ExampleRecord) -> bytes:  # noqa: ARG001 - a ReadBytes
            raise fault

        return fail
    places = {source.record(index).path: index for index in range(len(source))}

    def read(record: ExampleRecord) -> bytes:
        if record.path not in places:
            raise InputError(f"'{record.path}' is not in {source.location} any more")
        return source.read_bytes(places[record.path])

    return read
