"""What no number on a command line may be, whichever option it is given to."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from jsonargparse import Namespace

from saev.errors import InputError

LARGEST: Final = 2**53
"""Of whole numbers: all that reads JSON keeps them exactly up to here."""


def check_numbers(options: Namespace) -> None:
    """See whether options hold numbers that can be worked with; what is sensible for each one is checked elsewhere.

    Raises:
        InputError: For what is not a number (nan), and for whole numbers beyond 2^53.
    """
    for name, value in leaves(options, ""):
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"--{name} {value}: give a number")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise InputError(f"--{name} {value}: whole numbers go from -2^53 to 2^53: give a smaller one")


def leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Names, with dots, and values of all single options below a value; those of a list have its name."""
    if isinstance(value, Namespace | Mapping):
        items = vars(value) if isinstance(value, Namespace) else value
        for key, one in items.items():
            yield from leaves(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, value
