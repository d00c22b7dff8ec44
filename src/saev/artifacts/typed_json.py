"""Dataclasses from JSON that is untrusted: the types of their fields say what is read."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from saev.shards.format.strict_json import JsonObject, located

Made = TypeVar("Made")
OrNan = Annotated[float, "null where it is not a number"]
"""A number that is NaN here, and null in JSON, where there is none."""


def from_json(kind: type[Made], value: object, where: str) -> Made:
    """A dataclass, or a TypedDict, from a JSON object with exactly its fields.

    Fields are texts, integers of at least 0, numbers, truths, `Literal` texts, `X | None` (null), tuples and lists of
    any length, objects of anything (a `Mapping` or `dict`), and further dataclasses. What a dataclass checks itself is
    checked.

    Args:
        kind: The class. A field whose metadata has "json" is called so in JSON.
        value: The object.
        where: Begins all messages.

    Raises:
        InputError: For anything else, or from the class.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Point:
    ...     xs: tuple[float, ...]
    ...     name: str | None
    >>> from_json(Point, {"xs": [1, 2.5], "name": None}, "here")
    Point(xs=(1.0, 2.5), name=None)
    """
    names, hints = _fields(kind)  # type: ignore[arg-type]  # classes can be hashed
    JsonObject(value, where, names)
    assert isinstance(value, dict), "checked"
    facts = {name: _read(hints[name], value[key], key, where, f"{where}: {key}") for key, name in names.items()}
    with located(where):
        return kind(**facts)


@cache
def _fields(kind: type) -> tuple[dict[str, str], dict[str, Any]]:
    """Names of fields by what they are called in JSON, and the types of fields by their names."""
    hints = get_type_hints(kind, include_extras=True)
    if not is_dataclass(kind):
        return {name: name for name in hints}, hints
    return {one.metadata.get("json", one.name): one.name for one in fields(kind)}, hints


def _read(hint: Any, value: object, key: str, where: str, own: str) -> Any:
    """The value of a key; `own` is what further objects in it begin their messages with."""
    found = JsonObject({key: value}, where, (key,))
    simple: dict[Any, Any] = {str: found.text, int: found.integer, float: found.number, bool: found.boolean}
    if hint in simple:
        return simple[hint](key)
    kind, inside = get_origin(hint), get_args(hint)
    if hint == OrNan:
        return math.nan if value is None else found.number(key)
    if kind is Literal:
        return found.choice(key, inside)
    if kind in (Union, UnionType):
        return None if value is None else _read(inside[0], value, key, where, own)
    if kind in (tuple, list):
        return kind(_read(inside[0], one, key, where, f"{own}[{n}]") for n, one in enumerate(found.array(key)))
    if kind in (dict, Mapping):
        return found.mapping(key)
    return from_json(hint, value, own)
