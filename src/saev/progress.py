"""Progress bars. In a terminal they are tqdm's; in a log they are a line a minute at most, and one at the end."""

import io
import sys
import time
from collections.abc import Iterable, Sized
from typing import Any, Final, TypeVar, final, overload

from tqdm import tqdm
from typing_extensions import override

T = TypeVar("T")
SECONDS: Final = 60.0
"""Between two lines of a bar in a log."""


def draws() -> bool:
    """Whether standard error can draw a line again: a terminal, or the output of a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


@final
class Lines(io.TextIOBase):
    """What a single bar at position 0 writes to, where nothing can be drawn again: lines on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._latest, self._written = "", time.monotonic()

    @override
    def write(self, text: str) -> int:
        """Keep the text of a bar, and print it if the last one is a minute old. A line break alone ends the bar."""
        if shown := text.strip():
            self._latest = shown
        if (text == "\n" or time.monotonic() - self._written >= SECONDS) and self._latest:
            print(self._latest, file=sys.stderr, flush=True)
            self._latest, self._written = "", time.monotonic()
        return len(text)


@overload
def progress_bar(items: Iterable[T], **options: Any) -> "tqdm[T]": ...


@overload
def progress_bar(items: None = None, **options: Any) -> "tqdm[Any]": ...


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A bar on standard error; none where there is nothing to do.

    Args:
        items: What it counts, if it is not told by `update`.
        options: Those of tqdm: `total`, `desc`, `unit`, `disable`, ...
    """
    total = options.get("total", len(items) if isinstance(items, Sized) else None)
    if total == 0:
        options["disable"] = True
    if not draws():
        options |= {"file": Lines(), "position": 0}
    return tqdm(items, **options)
