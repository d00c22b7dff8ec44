"""Files of options on a command line, looked at before a parser opens whatever exists under a value's name."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from saev.artifacts.run_directory import MAX_CONFIG_BYTES
from saev.cli.parsing.numbers import leaves
from saev.errors import InputError
from saev.files import irregular

_OF_THE_SHELL: Final = ("/dev/fd/", "/proc/self/fd/")
"""Where a shell puts what stands between the parentheses of ``--config <(...)``: a pipe that somebody writes to."""

_OF_DATA: Final = ("--metadata",)
"""Options without a dot whose files are data, too."""


def check_given_files(argv: Sequence[str]) -> None:
    """Refuse FIFOs, devices and sockets as values, and files of options that are too large.

    A pipe that the shell has made for ``--config`` is taken.

    The parser takes a file in place of every group of options, not only behind ``--config``.

    Raises:
        InputError: For the first one; names the option and the file.
    """
    _check(_given(argv))


def check_named_files(options: Mapping[str, object]) -> None:
    """The same for options that come from a file: the parser opens what their values name, too."""
    _check((f"--{name}", value) for name, value in leaves(options, "") if isinstance(value, str))


def _check(given: Iterable[tuple[str, str]]) -> None:
    for option, value in given:
        is_substituted = option == "--config" and value.startswith(_OF_THE_SHELL)
        try:
            status = os.stat(value)  # noqa: PTH116 - most values are no paths, and some no names of files
        except (OSError, ValueError):
            if is_substituted:
                raise InputError(f"{option} {value}: only one process gets the shell's pipe: give a file") from None
            continue
        if os.path.isdir(value) or (is_substituted and stat.S_ISFIFO(status.st_mode)):  # noqa: PTH112
            continue
        # What has a dot is mostly no group but a file of data, of weights or of pictures, which has its own bound.
        fault = irregular(status, status.st_size if "." in option or option in _OF_DATA else MAX_CONFIG_BYTES)
        if fault:
            raise InputError(f"{option} {value}: {fault}".lstrip())


def _given(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options and what stands behind them."""
    for before, this in pairwise(["", *argv]):
        if this.startswith("-"):
            option, is_joined, value = this.partition("=")
            if is_joined:
                yield option, value
        else:
            yield before.partition("=")[0], this
