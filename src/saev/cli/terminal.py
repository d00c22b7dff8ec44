"""What this process writes to a terminal: nothing that a file is called, or says, steers it or fools its reader."""

import logging
import sys
import warnings
from typing import TextIO, final

from typing_extensions import override

from saev.errors import printable


@final
class _EscapedRecord(logging.LogRecord):
    """All handlers take the message from here, those of other libraries, too."""

    @override
    def getMessage(self) -> str:
        """The message: one line of ours, as many of others as they have."""
        text = super().getMessage()
        return printable(text) if self.name.partition(".")[0] == "saev" else _lines(text)


def escape_log() -> None:
    """Escape what is logged from now on, by whatever library."""
    logging.setLogRecordFactory(_EscapedRecord)


def escape_warnings() -> None:
    """Escape Python's warnings from now on."""
    warnings.showwarning = _show


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(_lines(warnings.formatwarning(message, category, filename, lineno, line)), end="", file=file or sys.stderr)


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))
