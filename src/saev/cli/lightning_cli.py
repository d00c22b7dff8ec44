"""What our LightningCLI commands share."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
from jsonargparse import ArgumentError
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from typing_extensions import override

from saev.errors import InputError

# Of what Lightning says at the start this helps nobody who uses saev.
logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "Tip:" not in record.getMessage())


class CommandCLI(LightningCLI):
    """A LightningCLI that parses a given command line and raises `InputError` where it is wrong."""

    def __init__(
        self,
        model_class: type[lightning.LightningModule],
        datamodule_class: type[lightning.LightningDataModule],
        *,
        prog: str,
        description: str,
        argv: list[str],
        trainer_defaults: dict[str, Any],
    ) -> None:
        # Lightning uses a class that torch renames: nothing that a user could do anything about.
        warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)`", module=r"lightning\.pytorch\..*")
        super().__init__(
            model_class,
            datamodule_class,
            run=False,
            args=argv,
            trainer_defaults=trainer_defaults,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": prog, "description": description, "exit_on_error": False},
        )

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, with errors as `InputError`."""
        try:
            assert isinstance(args, list)
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise InputError(f"{error} (see {parser.prog} --help)") from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Give Ctrl-C back: the trainer cleans up after it and then exits with a status that says nothing."""
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise


def wants_help(argv: list[str]) -> bool:
    """Whether a command line asks for one of the help texts, which go to standard output."""
    return any(option in ("-h", "--help", "--print_config") or option.endswith(".help") for option in argv)
