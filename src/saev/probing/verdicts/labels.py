"""What is known of the pictures of sets: labels of their own, or the answers of people."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from saev.errors import InputError
from saev.files import read_regular_text
from saev.probing.sets.answers import Labelled, read_answers
from saev.probing.sets.image_set import ImageSet

_MAX_BYTES = 2**26


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
