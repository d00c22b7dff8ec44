"""Style and scripts that all pages share, as files of this package.

look.css         colours, light and dark, and what headings, buttons, pictures and the bar look like
storage.js       small texts kept in the browser
theme.js         light, dark, or as the system says; after storage.js, and before the first paint
theme_button.js  the button that switches the theme
show.js          elements, numbers and texts of users
svg.js           elements of SVG
icon.svg         for the browser's tab
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

LOOK: Final = ("look.css", "icon.svg", "storage.js", "theme.js")
"""What each page needs; its theme follows the system, or what the user chose on another page."""
DRAWING: Final = ("show.js", "svg.js")
"""For pages that are drawn by scripts."""


def shared(name: str) -> str:
    """The text of one of the files."""
    return (files("saev.pages") / "assets" / name).read_text(encoding="utf-8")


def copy_shared(names: Iterable[str], directory: Path) -> None:
    """Write some of the files into a directory.

    Raises:
        OSError: If the disk does not take them.
    """
    for name in names:
        (directory / name).write_bytes(shared(name).encode())
