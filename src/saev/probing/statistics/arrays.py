"""Types of arrays, the checks of what the statistics are given, and numbers of what belongs together."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from saev.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
AnyType = TypeVar("AnyType", bound=np.generic)


def as_labels(y: ArrayLike, name: str = "labels") -> Bools:
    """Labels as booleans, of the same shape.

    Raises:
        InputError: If they are other than 0 and 1.

    >>> as_labels([0, 1, 1])
    array([False,  True,  True])
    """
    found = np.asarray(y)
    if found.dtype != np.bool_ and not np.isin(found, (0, 1)).all():
        wrong = found[~np.isin(found, (0, 1))][0]
        raise InputError(f"{name} are 0 and 1, and one is {wrong}: leave out pictures without a label")
    return found.astype(np.bool_)


def as_floats(values: ArrayLike, name: str = "values") -> Floats:
    """Values as float64, of the same shape.

    Raises:
        InputError: If one is not finite.
    """
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise InputError(f"{name} hold {np.count_nonzero(~np.isfinite(found))} that are not finite")
    return found


def as_weights(weights_i: ArrayLike | None, n: int) -> Floats:
    """Weights of n pictures (n,), 1 where there are none.

    Raises:
        InputError: If they are negative, not finite, all 0, or not n.
    """
    if weights_i is None:
        return np.ones(n)
    found = as_floats(weights_i, "weights")
    same_length(n, weights=found)
    if (found < 0).any() or (n and not found.any()):
        raise InputError("weights are numbers of at least 0, and one of them is above 0")
    return found


def as_numbers(names: ArrayLike | None, n: int, name: str) -> Integers:
    """Numbers from 0 of what n pictures belong to (n,); without names each picture stands alone.

    Raises:
        InputError: If the names are not n.

    >>> as_numbers(["b", "a", "b"], 3, "groups").tolist()
    [1, 0, 1]
    """
    if names is None:
        return np.arange(n)
    found = np.asarray(names)
    same_length(n, **{name: found})
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def as_strata(names: ArrayLike | None, n: int, name: str = "strata") -> Integers:
    """`as_numbers`, but without names all pictures are in one."""
    return np.zeros(n, np.int64) if names is None else as_numbers(names, n, name)


def in_order(names: NDArray[Any]) -> Integers:
    """Numbers from 0 of names, in the order in which they first appear.

    >>> in_order(np.array([7, 2, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    found: Integers = np.argsort(np.argsort(first))[which]
    return found


def equal_ones(arrays: Iterable[NDArray[AnyType]]) -> Iterator[tuple[NDArray[AnyType], Integers]]:
    """Distinct ones of arrays of one length, in the order in which they first appear, each with its places.

    >>> [(one.tolist(), places.tolist()) for one, places in equal_ones(np.array([[1, 2], [3, 4], [1, 2]]))]
    [([1, 2], [0, 2]), ([3, 4], [1])]
    """
    found: dict[bytes, tuple[NDArray[AnyType], list[int]]] = {}
    for place, one in enumerate(arrays):
        found.setdefault(one.tobytes(), (one, []))[1].append(place)
    for one, places in found.values():
        yield one, np.array(places)


def components(ones: Integers, others: Integers, n: int) -> Integers:
    """Which of n hang together (n,), by pairs that do.

    >>> components(np.array([0, 1]), np.array([2, 1]), 3).tolist()
    [0, 1, 0]
    """
    graph = coo_array((np.ones(len(ones), np.int8), (ones, others)), shape=(n, n))
    found: Integers = connected_components(graph, directed=False)[1] if n else ones
    return found.astype(np.int64)


def same_length(n: int, **arrays: NDArray[Any]) -> None:
    """Check that arrays are vectors of n pictures.

    Raises:
        InputError: If one is not.
    """
    for name, array in arrays.items():
        if array.shape != (n,):
            raise InputError(f"{name} are of shape {array.shape}, and the pictures are {n}")
