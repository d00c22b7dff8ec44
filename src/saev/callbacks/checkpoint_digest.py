"""The digest of a checkpoint, in a file beside it.

Two files cannot be replaced in one step. The digest of a new checkpoint is added to the file before the checkpoint is
renamed, and alone in it only after: whenever the process is killed, one of the lines fits.
"""

import re
from pathlib import Path
from typing import IO, Final, final

import xxhash
from lightning.pytorch.utilities import rank_zero_only

from saev.errors import InputError, tell
from saev.files import read_regular, write_whole

DIGEST_SUFFIX: Final = ".xxh3"
_LINE: Final = re.compile("[0-9a-f]{32}")
_MAX_BYTES: Final = 2**16
_CHUNK: Final = 2**22


@final
class HashedWriting:
    """A file that is hashed (xxh3-128) while it is written from its beginning to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        """Write the next bytes."""
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand all bytes to the system."""
        self._file.flush()

    @property
    def digest(self) -> str:
        """Of what was written, as hexadecimal digits."""
        return self._hash.hexdigest()


def announce(checkpoint: Path, digest: str) -> None:
    """Add the digest of the file that is about to replace a checkpoint.

    Raises:
        InputError: If the disk does not take it.
    """
    lines = _lines(checkpoint)
    if lines is None and checkpoint.is_file():
        with checkpoint.open("rb") as file:
            lines = [_digest_of(file)]
    _write(checkpoint, [*(lines or []), digest])


def settle(checkpoint: Path, digest: str) -> None:
    """Note that a checkpoint was replaced by the file of this digest.

    Raises:
        InputError: If the disk does not take it.
    """
    _write(checkpoint, [digest])


def check(checkpoint: Path, file: IO[bytes]) -> None:
    """Compare a checkpoint that was opened with the digest beside it, and go back to its beginning.

    One without a digest is accepted, with a line on standard error.

    Raises:
        InputError: If it has another digest.
    """
    lines = _lines(checkpoint)
    if lines is None:
        rank_zero_only(tell)(f"{checkpoint} is read unchecked: its digest {_path(checkpoint).name} is not beside it")
        return
    found = _digest_of(file)
    if found not in lines:
        raise InputError(
            f"the checkpoint {checkpoint} is damaged: its digest is {found}, it was written with {lines[-1]}: "
            "go on from another one (--ckpt_path FILE), or start a new run"
        )


def _path(checkpoint: Path) -> Path:
    return checkpoint.with_name(checkpoint.name + DIGEST_SUFFIX)


def _lines(checkpoint: Path) -> list[str] | None:
    """The digests of which one fits, or None where there is no file of them."""
    path = _path(checkpoint)
    if not path.exists():
        return None
    lines = read_regular(path, _MAX_BYTES).decode("latin-1").split()
    if not lines or not all(map(_LINE.fullmatch, lines)):
        raise InputError(f"{path} holds no digest: remove it to go on from {checkpoint.name} unchecked")
    return lines


def _write(checkpoint: Path, lines: list[str]) -> None:
    write_whole(_path(checkpoint), "".join(f"{line}\n" for line in lines).encode())


def _digest_of(file: IO[bytes]) -> str:
    found = xxhash.xxh3_128()
    while part := file.read(_CHUNK):
        found.update(part)
    file.seek(0)
    return found.hexdigest()
