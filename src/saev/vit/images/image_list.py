"""A text file that lists pictures."""

from pathlib import Path
from typing import Final, final

from typing_extensions import override

from saev.errors import InputError
from saev.files import UnreadableFile, given_path, read_regular_text
from saev.vit.images.base import ImageEntry, ImageFiles, look_at_file

MAX_LIST_BYTES: Final = 2**30
"""Upper bound of the list: some ten million lines."""


@final
class ImageList(ImageFiles):
    """The pictures of a UTF-8 text file: one path a line, relative to the file, optionally a tab and a label.

    Args:
        file: The text file. Empty lines are skipped.

    Raises:
        InputError: The file is missing, too large or empty, or a line has an absolute path, or one twice.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = given_path(file, "file")
        self.directory = self.file.parent
        self.entries = _entries(self.file)

    @property
    @override
    def location(self) -> str:
        return str(self.file.absolute())


def _entries(file: Path) -> list[ImageEntry]:
    try:
        text = read_regular_text(file, MAX_LIST_BYTES)
    except UnreadableFile as error:
        raise InputError(f"list of pictures {error}: give a text file of one path a line") from error
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
    n_bytes, fault = look_at_file(f"{file.parent}/{path}", path)
    return ImageEntry(
        path, labels[0] if labels and labels[0] else None, n_bytes, f"{where}: {fault}" if fault else None
    )
