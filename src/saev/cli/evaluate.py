"""`saev validate` and `saev test`: evaluate the SAEs of a run."""

import contextlib
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from saev.artifacts import Provenance, RunDirectory, provenance_of
from saev.artifacts.comparable import held_out_for
from saev.artifacts.metrics_file import read_metrics
from saev.callbacks import SAEExporter, SweepReport
from saev.callbacks.noted_faults import noted
from saev.cli.given_saes import GivenSaes
from saev.cli.parsing.command_line import refuse_options, wants_help
from saev.cli.runs.lock import alone_in
from saev.cli.runs.places import check_places
from saev.cli.runs.train_cli import TrainCLI, announce, build
from saev.datamodules import ShardDataModule
from saev.errors import InputError, tell

DESCRIPTIONS = {
    "validate": "Evaluate the SAEs of a run on the images that were held out of its training. Standard error gets the "
    "main figures, RUN/saes/NAME/metrics.json all of them.",
    "test": "Evaluate the SAEs of a run on all images of --data.shards (on the shards that trained them: on the images "
    "that were held out) and render their features again, on all images of the shards, in place of the galleries that "
    "are there. Standard error gets the main figures, RUN/saes/NAME/metrics.json all of them. One SAE without a run is "
    "tested with --sae and --out.",
}
AS_SAVED = dict.fromkeys(("--model", "--ckpt_path", "--checkpoint"), "takes SAEs as they were saved")
TRAINING_ONLY = (  # of the trainer's options
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "limit_train_batches", "overfit_batches"),
    *("val_check_interval", "check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps"),
    *("enable_checkpointing", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
    *("detect_anomaly", "sync_batchnorm", "reload_dataloaders_every_n_epochs", "model_registry"),
)


class EvaluateCLI(TrainCLI):
    """A TrainCLI whose help leaves out what only training uses, and whose results may go elsewhere, or nowhere."""

    fault: str | None = None
    """Why the run directory cannot be written, if it cannot: what is found is then only told."""

    @override
    def add_places(self, parser: LightningArgumentParser) -> None:
        """Add where the SAEs lie, and where results go."""
        parser.add_argument("--run_dir", type=Path | None, default=None, help="Directory of a finished run.")
        parser.add_argument(
            "--sae",
            type=Path | None,
            default=None,
            help="Directory of a single SAE instead, from wherever it comes; --data.shards and --out are then needed.",
        )
        parser.add_argument(
            "--out",
            type=Path | None,
            default=None,
            help="Directory for metrics and galleries, in place of the run directory, which is then only read.",
        )

    @override
    def out(self) -> Path:
        """The directory that everything is written to."""
        return Path(self.config_init.out or self.config_init.run_dir)

    @override
    def callbacks(self) -> list[lightning.Callback]:
        """Those that the user cannot choose."""
        out = RunDirectory(self.out())
        try:
            check_places(out.path, out.features.name, *sorted(out.saes.glob("*")))
        except InputError as error:
            if self.config_init.out is not None:
                raise
            self.fault = str(error)
            return [SweepReport(write=False)]
        return [SAEExporter(), SweepReport()]

    @override
    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """A trainer that renders only where there is a place for it."""
        trainer = super().instantiate_trainer(**kwargs)
        if self.fault:
            trainer.callbacks.remove(self.config_init.visualizer)  # type: ignore[attr-defined]
        return trainer

    @override
    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Hide the options of checkpoints, and of the trainer while it trains."""
        super().setup_parser(*args, **kwargs)
        for action in self.parser._actions:
            group, _, name = action.dest.partition(".")
            if group in ("ckpt_path", "checkpoint") or (group == "trainer" and name in TRAINING_ONLY):
                action.help = SUPPRESS


def validate(argv: list[str]) -> int:
    """Run `saev validate ARGV` and return the exit status."""
    return _main("validate", argv)


def test(argv: list[str]) -> int:
    """Run `saev test ARGV` and return the exit status."""
    return _main("test", argv)


def _main(command: str, argv: list[str]) -> int:
    if wants_help(argv):
        build(EvaluateCLI, command, DESCRIPTIONS[command], argv)
    with contextlib.redirect_stdout(sys.stderr):
        refuse_options(command, argv, AS_SAVED)
        # What fit was told of the data is the default of what comes later.
        given = GivenSaes.of(argv, command)
        cli = build(EvaluateCLI, command, DESCRIPTIONS[command], ["--config", given.options(command), *argv])
        writes = cli.fault is None and cli.trainer.is_global_zero
        with alone_in(cli.out()) if writes else contextlib.nullcontext():
            _evaluate(cli, given, command)
    if cli.fault is None:
        announce(cli.out())
    elif cli.trainer.is_global_zero:
        raise InputError(f"{cli.fault}; nothing was written, --out DIR takes metrics and galleries")
    return 0 if cli.fault is None else 1


def _evaluate(cli: EvaluateCLI, given: GivenSaes, command: str) -> None:
    data = cli.datamodule
    selections = data.val_tokens if command == "validate" else data.test_tokens
    saes = given.load_for(data.data, selections)
    _choose_images([provenance_of(sae) for sae in saes.values()], data, command)
    cli.model.adopt(saes)
    _take_over_training(cli, given)
    getattr(cli.trainer, command)(cli.model, data, weights_only=True)
    if faults := noted(cli.trainer):
        raise InputError(f"{given.where}: the SAEs are evaluated, but {'; '.join(faults)}")


def _choose_images(provenances: list[Provenance], data: ShardDataModule, command: str) -> None:
    """Test on no image that trained an SAE."""
    selections = data.val_tokens if command == "validate" else data.test_tokens
    if not selections:
        raise InputError("no images were held out of training (val_share): give --data.val_shards")
    for number, tokens in enumerate(list(selections)):
        held_out = held_out_for(provenances, tokens.reader)
        if held_out is None:
            continue
        if not len(held_out):
            raise InputError(f"{tokens.reader.path} trained the SAE and no images were held out: give other shards")
        if command == "test":
            tell(f"{tokens.reader.path} trained the SAE: testing on the images that were held out")
            data.test_only(number, held_out)
        elif not np.isin(tokens.examples, held_out).all():
            raise InputError("--data.seed and --data.val_share choose images that trained the SAE: leave them out")
    if not all(one.data for one in provenances):
        tell("the SAE does not say which images trained it: none is left out")


def _take_over_training(cli: EvaluateCLI, given: GivenSaes) -> None:
    """What training has made of an SAE belongs to its figures, wherever these go."""
    for name in cli.model.saes:
        elsewhere = cli.config_init.out is not None
        try:
            found = read_metrics(given.metrics(name), quiet=not elsewhere)
        except InputError:
            if elsewhere:
                raise
            continue  # whoever writes there says so, after the figures were printed
        if "train" in found:
            cli.model.results[name] = {"train": found["train"]}
