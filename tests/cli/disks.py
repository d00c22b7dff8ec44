"""File systems of a test's own: small ones, and those that cannot be written."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PAGE = resource.getpagesize()
Disk = Callable[[int], Path]


def mount(*options: str) -> None:
    """Call mount; a machine where it may not be called passes over the test."""
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of its own in memory, and a function that sets the number of its pages."""
    root = tmp_path / "disk"
    root.mkdir()

    def resize(n_pages: int, remount: str = "remount,") -> Path:
        mount("-t", "tmpfs", "-o", f"{remount}size={n_pages * PAGE}", "tmpfs", str(root))
        return root

    resize(1, remount="")
    yield resize
    subprocess.run(["umount", str(root)], check=True)


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Let nobody write in there, root neither."""
    if os.geteuid():
        paths = [path for path in (directory, *directory.rglob("*")) if path.is_dir()]
        for path in paths:
            path.chmod(0o555)
        yield
        for path in paths:
            path.chmod(0o755)
        return
    mount("--bind", str(directory), str(directory))
    try:
        mount("-o", "remount,ro,bind", str(directory))
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)
