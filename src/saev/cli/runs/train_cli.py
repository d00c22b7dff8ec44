"""The LightningCLI that `saev fit`, `validate`, `test` and `render` have in common."""

import shlex
from pathlib import Path
from typing import Any, TypeVar

import lightning
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.artifacts import RunDirectory
from saev.callbacks import (
    DurableCheckpointIO,
    FeatureVisualizer,
    Hyperparameters,
    RunCheckpoint,
    RunConfig,
    SAEExporter,
    SweepReport,
    TrainingProgress,
)
from saev.callbacks.run_logger import RunLogger, Tolerance
from saev.cli.parsing.command_line import names_option, wants_help
from saev.cli.parsing.lightning_cli import CommandCLI
from saev.cli.processes.training import training_strategy
from saev.cli.runs.trainer_options import TRAINER_HELP, check_monitors, check_trainer
from saev.datamodules import ShardDataModule
from saev.errors import tell
from saev.modules import EvaluationModule, SAELightningModule
from saev.training.memory_need import check_training_fits, training_need
from saev.training.state import INIT_TOKENS

MAX_STEPS_BETWEEN_LOGS = 50
_SAE = "model.sae"


T = TypeVar("T", bound="TrainCLI")


class TrainCLI(CommandCLI):
    """An SAELightningModule and a ShardDataModule, with everything written to one run directory."""

    trainer_options = TRAINER_HELP

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run directory and the callbacks; the width of the SAE comes from the shards."""
        self.add_places(parser)
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help='Checkpoint to go on from: "last" for the last one of the run directory, or a file.',
        )
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(FeatureVisualizer, "visualizer")
        if self.model_class is SAELightningModule:
            parser.link_arguments("data.d_model", "model.d_in", apply_on="instantiate")

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse; a class that the user chooses for the SAE has its own defaults.

        The parser would keep those of the default class for all options that both have.
        """
        assert isinstance(args, list)
        default = parser.get_defaults().get(_SAE)
        has_file = names_option(args, "--config", "-c") and not wants_help(args)
        if default is not None and (has_file or names_option(args, f"--{_SAE}")):
            parser.set_defaults({_SAE: None})
            super().parse_arguments(parser, args)
            if self.config[_SAE] is not None:
                return
            parser.set_defaults({_SAE: default})
        super().parse_arguments(parser, args)

    def add_places(self, parser: LightningArgumentParser) -> None:
        """Add where results go."""
        parser.add_argument("--run_dir", type=Path, required=True, help="Directory that holds all results of a run.")

    @override
    def before_instantiate_classes(self) -> None:
        """Make the paths absolute, because config.yaml is read from elsewhere later."""
        for key, value in list(self.config.items()):
            if isinstance(value, Path):
                self.config[key] = value.absolute()
            elif isinstance(value, list) and any(isinstance(path, Path) for path in value):
                # Text: within lists config.yaml would show what Python calls a path.
                self.config[key] = [str(path.absolute()) for path in value]
        weights = self.config.get("visualizer.namer_weights")
        if weights not in (None, "random"):
            self.config["visualizer.namer_weights"] = str(Path(weights).absolute())

    @override
    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """A trainer that keeps its files in the run directory."""
        settings = self.config_init.trainer
        n_steps = self.datamodule.n_tokens // self.datamodule.batch_size
        check_trainer(settings, n_steps)
        given = _listed(settings.callbacks)
        check_monitors(given, self.model.logged_names)
        out = self.out()
        if settings.logger in (None, True):
            kwargs["logger"] = self._loggers(out)
        if settings.log_every_n_steps is None:
            # Short runs get a curve too.
            kwargs["log_every_n_steps"] = max(1, min(MAX_STEPS_BETWEEN_LOGS, n_steps // 100))
        if not self.datamodule.val_tokens:
            kwargs["limit_val_batches"] = 0
        own = self.callbacks()
        if settings.enable_progress_bar is not False and not any(isinstance(one, ProgressBar) for one in given):
            own.append(TrainingProgress())
        callbacks = [*own, *given]
        plugins = [DurableCheckpointIO(), *_listed(settings.plugins)]
        command = self.parser.prog.removeprefix("saev ")
        divides_latents = isinstance(self.model, SAELightningModule) and self.model.shard_latents
        if strategy := training_strategy(settings, command, shard_latents=divides_latents):
            kwargs["strategy"] = strategy
        trainer = super().instantiate_trainer(default_root_dir=str(out), callbacks=callbacks, plugins=plugins, **kwargs)
        if divides_latents:
            self.model.check_divisible(trainer.num_nodes * trainer.num_devices)
        return trainer

    def out(self) -> Path:
        """The directory that everything is written to."""
        return Path(self.config_init.run_dir)

    def callbacks(self) -> list[lightning.Callback]:
        """Those that the user cannot choose."""
        report = SweepReport()
        return [RunConfig(self._reusable_config), SAEExporter(), report, Hyperparameters()]

    def check_memory(self) -> None:
        """Raise InputError if training certainly does not fit the memory of the device."""
        model, data = self.model, self.datamodule
        n_dividing = 1 if model.shard_latents else self.trainer.world_size
        need = training_need(
            model.specs,
            n_parts=self.trainer.world_size // n_dividing,
            batch_size=data.batch_size // n_dividing,
            n_sample=min(sum(tokens.n_tokens for tokens in data.train_tokens), INIT_TOKENS)
            if self.config.ckpt_path is None
            else 0,
        )
        built = sum(tensor.nbytes for tensor in model.parameters())
        check_training_fits(model.specs, model.sweep, need, self.trainer.strategy.root_device, built)

    def _loggers(self, run_dir: Path) -> list[RunLogger]:
        """One in the run directory; where there are several SAEs, one for each of them in ``logs/<name>``."""
        names = list(self.model.saes)
        tolerance = Tolerance()
        if len(names) == 1:
            return [RunLogger(run_dir, "", "", tolerance)]
        return [RunLogger(run_dir, RunDirectory(run_dir).logs.name, name, tolerance) for name in names]

    def _reusable_config(self) -> str:
        """The configuration for `saev validate` and `saev test`."""
        config = self.config.clone()
        config.ckpt_path = None
        text: str = self.parser.dump(config, skip_unset=False)
        return text


def build(kind: type[T], command: str, description: str, argv: list[str]) -> T:
    """Parse a command line and build what it asks for."""
    return kind(
        SAELightningModule if command == "fit" else EvaluationModule,
        ShardDataModule,
        prog=f"saev {command}",
        description=description,
        argv=argv,
        trainer_defaults={
            "logger": command == "fit",
            "max_epochs": 1,
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
        },
    )


@rank_zero_only
def announce(run_dir: Path) -> None:
    """Print the directory of a run, once for all processes."""
    print(run_dir)


@rank_zero_only
def announce_galleries(run_dir: Path) -> None:
    """Say where the galleries are, and what shows them with an SAE behind them."""
    pages = sorted(run_dir.glob("features/*/index.html"))
    for page in pages:
        tell(f"gallery: {page}")
    if pages:
        tell(f"with your own pictures: saev view --run_dir {shlex.quote(str(run_dir))}")


def _listed(value: Any) -> list[Any]:
    """What is given as one, as several, or not at all."""
    return [] if value is None else value if isinstance(value, list) else [value]
