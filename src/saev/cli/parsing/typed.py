"""A command is a typed function: its signature gives the options, its docstring their help.

Parameters that may be given by position and have no default are arguments without a name, all others are options
`--NAME`. A bool is a flag `--NAME` or `--no_NAME`. A list is one option for each of its values, or one with
`'[VALUE, ...]'`. A dataclass is a group of options `--NAME.FIELD`. What the docstring says before "Args:" is the
description, and its first line stands in a list of commands. A command prints its results and returns the exit status.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, get_args, get_origin, get_type_hints

import docstring_parser
from jsonargparse import SUPPRESS, ActionYesNo, ArgumentParser, Namespace
from typing_extensions import override

from saev.cli.parsing.command_line import no_command
from saev.cli.parsing.errors import help_of_classes, options_below, parsed
from saev.errors import InputError

Command = Callable[..., int]


def run(command: Command, argv: Sequence[str], prog: str, subclasses: Mapping[str, type] | None = None) -> int:
    """Run a command with the options of a command line, and return its exit status.

    Args:
        prog: That name, with saev: `saev encode`.
        subclasses: Parameters that are options of a class instead, the user's choice below this base, which is built.

    Raises:
        InputError: If the command line is wrong, or from the command.
        SystemExit: For `--help` (0).
    """
    parser = _parser(command, prog, subclasses or {})
    if subclasses:
        help_of_classes(parser, argv)
    options = parsed(parser, appending(argv, command))
    for name in subclasses or {}:
        with options_below(f"--{name}"):
            options = parser.instantiate(options)
    return command(**_arguments(command, options))


def run_one_of(
    commands: Mapping[str, Command],
    argv: Sequence[str],
    prog: str,
    description: str,
    subclasses: Mapping[str, type] | None = None,
) -> int:
    """Run the command that a command line names first, and return its exit status.

    Args:
        prog: That name, with saev: `saev shards`.
        subclasses: As for `run`, of those commands that have such parameters.

    Raises:
        InputError: If the command line is wrong, or from the command.
        SystemExit: For `--help` (0).
    """
    if argv and argv[0] in commands:
        command = commands[argv[0]]
        own = {name: base for name, base in (subclasses or {}).items() if name in signature(command).parameters}
        return run(command, argv[1:], f"{prog} {argv[0]}", own)
    if argv and not argv[0].startswith("-"):
        raise InputError(no_command(argv[0], list(commands), prog))
    parser = ArgumentParser(prog=prog, description=description, exit_on_error=False, allow_abbrev=False)
    choices = parser.add_subcommands(required=True, dest="command")
    for name, command in commands.items():
        first = _described(command).splitlines()[0].rstrip(".")
        choices.add_subcommand(name, ArgumentParser(), help=first[:1].lower() + first[1:])
    parsed(parser, list(argv))
    raise AssertionError(f"{argv} begins with no command")


def _parser(command: Command, prog: str, subclasses: Mapping[str, type]) -> ArgumentParser:
    parser = _Parser(prog=prog, description=_described(command), exit_on_error=False, allow_abbrev=False)
    hints, groups = get_type_hints(command), _groups(command)
    defaults = {name: one.default for name, one in signature(command).parameters.items()}
    flags = [name for name, hint in hints.items() if hint is bool]
    parser.add_function_arguments(command, as_group=False, as_positional=True, skip={*flags, *groups, *subclasses})
    for name, kind in groups.items():
        parser.add_class_arguments(kind, name, as_group=False, default=dataclasses.asdict(defaults[name]))
    params = docstring_parser.parse(command.__doc__ or "").params
    helps = {one.arg_name: one.description or "" for one in params}
    for name in flags:
        parser.add_argument(f"--{name}", action=ActionYesNo, default=defaults[name], help=helps[name])
    for name, base in subclasses.items():
        # With a default of None its errors would be those of a union, around what the class raises.
        parser.add_subclass_arguments(base, name, required=True, help=helps[name], default=SUPPRESS)
    return parser


class _Parser(ArgumentParser):
    """An ArgumentParser whose help calls a path a path."""

    @override
    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """The help."""
        return re.sub(r"<class 'Path'>|\bPath(?=\s\||\])", "path", super().format_help(*args, **kwargs))


def _described(command: Command) -> str:
    return (command.__doc__ or "").partition("Args:")[0].strip()


def _groups(command: Command) -> dict[str, type]:
    """The parameters that are dataclasses."""
    hints = get_type_hints(command)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and dataclasses.is_dataclass(hint)}


def _arguments(command: Command, options: Namespace) -> dict[str, Any]:
    groups = _groups(command)
    return {name: groups[name](**vars(value)) if name in groups else value for name, value in vars(options).items()}


def appending(argv: Sequence[str], command: Callable[..., object]) -> list[str]:
    """A command line with `--NAME+` in the place of `--NAME` for all lists: each adds to those before it."""
    hints = get_type_hints(command).items()
    lists = [name for name, hint in hints if any(get_origin(one) is list for one in (hint, *get_args(hint)))]
    return [re.sub(rf"^--({'|'.join(lists)})(?=$|=)", r"--\1+", this) if lists else this for this in argv]
