"""Finished recordings are read-only; a test that damages one takes that back."""

from pathlib import Path


def writable(directory: Path) -> Path:
    """Let the owner change a directory and its files."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    return directory
