"""One layer out of files that hold several layers of each example."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from saev.errors import InputError
from saev.shards.format.files import fault_text, opened, read_into


@final
@dataclass(frozen=True)
class OriginalLayer:
    """Where a layer lies in a file of the original saev: C order (example, layer, token, width), no checksums."""

    n_layers: int
    place: int
    """Which of them it is, from 0."""

    def __post_init__(self) -> None:
        assert 0 <= self.place < self.n_layers, (self.place, self.n_layers)

    def spans(self, offset: int, n_bytes: int, bytes_per_example: int) -> Iterator[tuple[int, int]]:
        """Where in the file the bytes lie that would start at `offset` if it held this layer alone.

        Args:
            offset: A multiple of bytes_per_example.
            n_bytes: A multiple of bytes_per_example.
            bytes_per_example: Bytes of this layer of one example.

        Yields:
            First byte and number of bytes of each stretch, in order.

        >>> list(OriginalLayer(n_layers=3, place=1).spans(20, 20, 10))
        [(70, 10), (100, 10)]
        >>> list(OriginalLayer(n_layers=1, place=0).spans(20, 20, 10))
        [(20, 20)]
        """
        assert offset % bytes_per_example == n_bytes % bytes_per_example == 0, (offset, n_bytes, bytes_per_example)
        if self.n_layers == 1:
            yield offset, n_bytes
            return
        for start in range(offset, offset + n_bytes, bytes_per_example):
            yield start * self.n_layers + self.place * bytes_per_example, bytes_per_example

    def read_into(self, target: memoryview, directory: Path, name: str, offset: int, bytes_per_example: int) -> None:
        """Fill `target` (format 'B') with this layer from `offset` on, as in `spans`; reads nothing else.

        Raises:
            InputError: if the file cannot be read or ends too early.
        """
        with opened(directory, name) as fd:
            for begin, n_bytes in self.spans(offset, len(target), bytes_per_example):
                _read_exactly(fd, target[:n_bytes], begin, directory / name)
                target = target[n_bytes:]


def _read_exactly(fd: int, target: memoryview, begin: int, path: Path) -> None:
    try:
        found = read_into(fd, target, begin)
    except OSError as error:
        raise InputError(f"{path}: {fault_text(error)}") from error
    if found < len(target):
        raise InputError(f"{path}: ends before byte {begin + len(target)}: copy it again")
