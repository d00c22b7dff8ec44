"""What tells as much as the latents without looking at the picture: its class, or another value in the user's table.

Shape suffixes: i = pictures of the proposal half, k = pictures of the set, c = values (classes).
"""

from collections.abc import Iterable, Iterator

import numpy as np

from saev.errors import InputError
from saev.latents.labels import Labels
from saev.latents.metadata import Metadata
from saev.probing.hypotheses.hypothesis import AttributeName
from saev.probing.statistics.arrays import Bools, Floats, Integers

LABEL = "label"


def confounding(labels: Labels, metadata: Metadata | None, attribute: AttributeName) -> Iterator[tuple[str, Integers]]:
    """Names and values (numbers of each picture of the recording, -1 unknown) of what may stand behind a latent.

    These are the recorded label, and the columns of the table that are categorical or boolean; not what the claim is
    about.

    Args:
        attribute: What the claim is about.
    """
    if len(labels.names) > 1 and attribute.source != "label":
        yield "class only", labels.numbers
    for column in metadata.columns if metadata is not None else ():
        is_claimed = attribute.source == "metadata" and attribute.name.partition("=")[0] == column.name
        if column.kind in ("categorical", "boolean") and not is_claimed:
            yield f"{column.name} only", column.numbers_i


def check_strata(name: str, attributes: Iterable[AttributeName]) -> None:
    """Check that claims are about something else than the strata within which they are tested.

    Raises:
        InputError: If one is not: within each stratum all pictures would have the same label.
    """
    for one in attributes:
        own = LABEL if one.source == "label" else one.name.partition("=")[0] if one.source == "metadata" else None
        if own == name:
            raise InputError(f"strata {name!r}: {one.source}:{one.name} is the same for all pictures of a stratum")


def strata_of(name: str, labels: Labels, metadata: Metadata | None) -> Integers:
    """The stratum of each picture of the recording, -1 where it is not known.

    Args:
        name: "label" for the recorded label, otherwise a column of the table.

    Raises:
        InputError: If there is no such column, it is no categorical or boolean one, or no labels were recorded.
    """
    if name == LABEL:
        if not labels.names:
            raise InputError("strata 'label': the recording has no labels: give a column of a table (metadata)")
        return labels.numbers
    if metadata is None:
        raise InputError(f"strata {name!r}: give the table that has this column (metadata), or 'label'")
    column = metadata.column(name)
    if column.kind not in ("categorical", "boolean"):
        raise InputError(f"strata {name!r}: the column is {column.kind}: give one of a few words that repeat")
    return column.numbers_i


def fires_by_value(values_i: Floats, threshold: float, value_i: Integers, value_k: Integers) -> Bools:
    """Firing (k,) that is guessed from a confounder alone.

    A picture gets the mean that the latents have on the proposal half's pictures of its value, and of all where that is
    not known; it fires where that exceeds a threshold, chosen such that as many pictures of the proposal half fire as
    do by the latents, as nearly as equal means allow.

    Args:
        values_i: Values of the latents.
        threshold: Above which they fire.
        value_i: Numbers of the confounder's values, -1 unknown.
        value_k: The same of the set.

    >>> values, classes = np.array([5.0, 4, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1, 1])
    >>> fires_by_value(values, 2.0, classes, np.array([1, 0]))
    array([False,  True])
    """
    n = int(max(value_i.max(initial=-1), value_k.max(initial=-1))) + 1
    known_i = value_i >= 0
    size_c = np.bincount(value_i[known_i], minlength=n)
    sum_c = np.bincount(value_i[known_i], weights=values_i[known_i], minlength=n)
    mean_c = np.where(size_c > 0, sum_c / np.maximum(size_c, 1), values_i.mean())
    mean_c = np.append(mean_c, values_i.mean())  # where -1 is
    guess_i, n_fires = mean_c[value_i], np.count_nonzero(values_i > threshold)
    levels = np.append(np.unique(guess_i), -np.inf)
    n_above = np.array([np.count_nonzero(guess_i > level) for level in levels])
    found: Bools = mean_c[value_k] > levels[np.abs(n_above - n_fires).argmin()]
    return found
