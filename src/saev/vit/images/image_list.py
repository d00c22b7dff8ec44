"""A text file that lists pictures."""

from pathlib import Path
from typing import Any, final

from typing_extensions import override

from saev.errors import InputError
from saev.vit.images.base import ImageEntry, ImageSource, read_file


@final
class ImageList(ImageSource):
    """The pictures of a UTF-8 text file: one path a line, relative to the file, optionally a tab and a label.

    Args:
        file: The text file. Empty lines are skipped.

    Raises:
        InputError: The file is missing or empty, or a line names no file, an absolute path, or one twice.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        self.entries = _entries(self.file)

    @property
    @override
    def location(self) -> str:
        return str(self.file.absolute())

    @override
    def read_bytes(self, index: int) -> bytes:
        name = self.record(index).path
        return read_file(f"{self.file.parent}/{name}", name)

    @override
    def describe(self) -> dict[str, Any]:
        return {"class": "ImageList", "args": {"file": self.location}}


def _entries(file: Path) -> list[ImageEntry]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list of pictures '{file}' cannot be read: {error}") from error
    lines = {n: line for n, line in enumerate(text.split("\n"), start=1) if line.strip()}
    if not lines:
        raise InputError(f"list of pictures '{file}' is empty; write one path a line")
    entries: dict[str, ImageEntry] = {}
    for n, line in lines.items():
        entry = _entry(line, file, f"'{file}' line {n}")
        if entry.path in entries:
            raise InputError(f"'{file}' line {n}: '{entry.path}' is listed twice; remove one of the lines")
        entries[entry.path] = entry
    return list(entries.values())


def _entry(line: str, file: Path, where: str) -> ImageEntry:
    name, *labels = line.rstrip("\r").split("\t")
    if len(labels) > 1 or Path(name).is_absolute():
        raise InputError(f"{where}: '{line}' must be a path relative to the file, then at most one tab and a label")
    path = Path(name).as_posix()
    try:
        status = (file.parent / path).stat()
    except OSError as error:
        raise InputError(f"{where}: '{file.parent / path}' cannot be found ({error.strerror})") from error
    return ImageEntry(path, labels[0] if labels and labels[0] else None, status.st_size)
