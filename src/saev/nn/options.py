"""The options of an architecture as JSON has them: checked before they build an SAE, and before one is trained."""

import inspect
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import torch

from saev.errors import InputError, one_line
from saev.nn.base import ARCHITECTURES, SparseAutoencoder
from saev.registry import path_of

OWN_KEYS: Final = ("schema", "architecture", "about")
"""Of config.json, beside the options."""

_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", NoneType: "null"}


def check_options(architecture: type[SparseAutoencoder], options: Mapping[str, object], where: Path | str) -> None:
    """Compare options with what an architecture takes.

    Args:
        architecture: A class of SAEs.
        options: Its arguments, as JSON has them.
        where: What they come from.

    Raises:
        InputError: Naming the option that it does not have, lacks, or whose value is of another kind.
    """
    known = inspect.signature(architecture).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in known.values())
    if not takes_all and (unknown := options.keys() - known.keys()):
        raise InputError(f"{where}: {architecture.__name__} has no option {min(unknown)!r}")
    if "d_in" not in options:
        raise InputError(f"{where}: d_in is missing")
    kinds = argument_types(architecture)
    for name, value in options.items():
        if name in kinds and not _fits(value, kinds[name]):
            raise InputError(f"{where}: {name} is {value!r}, not {_in_words(kinds[name])}")


def check_rebuilds(sae: SparseAutoencoder) -> None:
    """Check whether what is saved of an SAE builds it again, and make its class known: asked before it is trained.

    Raises:
        InputError: If another class has its name, or its `options` are not all of its arguments, cannot be saved as
            JSON, or build another SAE.
    """
    architecture, options = type(sae), sae.options()
    ARCHITECTURES.add(architecture)
    where = f"{path_of(architecture)}.options()"
    if not isinstance(options, dict):
        raise InputError(f"{where} is {options!r}: it must give a dict of all arguments but d_in")
    try:
        saved = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} cannot be saved as JSON ({one_line(error)}): give numbers, texts and lists"
        ) from error
    for name, value in options.items():
        if saved.get(name) != value:
            raise InputError(f"{where}: {name} is {value!r}, which JSON makes {saved.get(name)!r} of: give that")
        if name in OWN_KEYS:
            raise InputError(f"{where}: {name} has a meaning of its own in config.json: rename the argument")
    check_options(architecture, {"d_in": sae.d_in, **saved}, where)
    try:
        with torch.device("meta"):
            again = architecture(d_in=sae.d_in, **saved)
    except Exception as error:  # the code is the user's
        raise InputError(f"{where} {saved} makes no SAE: {one_line(error)}") from error
    for name in inspect.signature(architecture).parameters:
        own, other = getattr(sae, name, None), getattr(again, name, None)
        if isinstance(own, int | float | str | list | tuple) and own != other:
            raise InputError(f"{where} {saved} makes an SAE whose {name} is {other!r}, not {own!r}: give it so")
    if again.options() != options or _shapes(again) != _shapes(sae):
        raise InputError(
            f"{where} {saved} makes another SAE, with the options {again.options()}: it must give the arguments that "
            "this one was built with"
        )


def _shapes(sae: SparseAutoencoder) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in sae.state_dict().items()}


def argument_types(architecture: Callable[..., SparseAutoencoder]) -> dict[str, Any]:
    """The types of its arguments, as far as they are known."""
    try:
        return get_type_hints(architecture.__init__ if inspect.isclass(architecture) else architecture)
    except Exception:  # the code may be the user's, and name types that are imported for type checkers only
        return {}


def _fits(value: object, kind: Any) -> bool:
    """Whether a value is of a kind; true for kinds that JSON does not have, which `check_rebuilds` tries."""
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(one, get_args(kind)[0]) for one in value)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type] # checked before
    return kind not in _WORDS or type(value) is kind


def _in_words(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_in_words(one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is list:
        return f"a list, each {_in_words(get_args(kind)[0])}"
    return _WORDS[kind]
