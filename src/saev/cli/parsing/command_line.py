"""What is looked for in a command line before it is parsed."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from saev.errors import InputError


def wants_help(argv: Sequence[str]) -> bool:
    """Whether a command line asks for one of the help texts, which go to standard output."""
    return any(
        option in ("-h", "--help", "--help_all", "--print_config") or option.partition("=")[0].endswith(".help")
        for option in argv
    )


def names_option(argv: Sequence[str], *names: str) -> bool:
    """Whether one of these options stands in a command line.

    >>> names_option(["--model.sae=TopK"], "--model.sae"), names_option(["--model.sae.k=3"], "--model.sae")
    (True, False)
    """
    return any(option.partition("=")[0] in names for option in argv)


def refuse_options(command: str, argv: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Refuse options of other commands, and say more than that there is no such option.

    Args:
        reasons: For options and groups of options, such as `--model`, what the command does instead.

    Raises:
        InputError: For the first option that is one of these, or of one of these groups.
    """
    for given in argv:
        option = given.partition("=")[0].rstrip("+")
        for name, why in reasons.items():
            if option == name or option.startswith(f"{name}."):
                raise InputError(f"saev {command} {why}: leave {given} out")


def no_command(name: str, known: Sequence[str], prog: str) -> str:
    """What to say of a command that does not exist; `prog --help` lists those that do.

    >>> no_command("tset", ["build", "test"], "saev probe")
    "there is no command 'tset'; did you mean test?"
    """
    near = get_close_matches(name, known, n=1)
    return f"there is no command {name!r}; " + (f"did you mean {near[0]}?" if near else f"{prog} --help lists them")
