"""What jsonargparse finds wrong with a command line, in one line that a user can act on."""

import re
from argparse import Action
from difflib import get_close_matches

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from saev.cli.given_paths import EMPTY  # which lets jsonargparse refuse empty paths
from saev.cli.numbers import check_numbers
from saev.errors import InputError

MOST_SAID = 500
_REQUIRED = "required and not given: "
# Applied one after the other to the message on one line.
_REWRITES = [
    (rf"(Parser key \"[\w.]+\":).*({EMPTY}).*", r"\1 \2"),
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"typing\.Literal\[(.*?)\]", r"one of \1"),
    (r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .* Given value: ",
     r"expected one of \1. Got value: "),
    (r"Expected a list\b", "expected a list like '[VALUE]'"),
    (r"Expected an? ", "expected "),
    (r"\. Got value: ", ", got "),
    (r"Problem with given class_path '[\w.]*?(\w+)': ", r"\1: "),
    (r"Option '(\w+)' is not accepted", r"it has no option \1"),
    (r"the following arguments are required: ", _REQUIRED),
    (r"Parser key \"([\w.]+)\":", r"--\1:"),
]  # fmt: skip
_UNKNOWN_OPTION = (r"unrecognized arguments: (--?[\w.+-]+)", r"Group '(\w+)' does not accept option '(\w+)'")
_UNKNOWN_CLASS = r"Parser key \"([\w.]+)\":.*(?:dot import path string: (\S+)|Import path (\S+) does not correspond)"


def parsed(parser: ArgumentParser, argv: list[str]) -> Namespace:
    """The options of a command line.

    Raises:
        InputError: If it is wrong.
        SystemExit: For `--help` (0).
    """
    try:
        options = parser.parse_args(argv)
        check_numbers(options)
    except ArgumentError as error:
        raise InputError(readable(error, parser)) from error
    except RecursionError as error:
        raise InputError("a value, or a file of --config, is nested too deeply") from error
    return options


def readable(error: Exception, parser: ArgumentParser) -> str:
    """The message of a parser's error, with what to do about it."""
    text = " ".join(str(error).split())
    said = _unknown_class(text, parser) or _unknown_option(text, parser) or _rewritten(text)
    said = said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"  # it holds the value that was given
    return f"{said} (see {parser.prog} --help)"


def _rewritten(text: str) -> str:
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    said, required, names = text.partition(_REQUIRED)
    # Those of a class stand without its option's name.
    return said + required + re.sub(r"\b(\w+\.\w)", r"--\1", names)


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
    action = next((action for action in parser._actions if found and action.dest == found[1]), None)
    if found is None or action is None or not (names := _class_names(action)):
        return None
    return f"--{found[1]} {found[2] or found[3]} is unknown; it is one of {', '.join(names)}"


def _class_names(action: Action) -> list[str]:
    """The short names of the subclasses that an option takes, as its help lists them."""
    listed: str = action.extra_help() if hasattr(action, "extra_help") else ""
    return sorted(re.findall(r"(\w+)(?:,|$)", listed.partition("subclasses: ")[2]))
