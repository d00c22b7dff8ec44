"""What our LightningCLI commands share."""

import logging
import warnings
from argparse import SUPPRESS
from collections.abc import Callable, Mapping
from typing import Any

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from typing_extensions import override

from saev.cli.parsing.errors import help_of_classes, parsed
from saev.cli.parsing.files import check_given_files
from saev.cli.parsing.short_help import answer_help, offer_full_help
from saev.errors import InputError
from saev.registry import load_packages

# Of what Lightning says this helps nobody who uses saev.
_NOISE = (
    "Tip:",
    "distributed_backend=",
    "TPU available",
    "Seed set to",
    "Loading `train_dataloader`",
    "` stopped: `max_",
)
for _logger in ("pytorch.utilities.rank_zero", "fabric.utilities.rank_zero", "fabric.utilities.seed"):
    logging.getLogger(f"lightning.{_logger}").addFilter(
        lambda record: not any(noise in record.getMessage() for noise in _NOISE)
    )
logging.getLogger("lightning.pytorch.trainer.connectors.signal_connector").setLevel(logging.WARNING)


class CommandCLI(LightningCLI):
    """A LightningCLI that parses a given command line and raises `InputError` where it is wrong."""

    trainer_options: Mapping[str, str] = {}
    """Those of Lightning's trainer that the short help has, with what they mean here; without any it has all."""

    def __init__(
        self,
        model_class: type[lightning.LightningModule],
        datamodule_class: type[lightning.LightningDataModule],
        *,
        prog: str,
        description: str,
        argv: list[str],
        trainer_defaults: dict[str, Any],
        trainer_class: Callable[..., lightning.Trainer] = lightning.Trainer,
    ) -> None:
        # Lightning uses a class that torch renames: nothing that a user could do anything about.
        warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)`", module=r"lightning\.pytorch\..*")
        load_packages()  # before the parser looks for the names of classes
        super().__init__(
            model_class,
            datamodule_class,
            run=False,
            args=argv,
            trainer_class=trainer_class,
            trainer_defaults=trainer_defaults,
            save_config_callback=None,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": prog, "description": description, "exit_on_error": False},
        )

    @override
    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the long help, and hide the global seed: each random choice has an option for its own seed."""
        offer_full_help(parser)
        parser.add_argument("--seed_everything", type=int, default=0, help=SUPPRESS)

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, with errors as `InputError`."""
        assert isinstance(args, list)
        help_of_classes(parser, args)
        trainers = {action.dest for action in parser._actions if action.dest.startswith("trainer.")}
        answer_help(parser, args, hidden=trainers.difference(self.trainer_options) if self.trainer_options else ())
        check_given_files(args)
        self.config = parsed(parser, args)

    @override
    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """A trainer; one that this machine cannot give is an `InputError`."""
        try:
            return super().instantiate_trainer(**kwargs)
        except InputError:
            raise
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise InputError(f"--trainer: {error}") from error

    @override
    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Leave what the user cannot give out of the help, and say what trainer options mean here."""
        super().setup_parser(*args, **kwargs)
        for action in self.parser._actions:
            action.help = self.trainer_options.get(action.dest, action.help)
        for group in self.parser._action_groups:
            if group.title == "Customize every aspect of training via flags":
                group.title = "Where it runs, by Lightning's trainer"
            if group.title == "Linked arguments":
                for action in group._group_actions:
                    action.help = SUPPRESS
