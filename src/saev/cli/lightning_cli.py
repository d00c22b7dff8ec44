"""What our LightningCLI commands share."""

from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from typing_extensions import override

from saev.errors import InputError


class CommandCLI(LightningCLI):
    """A LightningCLI that parses a given command line and raises `InputError` where it is wrong."""

    def __init__(self, *classes: Any, prog: str, description: str, **kwargs: Any) -> None:
        parser_kwargs = {"prog": prog, "description": description, "exit_on_error": False}
        super().__init__(
            *classes,
            run=False,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_kwargs=parser_kwargs,
            **kwargs,
        )

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, with errors as `InputError`."""
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise InputError(f"{error} (see {parser.prog} --help)") from error


def wants_help(argv: list[str]) -> bool:
    """Whether a command line asks for one of the help texts, which go to standard output."""
    return any(option in ("-h", "--help", "--print_config") or option.endswith(".help") for option in argv)
