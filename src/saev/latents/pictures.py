"""The pictures of a recording, as the ViT saw them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never

from PIL import Image

from saev.errors import InputError
from saev.latents.recorded_files import RecordedFiles
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing

log = logging.getLogger(__name__)

View = Callable[[ExampleRecord], Image.Image]


@dataclass(frozen=True)
class Picture:
    """A picture as the model saw it; `name` and `label` are the user's and only ever shown as text.

    Without a view it is gone or another one by now, and a grey tile is shown, or it is left out and was not looked for.
    """

    image_id: int
    name: str
    label: str | None
    view: Image.Image | None
    is_left_out: bool = False


class RecordedPictures:
    """Gives the pictures of a recording one at a time, by image id.

    A picture that is gone or is another one by now has no view, and so has each of the original saev's: only a pickle
    or Python code names them, which is not opened.
    """

    def __init__(self, reader: ShardReader) -> None:
        self._records = reader.examples()
        self._view = _views(reader)
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

    def left_out(self, image_id: int) -> Picture:
        """The picture without looking for it."""
        record = self._records[image_id]
        return Picture(image_id, record.path, record.label, None, is_left_out=True)

    def warn_of_faults(self) -> None:
        """Log how many pictures are shown as grey tiles, and why the first of them is."""
        if self._faulty:
            log.warning("%d pictures are shown as grey tiles; the first: %s", len(self._faulty), self._first_fault)


def _views(reader: ShardReader) -> View:
    try:
        files = RecordedFiles(reader)
        preprocessing = Preprocessing.from_dict(reader.recording.preprocessing)
    except (InputError, OSError) as error:
        # A run of hours does not end here for want of pictures.
        return _fails(str(error))

    def view(record: ExampleRecord) -> Image.Image:
        return preprocessing.view(decode(files.read(record), record.path))

    return view


def _fails(why: str) -> Callable[[ExampleRecord], Never]:
    def fail(record: ExampleRecord) -> Never:  # noqa: ARG001 - for whoever reads a record
        raise InputError(why)

    return fail
