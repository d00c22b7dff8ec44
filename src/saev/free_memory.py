"""How much memory a process may still take: that of the machine, or of the cgroup that it is confined to."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from saev.byte_text import byte_text
from saev.errors import InputError

ROOT: Final = Path("/")
BUFFER_SHARE: Final = 0.4
"""Of the memory that is available: the rest is for the model, evaluation, and the files that the kernel caches."""


class _Names(NamedTuple):
    """Files of a cgroup's memory controller."""

    mount: str
    limit: str
    usage: str
    cache: str
    """The line of memory.stat that counts file pages that are dropped as soon as memory is needed."""


_V2: Final = _Names("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
_V1: Final = _Names("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(root: Path = ROOT) -> tuple[int, str]:
    """Bytes that can still be taken, and what bounds them: "this machine" or "this cgroup".

    Files that cannot be read, of another kernel or a restricted container, are passed over.

    Args:
        root: Where /proc and /sys lie; tests have their own.

    Raises:
        OSError: If the kernel does not say how much memory there is.
        ValueError: If it says so in another way than Linux does.
    """
    found = [(_kibibytes(root / "proc/meminfo", "MemAvailable:"), "this machine")]
    found += [(n_bytes, "this cgroup") for names, place in _cgroups(root) for n_bytes in _left(root, names, place)]
    return min(found)


def known_free_memory() -> tuple[int, str] | None:
    """What `free_memory` gives; None where the system does not say."""
    try:
        return free_memory()
    except (OSError, ValueError):
        return None


def check_memory(n_bytes: int, taken: str, advice: str) -> None:
    """Check whether so many bytes are free, as far as the system says.

    Args:
        n_bytes: What is needed.
        taken: What takes it, and a verb.
        advice: What to do where it does not fit.

    Raises:
        InputError: If they are not.
    """
    found = known_free_memory()
    if found is not None and n_bytes > found[0]:
        raise InputError(
            f"{taken} {byte_text(n_bytes)} of memory, {byte_text(found[0])} are free on {found[1]}: {advice}"
        )


def _kibibytes(path: Path, name: str) -> int:
    fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    for field, value, *_ in (words for words in fields if len(words) > 1):
        if field == name:
            return int(value) * 1024
    raise ValueError(f"{path} has no {name}")


def _cgroups(root: Path) -> Iterator[tuple[_Names, PurePosixPath]]:
    """The cgroups of this process that may bound its memory, as their paths below the mount."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" or "memory" in controllers.split(","):
            names = _V2 if hierarchy == "0" else _V1
            place = PurePosixPath(path.lstrip("/"))
            # The bounds of all cgroups above hold, too. In a container the path may be the host's, and lead nowhere.
            yield from ((names, part) for part in (place, *place.parents))


def _left(root: Path, names: _Names, place: PurePosixPath) -> Iterator[int]:
    directory = root / names.mount / place
    try:
        limit = (directory / names.limit).read_text(encoding="ascii").strip()
        if limit == "max":
            return
        usage = int((directory / names.usage).read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (directory / "memory.stat").read_text(encoding="ascii").splitlines())
        yield max(0, int(limit) - usage + int(statistics.get(names.cache, 0)))
    except (OSError, ValueError):
        return
