"""A set on disk: SETS/HYPOTHESIS/ with set.json, pictures/ and the page on which they are labelled.

set.json      what `ImageSet` says: not for those who label
pictures/     p001.jpg, ...: links to the pictures, or copies, in random order and with names that say nothing
shown/        the same as the ViT saw them, as PNG: what the page shows
label.html    the page, the same for every set; label/ has its style and scripts, and data.js with claim and pictures
The last two are there where people are asked. `paired_set` says what pairs of pictures add.
"""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from PIL import Image

from saev.files import new_directory
from saev.pages.embedding import ascii_json
from saev.pages.shared import LOOK, copy_shared
from saev.probing.sets.image_set import ImageSet, SetPicture
from saev.probing.sets.sealed import checked, read_checked
from saev.vit.images.decode import decode

SET_FILE: Final = "set.json"
PICTURES: Final = "pictures"
SHOWN: Final = "shown"
LABEL_PAGE: Final = "label.html"
_LABEL: Final = "label"

View = Callable[[Image.Image], Image.Image]


def write_set(
    directory: Path,
    made: ImageSet,
    source: Callable[[SetPicture], Path | bytes],
    view: View = Image.Image.copy,
    more: Callable[[Path, ImageSet], ImageSet] | None = None,
) -> None:
    """Write a set into a new directory, which is there whole or not at all.

    Args:
        directory: SETS/HYPOTHESIS.
        source: Where a picture is, which is then linked, or its bytes, which are then copied.
        view: What people see of a picture, RGB: what the ViT saw of it. What is cut off must not decide their answers.
        more: Writes what else belongs into the directory, which has the pictures by then, and gives the set that names
            it.

    Raises:
        InputError: If something is there already, the disk does not take it, or a picture is gone or is not the one any
            more that was recorded; or from `more`.
    """
    with new_directory(directory) as partial:
        (partial / PICTURES).mkdir()
        if made.asks_people:
            (partial / SHOWN).mkdir()
        shown = []
        for one in made.pictures:
            data = _put(partial / PICTURES / one.file, one, source(one))
            if made.asks_people:
                shown.append((one.id, f"{SHOWN}/{one.id}.png"))
                view(decode(data, one.path)).save(partial / shown[-1][1])
        if more is not None:
            made = more(partial, made)
        if made.asks_people:
            _write_label_page(partial, made, shown)
        made.write(partial / SET_FILE)


def read_set(directory: Path) -> ImageSet:
    """Read what a set says of itself; see `check_pictures` for its pictures.

    Raises:
        InputError: If there is none, or it was edited.
    """
    return ImageSet.read(directory / SET_FILE)


def read_picture(directory: Path, picture: SetPicture) -> bytes:
    """The bytes of a picture's file, checked.

    Raises:
        InputError: If it is missing or another one.
    """
    return read_checked(directory / PICTURES / picture.file, picture.sha256, f"was recorded as '{picture.path}'")


def _put(place: Path, picture: SetPicture, source: Path | bytes) -> bytes:
    """Link or copy a picture; its bytes."""
    built_from = f"was recorded as '{picture.path}'"
    if isinstance(source, Path):
        data = read_checked(source, picture.sha256, built_from)
        place.symlink_to(source.absolute())
    else:
        data = checked(source, picture.sha256, f"'{picture.path}'", built_from)
        place.write_bytes(data)
    return data


def _write_label_page(directory: Path, made: ImageSet, pictures: Sequence[tuple[str, str]]) -> None:
    """The page on which a set is labelled blind: it opens from the file system, and knows nothing of activations.

    `pictures` are the id and the path of each, in the order in which they are shown.
    """
    (directory / _LABEL).mkdir()
    for asset in (files("saev.probing.sets") / "assets").iterdir():
        place = directory if asset.name == LABEL_PAGE else directory / _LABEL
        (place / asset.name).write_bytes(asset.read_bytes())
    copy_shared((*LOOK, "theme_button.js"), directory / _LABEL)
    claim = {"digest": made.digest, "hypothesis": made.hypothesis, "text": made.text}
    script = f"takeSet({ascii_json({**claim, 'pictures': pictures})});\n"
    (directory / _LABEL / "data.js").write_text(script, encoding="ascii")
