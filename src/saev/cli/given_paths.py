"""Paths on command lines and in configuration files. Importing this module lets jsonargparse check them."""

from pathlib import Path

from jsonargparse.typing import register_type

EMPTY = "an empty name is no path: give a directory or file"


def given_path(text: str | Path) -> Path:
    """A path that a user gave.

    Raises:
        ValueError: If it is empty, as where a variable of the shell is not set: Path("") is the working directory.
    """
    if not str(text).strip():
        raise ValueError(EMPTY)
    return Path(text)


register_type(Path, str, given_path, type_check=isinstance)
