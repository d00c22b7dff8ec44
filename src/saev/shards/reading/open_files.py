"""Keeps the files that are read most recently open."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import final

from saev.shards.format.files import open_file


@final
class OpenFile:
    """A file opened for reads at any place; it is closed with the last reference to this object.

    So nobody closes it while another thread reads through it.

    Raises:
        InputError: as `open_file`.
    """

    __slots__ = ("fd",)

    def __init__(self, directory: Path, name: str) -> None:
        self.fd = -1
        self.fd = open_file(directory, name)
        # Else io_uring may give up (EAGAIN) where it would have to wait for the disk.
        os.set_blocking(self.fd, True)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Bound as a default: when the interpreter ends, `os` may be gone before the last file.
        if self.fd >= 0:
            close(self.fd)


@final
class OpenFiles:
    """Files of a directory by number, opened when they are asked for; safe for several threads at once.

    They are closed with the last reference to this object.

    Args:
        directory: Where they lie.
        name_of: The name of the file of a number.
        limit: How many stay open; what the threads are reading comes on top.
    """

    def __init__(self, directory: Path, name_of: Callable[[int], str], limit: int) -> None:
        self._directory = directory
        self._name_of = name_of
        self._limit = limit
        self._files: OrderedDict[int, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int) -> OpenFile:
        """A file, which stays open at least as long as the caller keeps what is returned.

        Raises:
            InputError: if it cannot be opened.
        """
        with self._lock:
            if (file := self._files.get(number)) is not None:
                self._files.move_to_end(number)
                return file
        # Outside the lock: to open may take long, on a network above all.
        return self._keep(number, OpenFile(self._directory, self._name_of(number)))

    def _keep(self, number: int, file: OpenFile) -> OpenFile:
        with suppress(OSError):
            # Reads are short and lie anywhere: what follows them would be read for nothing.
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_RANDOM)
        with self._lock:
            file = self._files.setdefault(number, file)  # another thread's, if it was faster
            self._files.move_to_end(number)
            if len(self._files) > self._limit:
                self._files.popitem(last=False)
        return file
