"""The help of a command with many options: a line or two for each. `--help_all` prints the long one, with types."""

import re
import shutil
import textwrap
from argparse import SUPPRESS, Action
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import yaml
from jsonargparse import ArgumentParser, Namespace

from saev.artifacts.run_directory import MAX_CONFIG_BYTES
from saev.cli.parsing.errors import class_paths
from saev.cli.parsing.own_modules import class_at
from saev.errors import InputError, one_line
from saev.files import read_regular

FULL: Final = "--help_all"
_COLUMN: Final = 30
"""Where the texts of options begin."""
_LEAST, _WIDTH = 60, 100
"""Characters of a line: those of the terminal, between these."""
_VALUES: Final = (
    (r"Callable", "NAME"),
    (r"\bdict\b", "{...}"),
    (r"^(typing\.Optional\[)?(list|tuple)\b", "[...]"),
    (r"\bPath\b", "PATH"),
    (r"\bfloat\b", "X"),
    (r"\bint\b", "N"),
)
"""What stands for a value of a type."""
_GIVEN: Final = ("d_in",)
"""What an architecture gets from the shards, so that it is no option."""


def offer_full_help(parser: ArgumentParser) -> None:
    """Add `--help_all`, which prints the parser's own help."""
    parser.add_argument(FULL, action="help", help="Print each option at length, with its type, and exit.")


def answer_help(parser: ArgumentParser, argv: Sequence[str], hidden: Collection[str] = ()) -> None:
    """Print the short help and exit, if a command line asks for it.

    Args:
        argv: Its command line. A class that it chooses, as with `--model.sae TopK`, shows its options.
        hidden: Options that only the long help has.

    Raises:
        InputError: If the command line names a class that cannot be had.
        SystemExit: With status 0, after the help.
    """
    if not {"-h", "--help"}.intersection(argv):
        return
    width = max(_LEAST, min(shutil.get_terminal_size((_WIDTH, 0)).columns, _WIDTH))
    for line in list(_lines(parser, argv, hidden)):  # with all errors before the first line
        is_row = line.startswith(" ")
        name, _, text = line.partition("\t")
        print("\n".join(_row(name, text, width) if is_row else textwrap.wrap(line, width, break_on_hyphens=False)))
    raise SystemExit(0)


def _lines(parser: ArgumentParser, argv: Sequence[str], hidden: Collection[str]) -> Iterator[str]:
    """Paragraphs, and options that begin with a space and have their text behind a tab."""
    shown = [action for action in parser._actions if action.help != SUPPRESS and action.dest not in hidden]
    required = [f"{_invocation(action)} " for action in shown if action.required]
    yield f"usage: {parser.prog} {''.join(required)}[options]"
    yield ""
    yield " ".join((parser.description or "").split())
    for group in parser._action_groups:
        rows = [row for action in group._group_actions if action in shown for row in _rows(action, parser, argv)]
        if rows:
            yield from ("", f"{group.title}:".replace("``", "`"), *rows)
    yield ""
    yield f"`{parser.prog} {FULL}` prints all options, each at length."


def _rows(action: Action, parser: ArgumentParser, argv: Sequence[str]) -> Iterator[str]:
    """An option, and those of the class that is chosen by it."""
    is_of_group = action.metavar == "CONFIG" and "--config" not in action.option_strings
    if is_of_group or action.option_strings[-1].endswith(".help"):
        return  # explained by the long help
    is_ours = not action.dest.startswith("trainer.")
    paths = {path.rpartition(".")[2]: path for path in class_paths(action.dest, parser) if is_ours}
    chosen = (_given(action, argv) or _class_path(action.default)) if paths else ""
    path = chosen if "." in chosen else paths.get(chosen, "")
    text = [_said(action)]
    if paths:
        text.append(f"One of {', '.join(sorted(paths))}.")
    if path:
        text.append(f"The next options are those of {path.rpartition('.')[2]}.")
    yield f"  {_invocation(action)}\t{' '.join(text)}{_default(action)}"
    if path:
        of_class = ArgumentParser()
        of_class.add_class_arguments(class_at(path, f"--{action.dest}"), action.dest, skip=set(_GIVEN))
        for one in of_class._actions:
            if one.dest.startswith(f"{action.dest}."):
                yield from _rows(one, of_class, ())


def _given(action: Action, argv: Sequence[str]) -> str:
    """The value that a command line, or a file of options on it, gives an option; the last one, or nothing."""
    given = ""
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        name, is_joined, value = option.partition("=")
        value = value if is_joined else following
        if name in action.option_strings:
            given = value
        elif name == "--config":
            given = _configured(value, action.dest) or given
    return given


def _configured(file: str, option: str) -> str:
    """The name of the class that a file of options chooses, without its module: help imports nothing for a file.

    Raises:
        InputError: If it cannot be read as YAML.
    """
    try:
        found = yaml.safe_load(read_regular(file, MAX_CONFIG_BYTES))
    except (yaml.YAMLError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"--config {file}: {one_line(error)}") from error
    for key in option.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    name = found.get("class_path") if isinstance(found, dict) else found
    return str(name or "").rpartition(".")[2]


def _class_path(default: object) -> str:
    return str(default["class_path"]) if isinstance(default, Mapping | Namespace) else ""


def _invocation(action: Action) -> str:
    """The option and what stands for its value."""
    names = ", ".join(name for name in action.option_strings if not name.endswith("+"))
    if action.nargs == 0 or "\b" in str(action.metavar):
        return names
    if action.metavar not in (None, "CONFIG"):
        return f"{names} {action.metavar}"
    type_text = str(getattr(action, "_typehint", "Path"))  # `--config` has none
    return f"{names} {next((value for pattern, value in _VALUES if re.search(pattern, type_text)), 'NAME')}"


def _said(action: Action) -> str:
    """The first sentence of its text, without the markup of formulas."""
    text = re.sub(r":math:`\\?(.*?)`", r"\1", " ".join((action.help or "").split()))
    return re.split(r"(?<=\.) (?=[A-Z\d`])", text)[0]


def _default(action: Action) -> str:
    if action.required:
        return " (required)"
    default = _class_path(action.default).rpartition(".")[2] or action.default
    return "" if default is None or default == SUPPRESS else f" (default {default})"


def _row(name: str, text: str, width: int) -> list[str]:
    """An option and its text beside it, or below it where the option is long."""
    lines = textwrap.wrap(text, width - _COLUMN, break_on_hyphens=False) or [""]
    if len(name) + 2 > _COLUMN:
        return [name, *(" " * _COLUMN + line for line in lines)]
    return [f"{name:{_COLUMN}}{lines[0]}", *(" " * _COLUMN + line for line in lines[1:])]
