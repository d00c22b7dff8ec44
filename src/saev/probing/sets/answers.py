"""Labels of a set's pictures, and what people answered on its page, exported as CSV.

Shape suffixes: k = pictures of the set.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, one_line, printable
from saev.files import read_regular_text
from saev.probing.sets.image_set import ImageSet
from saev.probing.statistics.arrays import Bools, Floats

COLUMNS: Final = ["picture", "answer", "seconds", "set"]
_ANSWERS: Final = {"yes": 1, "no": 0, "unsure": -1}
_MAX_BYTES: Final = 2**26


@final
@dataclass(frozen=True)
class Labelled:
    """Labels of the pictures of a set."""

    y_k: NDArray[np.int8]  # int8: 1 has the attribute, 0 has not, -1 not known.
    seen_k: Bools  # Whether anybody looked at the picture: "unsure" is an answer.

    @property
    def n_unsure(self) -> int:
        """Pictures of which nobody could say."""
        return int(((self.y_k < 0) & self.seen_k).sum())

    @property
    def n_unanswered(self) -> int:
        """Pictures that nobody came to."""
        return int((~self.seen_k).sum())

    def weights_k(self, made: ImageSet) -> Floats:
        """(k,) for how many pictures each stands; 0 outside the sample.

        The pictures that were looked at stand for those of their stratum that nobody came to. Unsure ones stand for
        others of which nobody could say, and are left out with them.

        Raises:
            InputError: If nobody looked at any picture of a stratum.
        """
        stratum_k = np.array([-1 if one.stratum is None else one.stratum for one in made.pictures])
        weights_k = np.zeros(len(stratum_k))
        for number, stratum in enumerate(made.strata):
            own_k = stratum_k == number
            n = np.count_nonzero(own_k & self.seen_k)
            if not n:
                raise InputError(
                    f"none of the {stratum.n} pictures with values {stratum.low:.4g} to {stratum.high:.4g} has an "
                    "answer: answer more of them"
                )
            weights_k[own_k] = stratum.size / n
        return weights_k


def read_answers(path: str | Path, made: ImageSet) -> Labelled:
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
    seen_k = np.zeros(len(places), dtype=np.bool_)
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
        if seen_k[place]:
            raise InputError(f"{where}: a second answer to picture {picture}: give the answers of one person")
        _check_seconds(seconds, where)
        y_k[place], seen_k[place] = _ANSWERS[answer], True
    if len(rows) == 1:
        raise InputError(f"{path}: there is no answer in it")
    return Labelled(y_k, seen_k)


def labels_of(sets: Mapping[Path, ImageSet], answers: Sequence[str | Path]) -> dict[Path, Labelled]:
    """The labels of sets, by their directories.

    Args:
        sets: The sets, by their directories.
        answers: Files that their pages exported, in any order.

    Raises:
        InputError: If a set has neither labels nor answers, or both, or answers twice, or a file of answers belongs to
            none of the sets, or has a mistake.
    """
    given: dict[Path, Path] = {}
    for one in answers:
        text = read_regular_text(one, _MAX_BYTES)
        own = [directory for directory, made in sets.items() if made.digest in text]
        if not own:
            raise InputError(
                f"{one}: no answers to any of the sets {', '.join(map(str, sets))}: give those of their pages"
            )
        if own[0] in given:
            raise InputError(f"{given[own[0]]} and {one} both answer {own[0]}: give the answers of one person")
        given[own[0]] = Path(one)
    return {directory: _labels(directory, made, given.get(directory)) for directory, made in sets.items()}


def _labels(directory: Path, made: ImageSet, answers: Path | None) -> Labelled:
    if not made.asks_people:
        if answers is not None:
            raise InputError(f"{directory} has labels of its own: leave out {answers}")
        return Labelled(made.labels_k, np.ones(len(made.pictures), dtype=np.bool_))
    if answers is None:
        raise InputError(
            f"{directory} has no labels: open {directory / 'label.html'}, answer, and give what it exports (--answers)"
        )
    return read_answers(answers, made)


def _check_seconds(text: str, where: str) -> None:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InputError(f"{where}: '{printable(text[:80])}' are no seconds")
