"""Processes of one command, looked at from outside."""

import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.cli.forked import Command

Tree = dict[str, tuple[int, bytes]]


def tree(out: Path) -> Tree:
    """Modes and contents (b"" of a directory) of all that is below a directory, hidden or not."""
    return {
        str(path.relative_to(out)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in out.rglob("*")
    }


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def rank_1_of(pid: int) -> int | None:
    """The process that a recording in two processes has started, if it has."""
    return next((child for child in family(pid)[1:] if _parent(child) == pid and _is_rank_1(child)), None)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _is_rank_1(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "LOCAL_RANK=1\n"
    except (FileNotFoundError, ProcessLookupError):
        return False  # a command that torch runs


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], process: Command | None = None) -> None:
    """Wait for what comes true. Fails after two minutes, or where a process ends that was to make it true."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def send(pids: Iterable[int], signum: int) -> None:
    """A signal to those of them that are alive."""
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, signum)
