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


def recorded_pictures(reader: ShardReader, image_ids: list[int]) -> dict[int, Picture]:
    """The pictures by image id; a grey tile where one is gone or is another one by now."""
    preprocessing = Preprocessing.from_dict(reader.manifest.config["preprocessing"])
    records = reader.examples()
    read_bytes = _reader_by_name(reader)
    pictures, faults = {}, []
    for image_id in image_ids:
        record = records[image_id]
        try:
            view = preprocessing.view(decode(_unchanged(read_bytes, record), record.path))
        except (InputError, OSError) as error:
            height, width = preprocessing.image_size
            view = Image.new("RGB", (width, height), "grey")
            faults.append(error)
        pictures[image_id] = Picture(image_id, record.path, record.label, view)
    if faults:
        log.warning("%d of %d pictures are shown as grey tiles; the first: %s", len(faults), len(image_ids), faults[0])
    return pictures


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
