"""Many SAEs out of one description: all combinations of some options' values."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from saev.errors import InputError
from saev.modules.training_options import TrainingOptions
from saev.nn import SparseAutoencoder

OF_SAE = "sae."


def combinations(sweep: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of values, the last option varying fastest.

    >>> combinations({"sae.k": [1, 2], "lr": [0.1]})
    [{'sae.k': 1, 'lr': 0.1}, {'sae.k': 2, 'lr': 0.1}]

    Raises:
        InputError: If an option has no values, or one twice.
    """
    for name, values in sweep.items():
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise InputError(f"sweep: {name} needs a list of values, not {values!r}")
        if len({repr(value) for value in values}) < len(values):
            raise InputError(f"sweep: {name} has a value twice in {list(values)}")
    return [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]


def of_sae(combination: Mapping[str, Any], architecture: Callable[..., SparseAutoencoder]) -> dict[str, Any]:
    """The options of the architecture in a combination.

    Args:
        combination: Options and values.
        architecture: What builds the SAE: a class, or a partial of one.

    Raises:
        InputError: If the architecture has no such option.
    """
    found = {name.removeprefix(OF_SAE): value for name, value in combination.items() if name.startswith(OF_SAE)}
    known = _options_of(architecture)
    for name in found:
        if name not in known:
            raise InputError(f"sweep: the SAE has no option {name!r}; it has {', '.join(known)}")
    return found


def of_training(combination: Mapping[str, Any]) -> dict[str, Any]:
    """The options of training in a combination.

    Raises:
        InputError: If there is no such option.
    """
    found = {name: value for name, value in combination.items() if not name.startswith(OF_SAE)}
    for name in found:
        if name not in TrainingOptions.names():
            known = ", ".join(["sae.OPTION", *TrainingOptions.names()])
            raise InputError(f"sweep: there is no option {name!r} to sweep over; there are {known}")
    return found


def _options_of(architecture: Callable[..., SparseAutoencoder]) -> list[str]:
    # The command line gives a partial of a function whose first argument is the class.
    args = getattr(architecture, "args", ())
    found = next((arg for arg in args if inspect.isclass(arg)), architecture)
    return [name for name in inspect.signature(found).parameters if name != "d_in"]
