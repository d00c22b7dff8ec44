"""What jsonargparse finds wrong with a command line, in one line that a user can act on."""

import contextlib
import inspect
import re
import sys
from argparse import Action
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

import saev.cli.parsing.paths  # noqa: F401 - lets jsonargparse refuse empty paths
from saev.cli.parsing.numbers import check_numbers
from saev.cli.parsing.own_modules import nameable, refusal
from saev.errors import InputError, WrongArgument, short_words
from saev.files import EMPTY

_REQUIRED = "required and not given: "
# Applied one after the other to the message on one line.
_REWRITES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"^.*?Importing '([\w.]+)' is not allowed.*", lambda found: refusal(found[1])),
    (rf"(Parser key \"[\w.]+\":).*({EMPTY}).*", r"\1 \2"),
    (r"- Expected a path but .*? either not accessible or invalid - ", ""),
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"typing\.Literal\[(.*?)\]", r"one of \1"),
    (r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .* Given value: ",
     r"expected one of \1. Got value: "),
    (r"(?:\w+\.)+(\w+)\](?=[,.])", r"\1]"),
    (r"\bNoneType\b", "null"),
    (r"module '([\w.]+)' has no attribute '(\w+)'", r"the module \1 has no \2"),
    (r"No module named '([\w.]+)'", r"there is no module \1, neither installed nor in this directory"),
    (r"Expected a list\b", "expected a list like '[VALUE]'"),
    (r"Expected an? ", "expected "),
    (r"\. Got value: ", ", got "),
    (r"the following arguments are required: ", _REQUIRED),
]  # fmt: skip
_UNKNOWN_OPTION = (r"unrecognized arguments: (--?[\w.+-]+)", r"Group '(\w+)' does not accept option '(\w+)'")
_OF_A_CLASS = (
    r"Parser key \"([\w.]+)\":.*?(?:Problem with given class_path '([\w.]+)': |"
    r"expects a function or a callable class: )(.*?)(?:\.? Got value: Namespace\(class_path='([\w.]+)'.*)?$"
)
_UNKNOWN_CLASS = (
    r"Parser key \"([\w.]+)\":.*(?:(?:dot import path string|import path format): (\S+)|"
    r"Import path (\S+) does not correspond|but (\S+) is abstract)"
)
# What an architecture gets from the shards.
_NOT_OFFERED = ("d_in",)


def parsed(parser: ArgumentParser, argv: list[str]) -> Namespace:
    """The options of a command line.

    Raises:
        InputError: If it is wrong.
        SystemExit: For `--help` (0).
    """
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=nameable())
    try:
        options = parser.parse_args(argv)
        check_numbers(options)
    except ArgumentError as error:
        raise InputError(readable(error, parser)) from error
    except RecursionError as error:
        raise InputError("a value, or a file of --config, is nested too deeply") from error
    return options


@contextlib.contextmanager
def options_below(option: str) -> Iterator[None]:
    """Say what a class refuses that an option names: its arguments are options below this one."""
    try:
        yield
    except WrongArgument as error:
        raise InputError(f"{option}.{error}") from error


def readable(error: Exception, parser: ArgumentParser) -> str:
    """The message of a parser's error, with what to do about it."""
    text = short_words(" ".join(str(error).split()))  # expressions take minutes for values without end
    said = (
        _unknown_class(text, parser)
        or _of_a_class(text, parser)
        or _unknown_option(text, parser)
        or _rewritten(text, parser)
    )
    return f"{said} (see {parser.prog} --help)"


def _rewritten(text: str, parser: ArgumentParser, prefix: str = "") -> str:
    """A message in plain words; the names in it are those of the options below a prefix."""
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    text = re.sub(r"Parser key \"([\w.]+)\":", lambda found: f"{_shown(prefix + found[1], parser)}:", text)
    said, required, names = text.partition(_REQUIRED)
    if required:
        names = ", ".join(_shown(prefix + name, parser) for name in names.split(", "))
    return said + required + names


def _shown(name: str, parser: ArgumentParser) -> str:
    """An argument as the user writes it: with dashes where it is an option."""
    is_positional = any(action.dest == name and not action.option_strings for action in parser._actions)
    return name if is_positional else f"--{name}"


def _of_a_class(text: str, parser: ArgumentParser) -> str | None:
    """What is wrong with an option of a class that another option names."""
    found = re.match(_OF_A_CLASS, text)
    if found is None:
        return None
    key, said = found[1], found[3]
    module, _, name = (found[2] or found[4] or "").rpartition(".")
    unknown = re.match(r"Option '(\w+)' is not accepted", said)
    if unknown is None:
        said = _rewritten(said, parser, f"{key}.")
        return said if "--" in said else f"--{key} {name}".rstrip() + f": {said}"
    known = _options_of(getattr(sys.modules.get(module), name, None))
    listed = f"; it has {', '.join(f'--{key}.{option}' for option in known)}" if known else ""
    return f"--{key} {name} has no option --{key}.{unknown[1]}{listed}"


def _options_of(kind: object) -> list[str]:
    if not inspect.isclass(kind):
        return []
    return [name for name in inspect.signature(kind).parameters if name not in _NOT_OFFERED]


def _unknown_option(text: str, parser: ArgumentParser) -> str | None:
    found = next((match for pattern in _UNKNOWN_OPTION if (match := re.match(pattern, text))), None)
    if found is None:
        return None
    option = found[1] if found.lastindex == 1 else f"--{found[1]}.{found[2]}"
    known = [name for action in parser._actions for name in action.option_strings if not name.endswith("+")]
    near = get_close_matches(option, known, n=3)
    return f"there is no option {option}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _unknown_class(text: str, parser: ArgumentParser) -> str | None:
    found = re.match(_UNKNOWN_CLASS, text)
    names = class_names(found[1], parser) if found else []
    if found is None or not names:
        return None
    if "." in (found[4] or "") and not found[4].startswith("saev."):
        return f"--{found[1]} {found[4]} is abstract: it must have all methods that are abstract in its base"
    given = found[2] or found[3]
    said = f"--{found[1]} {given} is unknown; it" if given else f"--{found[1]} must be given before its options; it"
    folder = "ImageFolder" in names and given and Path(given).is_dir()
    hint = f"; for this folder give --{found[1]} ImageFolder --{found[1]}.root {given}" if folder else ""
    return f"{said} is one of {', '.join(names)}{hint}"


def help_of_classes(parser: ArgumentParser, argv: Sequence[str]) -> None:
    """Answer `--OPTION.help` without the name of a class, of which jsonargparse says next to nothing, and exit."""
    for option, following in zip(argv, [*argv[1:], "--"], strict=False):
        key = option.removeprefix("--").removesuffix(".help")
        if f"--{key}.help" == option and following.startswith("-") and (names := class_names(key, parser)):
            print(f"--{key} is one of {', '.join(names)}.\n`{parser.prog} {option} {names[0]}` explains its options.")
            raise SystemExit(0)


def class_names(key: str, parser: ArgumentParser) -> list[str]:
    """The short names of the classes that an option takes, as its help lists them."""
    return sorted(path.rpartition(".")[2] for path in class_paths(key, parser))


def class_paths(key: str, parser: ArgumentParser) -> list[str]:
    """Where these classes are imported from."""
    action: Action | None = next((action for action in parser._actions if action.dest == key), None)
    listed: str = action.extra_help() if action is not None and hasattr(action, "extra_help") else ""
    return re.findall(r"[\w.]+(?=,|$)", listed.partition("subclasses: ")[2])
