"""What is looked for in a command line before it is parsed."""

from collections.abc import Mapping, Sequence

from saev.errors import InputError


def wants_help(argv: Sequence[str]) -> bool:
    """Whether a command line asks for one of the help texts, which go to standard output."""
    return any(
        option in ("-h", "--help", "--print_config") or option.partition("=")[0].endswith(".help") for option in argv
    )


def refuse_options(command: str, argv: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Refuse options of other commands, and say more than that there is no such option.

    Args:
        command: The name of the command.
        argv: Its command line.
        reasons: For options and groups of options, such as `--model`, what the command does instead.

    Raises:
        InputError: For the first option that is one of these, or of one of these groups.
    """
    for given in argv:
        option = given.partition("=")[0].rstrip("+")
        for name, why in reasons.items():
            if option == name or option.startswith(f"{name}."):
                raise InputError(f"saev {command} {why}: leave {given} out")
