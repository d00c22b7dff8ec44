"""What people answered on the page of a set, exported as CSV.

Shape suffixes: k = pictures of the set.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, one_line, printable
from saev.files import read_regular_text
from saev.probing.sets.image_set import ImageSet

COLUMNS: Final = ["picture", "answer", "seconds", "set"]
_ANSWERS: Final = {"yes": 1, "no": 0, "unsure": -1}
_MAX_BYTES: Final = 2**26


@final
@dataclass(frozen=True)
class Answers:
    """The answers to all pictures of a set.

    Args:
        y_k: int8: 1 yes, 0 no, -1 unsure or without an answer.
        seconds_k: For how long each was looked at; nan without an answer.
    """

    y_k: NDArray[np.int8]
    seconds_k: NDArray[np.float64]

    @property
    def n_open(self) -> int:
        """Pictures without an answer."""
        return int(np.isnan(self.seconds_k).sum())

    @property
    def n_unsure(self) -> int:
        """Pictures of which nobody could say."""
        return int((self.y_k < 0).sum()) - self.n_open


def read_answers(path: str | Path, made: ImageSet) -> Answers:
    """Read answers that the page of a set exported, perhaps saved again by a spreadsheet. Some may be missing.

    Raises:
        InputError: If the file cannot be read or is no such table; if an answer belongs to another set or an unknown
            picture, is none of yes, no and unsure, or is the second one to its picture. Names the line.
    """
    text = read_regular_text(path, _MAX_BYTES)
    try:
        rows = list(csv.reader(text.splitlines(), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: no table of answers ({one_line(error)})") from error
    if not rows or rows[0] != COLUMNS:
        found = printable(",".join(rows[0])[:80]) if rows else "nothing"
        raise InputError(f"{path} begins with '{found}', not with '{','.join(COLUMNS)}': export the page's answers")
    places = {one.id: place for place, one in enumerate(made.pictures)}
    y_k = np.full(len(places), -1, dtype=np.int8)
    seconds_k = np.full(len(places), np.nan)
    for line, row in enumerate(rows[1:], 2):
        where = f"{path}, line {line}"
        if len(row) != len(COLUMNS):
            raise InputError(f"{where}: {len(row)} values instead of {len(COLUMNS)}")
        picture, answer, seconds, digest = row
        if digest != made.digest:
            raise InputError(
                f"{where}: an answer to the set {printable(digest[:64])}, not to {made.digest}: give the file that was "
                "exported from the page of this set"
            )
        if picture not in places:
            raise InputError(f"{where}: the set has no picture '{printable(picture[:80])}'")
        if answer not in _ANSWERS:
            raise InputError(f"{where}: answer '{printable(answer[:80])}': it must be {', '.join(_ANSWERS)}")
        place = places[picture]
        if not math.isnan(seconds_k[place]):
            raise InputError(f"{where}: a second answer to picture {picture}: give the answers of one person")
        y_k[place], seconds_k[place] = _ANSWERS[answer], _seconds(seconds, where)
    if len(rows) == 1:
        raise InputError(f"{path}: there is no answer in it")
    return Answers(y_k, seconds_k)


def _seconds(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InputError(f"{where}: '{printable(text[:80])}' are no seconds")
    return found
