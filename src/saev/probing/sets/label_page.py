"""The page on which a set is labelled blind; it opens from the file system, and knows nothing of activations.

label.html        the page; the same for every set
label/            its style and scripts, and data.js with the claim and the pictures
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from saev.pages.embedding import ascii_json
from saev.pages.shared import LOOK, copy_shared

LABEL_PAGE: Final = "label.html"
_FOLDER: Final = "label"


def write_label_page(
    directory: Path, *, digest: str, hypothesis: str, text: str, pictures: Sequence[tuple[str, str]]
) -> None:
    """Write the page of a set into its directory.

    Args:
        directory: Where the pictures are.
        digest: Of the set: answers belong to it.
        hypothesis: Its id, for the name of the exported file.
        text: The claim in words.
        pictures: Id and path below `directory` of each, in the order in which they are shown.

    Raises:
        OSError: If the disk does not take it.
    """
    (directory / _FOLDER).mkdir()
    for asset in (files("saev.probing.sets") / "assets").iterdir():
        place = directory if asset.name == LABEL_PAGE else directory / _FOLDER
        (place / asset.name).write_bytes(asset.read_bytes())
    copy_shared((*LOOK, "theme_button.js"), directory / _FOLDER)
    value = {"digest": digest, "hypothesis": hypothesis, "text": text, "pictures": [list(one) for one in pictures]}
    (directory / _FOLDER / "data.js").write_text(f"takeSet({ascii_json(value)});\n", encoding="ascii")
