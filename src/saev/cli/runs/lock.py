"""One command at a time writes to a run directory."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saev.errors import InputError, tell
from saev.files import unwritable
from saev.lock import FileLock

LOCK: Final = ".lock"
_UNSUPPORTED: Final = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP)


@contextlib.contextmanager
def alone_in(run_dir: Path) -> Iterator[None]:
    """Keep other commands out of a run directory, which is made if need be; what was made and stays empty is removed.

    The first process of a run does it: it alone writes there.

    Raises:
        InputError: If another command is at work there, or the directory cannot be written.
    """
    is_new = not run_dir.exists()
    lock = FileLock(run_dir / LOCK, f"{run_dir}: another saev command is at work in it: wait for it or stop it")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock.claim()
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise InputError(unwritable(run_dir, error)) from error
        tell(f"{run_dir} cannot be locked: let no other saev command write to it meanwhile")
    try:
        yield
    finally:
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                run_dir.rmdir()


def contents(run_dir: Path) -> list[Path]:
    """What is in a run directory, without the lock; nothing where there is no directory."""
    return [path for path in run_dir.iterdir() if path.name != LOCK] if run_dir.is_dir() else []
