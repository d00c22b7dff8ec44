"""`saev fit`, `saev validate`, `saev test` and `saev render`: train SAEs, evaluate them and look at them."""

import argparse
import contextlib
import shutil
import sys
from argparse import SUPPRESS
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.callbacks import (
    DurableCheckpointIO,
    FeatureVisualizer,
    Hyperparameters,
    RunCheckpoint,
    RunConfig,
    SAEExporter,
    SweepReport,
)
from saev.callbacks.run_checkpoint import LAST
from saev.callbacks.run_config import CONFIG
from saev.cli.comparable import check_comparable
from saev.cli.lightning_cli import CommandCLI, interruptible, wants_help
from saev.cli.sweep_parts import checkpoint_of, earlier_choice, has_checkpoint, is_done, mark_done, settle_parts
from saev.datamodules import ShardDataModule
from saev.errors import InputError
from saev.interop import load_run, read_about
from saev.modules import DivergenceError, LatentShards, SAELightningModule

MOST_STEPS_BETWEEN_LOGS = 50
PRECISIONS = ("None", "32", "32-true", "bf16", "bf16-mixed")
# What chooses the images of training says nothing about other shards; evaluation has no batches to mix.
NOT_TAKEN_OVER = {
    "validate": ("weights",),
    "test": ("weights", "share", "examples"),
    "render": ("weights", "share", "examples"),
}
PATHS = ("data.shards", "data.paired", "data.val_shards", "data.examples", "visualizer.vocabulary", "run_dir")
FIXED = {
    "accumulate_grad_batches": 1,
    "default_root_dir": None,
    "max_epochs": 1,
    "max_steps": -1,
    "max_time": None,
    "fast_dev_run": False,
    "limit_train_batches": None,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "overfit_batches": 0.0,
}
DESCRIPTIONS = {
    "fit": "Train an SAE on shards. The last line of standard output is the run directory.",
    "validate": "Evaluate the SAE of a run on the images that were held out of its training.",
    "test": "Evaluate the SAE of a run on all images of --data.shards (on the shards that trained it: on the images "
    "that were held out) and render its features again.",
    "render": "Make the galleries of a run's SAEs anew, with other options or on other shards: without training or "
    "metrics, in one process.",
}


class TrainCLI(CommandCLI):
    """An SAELightningModule and a ShardDataModule, with everything written to one run directory."""

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run directory and the callbacks; the width of the SAE comes from the shards."""
        parser.add_argument("--run_dir", type=Path, required=True, help="Directory that holds all results of a run.")
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help='Checkpoint to go on from: "last" for the last one of the run directory, or a file.',
        )
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(FeatureVisualizer, "visualizer")
        parser.link_arguments("data.d_model", "model.d_in", apply_on="instantiate")

    @override
    def before_instantiate_classes(self) -> None:
        """Make the paths absolute, because config.yaml is read from elsewhere later."""
        for key in PATHS:
            value = self.config.get(key)
            if isinstance(value, list):
                # Text: within lists config.yaml would show what Python calls a path.
                self.config[key] = [str(Path(path).absolute()) for path in value]
            elif value is not None:
                self.config[key] = Path(value).absolute()
        weights = self.config.get("visualizer.namer_weights")
        if weights not in (None, "random"):
            self.config["visualizer.namer_weights"] = str(Path(weights).absolute())

    @override
    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """A trainer that keeps its files in the run directory."""
        settings = self.config_init.trainer
        _check_trainer(settings)
        run_dir = self.config_init.run_dir
        if settings.logger in (None, True):
            kwargs["logger"] = self._loggers(run_dir)
        if settings.log_every_n_steps is None:
            # Short runs get a curve too.
            n_steps = self.datamodule.n_tokens // self.datamodule.batch_size
            kwargs["log_every_n_steps"] = max(1, min(MOST_STEPS_BETWEEN_LOGS, n_steps // 100))
        if not self.datamodule.val_tokens:
            kwargs["limit_val_batches"] = 0
        own = [RunConfig(self._reusable_config), SAEExporter(), SweepReport(), Hyperparameters()]
        callbacks = [*own, *(settings.callbacks or [])]
        plugins = [DurableCheckpointIO(), *(settings.plugins or [])]
        if self.model.shard_latents:
            kwargs["strategy"] = _latent_shards(settings)
        trainer = super().instantiate_trainer(
            default_root_dir=str(run_dir), callbacks=callbacks, plugins=plugins, **kwargs
        )
        if self.model.shard_latents:
            self.model.check_divisible(trainer.num_nodes * trainer.num_devices)
        return trainer

    def settle_parts(self, earlier: int | None) -> None:
        """Decide how many SAEs of a sweep are trained at the same time, as when the run was started."""
        chosen, n = self.config.model.at_once, len(self.model.recipes)
        if earlier is not None and chosen is not None and min(chosen, n) != min(earlier, n):
            raise InputError(f"at_once={chosen}: the run was started with another number, leave it out")
        settle_parts(self.model, self.trainer, chosen if earlier is None else earlier)
        if self.model.n_parts > 1:
            self.config.model.at_once = self.model.at_once

    def begin(self, part: int) -> None:
        """Get ready for the next SAEs of a sweep, with a trainer of their own."""
        if part:
            self.config_init.checkpoint = RunCheckpoint(self.config.checkpoint.every_n_steps)
            self.model.begin(part)
            self.trainer = self.instantiate_trainer()
        self.config_init.checkpoint.keep_in(checkpoint_of(part, self.model.n_parts))

    def _loggers(self, run_dir: Path) -> list[TensorBoardLogger]:
        """One in the run directory; where there are several SAEs, one for each of them in ``logs/<name>``."""
        names = list(self.model.saes)
        if len(self.model.recipes) == 1:
            return [TensorBoardLogger(run_dir, name="", version="")]
        return [TensorBoardLogger(run_dir, name="logs", version=name) for name in names]

    def _reusable_config(self) -> str:
        """The configuration for `saev validate` and `saev test`."""
        config = self.config.clone()
        config.ckpt_path = None
        text: str = self.parser.dump(config, skip_unset=False)
        return text


class EvaluateCLI(TrainCLI):
    """A TrainCLI whose help leaves out what only training uses."""

    @override
    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Hide the options of the model and of checkpoints."""
        super().setup_parser(*args, **kwargs)
        for action in self.parser._actions:
            if action.dest.split(".")[0] in ("model", "ckpt_path", "checkpoint"):
                action.help = SUPPRESS


def fit(argv: list[str]) -> int:
    """Run `saev fit`."""
    return _main("fit", argv)


def validate(argv: list[str]) -> int:
    """Run `saev validate`."""
    return _main("validate", argv)


def test(argv: list[str]) -> int:
    """Run `saev test`."""
    return _main("test", argv)


def render(argv: list[str]) -> int:
    """Run `saev render`."""
    return _main("render", argv)


def _main(command: str, argv: list[str]) -> int:
    if wants_help(argv):
        _cli(command, argv)
    with contextlib.redirect_stdout(sys.stderr):
        run_dir = train(command, argv)
    _announce(run_dir)
    return 0


@rank_zero_only
def _announce(run_dir: Path) -> None:
    print(run_dir)


def train(command: str, argv: list[str]) -> Path:
    """Do what the command says; its run directory."""
    with interruptible():
        if command == "fit":
            cli = _cli(command, argv)
            _fit(cli, cli.config_init.run_dir)
        else:
            # What fit was told of the data is the default of what comes later.
            _refuse_model_options(command, argv)
            cli = _cli(command, ["--config", _run_config(_run_dir(argv), command), *argv])
            _evaluate(cli, cli.config_init.run_dir, command)
    return Path(cli.config_init.run_dir)


def _cli(command: str, argv: list[str]) -> TrainCLI:
    cli = TrainCLI if command == "fit" else EvaluateCLI
    return cli(
        SAELightningModule,
        ShardDataModule,
        prog=f"saev {command}",
        description=DESCRIPTIONS[command],
        argv=argv,
        trainer_defaults={
            "logger": command == "fit",
            "max_epochs": 1,
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
        },
    )


def _fit(cli: TrainCLI, run_dir: Path) -> None:
    given = cli.config_init.ckpt_path
    goes_on = given == "last"
    if goes_on and not has_checkpoint(run_dir):
        raise InputError(f"there is no checkpoint {run_dir / LAST}: leave --ckpt_path out to start anew")
    if given is not None and not goes_on and not Path(given).is_file():
        raise InputError(f"there is no checkpoint {given}: leave --ckpt_path out to start anew")
    is_own = given is not None and Path(given).resolve() == (run_dir / LAST).resolve()
    if cli.trainer.is_global_zero and not goes_on and not is_own:
        _check_unused(run_dir)
    cli.settle_parts(earlier_choice(run_dir) if goes_on else None)
    if cli.model.n_parts > 1 and given is not None and not goes_on:
        raise InputError(f"--ckpt_path {given}: a sweep in parts goes on with --ckpt_path last")
    with _resumable_or_absent(run_dir) if cli.trainer.is_global_zero else contextlib.nullcontext():
        for part in range(cli.model.n_parts):
            own = run_dir / checkpoint_of(part, cli.model.n_parts)
            cli.begin(part)
            if goes_on and is_done(own, cli.model):
                continue
            try:
                _fit_part(cli, Path(given).absolute() if given and not goes_on else own if own.is_file() else None)
            except DivergenceError as error:
                if cli.model.n_parts == 1:
                    raise
                print(f"{', '.join(cli.model.names)} given up: {error}", file=sys.stderr)
                own.parent.mkdir(parents=True, exist_ok=True)
            if cli.trainer.is_global_zero:
                mark_done(own, cli.model)
    if cli.model.n_parts > 1 and cli.trainer.is_global_zero:
        load_run(run_dir)  # says so where none was trained to its end
    if cli.config_init.visualizer.fault is not None:
        raise InputError(f"{run_dir}: the SAEs are trained and saved, but {cli.config_init.visualizer.fault}")


def _fit_part(cli: TrainCLI, ckpt_path: Path | None) -> None:
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=ckpt_path, weights_only=True)
    if cli.datamodule.val_tokens and cli.model.saes.keys().isdisjoint(cli.model.results):
        # The trainer leaves the validation out where a run goes on after its last step.
        cli.trainer.validate(cli.model, cli.datamodule, verbose=False)


def _check_trainer(settings: Namespace) -> None:
    """Raise InputError for trainer options that contradict our own or the precision of the weights."""
    for name, value in FIXED.items():
        if settings[name] != value:
            raise InputError(
                f"--trainer.{name} {settings[name]} contradicts saev's own options: leave it out, "
                "and use --data.n_tokens, --data.n_val_tokens and --run_dir"
            )
    if str(settings.precision) not in PRECISIONS:
        raise InputError(f"--trainer.precision {settings.precision}: weights stay float32, give bf16-mixed")


def _latent_shards(settings: Namespace) -> LatentShards:
    """The strategy of processes that divide the latents."""
    if settings.strategy not in ("auto", "ddp"):
        raise InputError(f"--trainer.strategy {settings.strategy}: with --model.shard_latents true, give ddp")
    return LatentShards()


def _check_unused(run_dir: Path) -> None:
    """Raise InputError where a new run would mix with something else."""
    if run_dir.exists() and any(run_dir.iterdir()):
        go_on = "go on with --ckpt_path last" if has_checkpoint(run_dir) else "remove it"
        raise InputError(f"{run_dir} is not empty: {go_on}, or give another --run_dir")


@contextlib.contextmanager
def _resumable_or_absent(run_dir: Path) -> Iterator[None]:
    """Remove a new run directory when the run fails before there is a checkpoint to go on from."""
    is_new = not run_dir.exists() or not any(run_dir.iterdir())
    try:
        yield
    except BaseException:
        if is_new and not has_checkpoint(run_dir):
            shutil.rmtree(run_dir, ignore_errors=True)
        raise


def _run_dir(argv: list[str]) -> Path:
    """The run directory of a command line that is not parsed yet, because its defaults lie in there."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--run_dir", type=Path)
    run_dir: Path | None = parser.parse_known_args(argv)[0].run_dir
    if run_dir is None:
        raise InputError("give the directory of a finished run: --run_dir RUN")
    if not (run_dir / CONFIG).is_file():
        raise InputError(f"{run_dir} is not the directory of a run: it holds no {CONFIG}")
    return run_dir


def _refuse_model_options(command: str, argv: list[str]) -> None:
    wrong = [option for option in argv if option.startswith(("--model", "--ckpt_path", "--checkpoint"))]
    if wrong:
        raise InputError(f"saev {command} takes the SAEs that the run exported: leave {wrong[0]} out")


def _run_config(run_dir: Path, command: str) -> str:
    """What test and validate take from a run's config.yaml: nothing that could name code to import."""
    path = run_dir / CONFIG
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        data = {key: value for key, value in config["data"].items() if key not in NOT_TAKEN_OVER[command]}
        return str(yaml.safe_dump({"data": data, "visualizer": config["visualizer"]}))
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the configuration of a run: {error}") from error


def _evaluate(cli: TrainCLI, run_dir: Path, command: str) -> None:
    data = cli.datamodule
    saes = load_run(run_dir)
    for name, sae in saes.items():
        if sae.d_in != data.d_model:
            raise InputError(
                f"the SAE {name} takes activations of width {sae.d_in}, "
                f"{data.reader.path} has {data.d_model}: give shards of the same ViT"
            )
        check_comparable(read_about(run_dir / "saes" / name), data, command)
    if command == "render":
        cli.config_init.visualizer.render_alone(cli.trainer, saes, data.test_tokens)
        return
    cli.model.adopt(saes)
    getattr(cli.trainer, command)(cli.model, data, weights_only=True)
