"""What is known of the pictures of sets: labels of their own, or the answers of people.

Shape suffix: k = pictures of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.files import read_regular_text
from saev.probing.sets.answers import read_answers
from saev.probing.sets.image_set import ImageSet
from saev.probing.statistics.arrays import Bools, Floats

_MAX_BYTES = 2**26


@final
@dataclass(frozen=True)
class Labelled:
    """Labels of the pictures of a set.

    Args:
        y_k: int8: 1 has the attribute, 0 has not, -1 not known.
        seen_k: Whether anybody looked at the picture: "unsure" is an answer.
    """

    y_k: NDArray[np.int8]
    seen_k: Bools

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
    found = read_answers(answers, made)
    return Labelled(found.y_k, ~np.isnan(found.seconds_k))
