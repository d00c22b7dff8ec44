"""`saev fit`: train SAEs."""

import contextlib
import functools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from saev.artifacts import RunDirectory
from saev.artifacts.run_directory import CHECKPOINT
from saev.callbacks.noted_faults import noted
from saev.callbacks.sae_exporter import diverged_saes
from saev.cli.ending import Stopped
from saev.cli.parsing.command_line import wants_help
from saev.cli.processes.training import TrainingStrategy
from saev.cli.runs.lock import alone_in, contents
from saev.cli.runs.places import check_places_of_fit, check_space
from saev.cli.runs.train_cli import TrainCLI, announce, announce_galleries, build
from saev.errors import InputError, tell
from saev.training.divergence import DivergenceError

DESCRIPTION = "Train an SAE on shards. The last line of standard output is the run directory."


class EndingError(InputError):
    """Raised where the SAEs are trained and saved, and something that follows could not be done."""


def fit(argv: list[str]) -> int:
    """Run `saev fit ARGV` and return the exit status."""
    if wants_help(argv):
        build(TrainCLI, "fit", DESCRIPTION, argv)
    with contextlib.redirect_stdout(sys.stderr):
        run_dir = train(argv)
        announce_galleries(run_dir)
    announce(run_dir)
    return 0


def train(argv: list[str]) -> Path:
    """Do what the command line says; its run directory."""
    try:
        cli = build(TrainCLI, "fit", DESCRIPTION, argv)
    except Stopped as stopped:
        stopped.advice = "training had not begun"
        raise
    with _told_how_to_go_on(cli):
        _fit(cli, cli.config_init.run_dir)
    return Path(cli.config_init.run_dir)


def _fit(cli: TrainCLI, run_dir: Path) -> None:
    if cli.trainer.is_global_zero:
        check_places_of_fit(run_dir)
    given = cli.config_init.ckpt_path
    ckpt_path = None if given is None else (run_dir / CHECKPOINT if given == "last" else Path(given)).absolute()
    if ckpt_path is not None and not ckpt_path.is_file():
        shown = run_dir / CHECKPOINT if given == "last" else f"'{given}'"
        raise InputError(f"there is no checkpoint {shown}: leave --ckpt_path out to start anew")
    with contextlib.ExitStack() as stack:
        if cli.trainer.is_global_zero:
            stack.enter_context(alone_in(run_dir))
            stack.enter_context(_resumable_or_absent(run_dir))
            if ckpt_path is None or ckpt_path.resolve() != (run_dir / CHECKPOINT).resolve():
                _check_unused(run_dir)
        _train(cli, run_dir, ckpt_path)


def _train(cli: TrainCLI, run_dir: Path, ckpt_path: Path | None) -> None:
    cli.check_memory()
    if cli.trainer.is_global_zero:
        check_space(run_dir, cli.model)
    cli.datamodule.forgives_validation = True
    if isinstance(strategy := cli.trainer.strategy, TrainingStrategy):
        strategy.advice = functools.partial(_advice, cli)
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=ckpt_path, weights_only=True)
    was_left_out = not any("val" in cli.model.results.get(name, {}) for name in cli.model.saes)
    if cli.datamodule.val_tokens and was_left_out and cli.model.validation_fault is None:
        # The trainer leaves the validation out where a run goes on after its last step.
        cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
    faults = noted(cli.trainer)
    if cli.model.validation_fault is not None:
        again = f"`saev validate --run_dir {run_dir}` tries again"
        faults.append(f"the validation has failed ({again}): {cli.model.validation_fault}")
    names = cli.model.names
    if cli.trainer.is_global_zero and (diverged := diverged_saes(RunDirectory(run_dir), names)):
        faults.append(f"{len(diverged)} of {len(names)} diverged, lower the lr: {'; '.join(diverged)}")
    if faults and not cli.trainer.is_global_zero:
        raise SystemExit(1)  # the first process says why
    if faults:
        raise EndingError(f"{run_dir}: the SAEs are trained and saved, but {_told(list(dict.fromkeys(faults)))}")


def _told(faults: Sequence[str]) -> str:
    """What went wrong, for the last line; several faults have lines of their own, because together they are long."""
    if len(faults) == 1:
        return faults[0]
    for fault in faults:
        tell(fault)
    return f"{len(faults)} things have failed, which the lines above tell"


@contextlib.contextmanager
def _told_how_to_go_on(cli: TrainCLI) -> Iterator[None]:
    """Add to what ends a run before its time what is kept of it."""
    try:
        yield
    except Stopped as stopped:
        stopped.advice = _what_is_kept(cli)
        raise
    except (DivergenceError, EndingError):
        raise  # It would diverge again; or training has ended.
    except InputError as error:
        if not (advice := _advice(cli)):
            raise
        raise InputError(f"{error}; {advice}") from error


def _advice(cli: TrainCLI) -> str:
    """What is kept of a run that has come to its first step; nothing before it."""
    return _what_is_kept(cli) if cli.config_init.checkpoint.has_begun else ""


def _what_is_kept(cli: TrainCLI) -> str:
    if not (cli.config_init.run_dir / CHECKPOINT).is_file():
        return "nothing was kept"
    step = cli.config_init.checkpoint.saved_step
    saved = f"step {step:,} is saved: " if step else ""
    return f"{saved}the same command with --ckpt_path last goes on"


def _check_unused(run_dir: Path) -> None:
    """Raise InputError where a new run would mix with something else."""
    if contents(run_dir):
        go_on = "go on with --ckpt_path last, or " if (run_dir / CHECKPOINT).is_file() else ""
        raise InputError(f"{run_dir} is not empty: {go_on}give another --run_dir")


@contextlib.contextmanager
def _resumable_or_absent(run_dir: Path) -> Iterator[None]:
    """Empty a new run directory when the run fails before there is a checkpoint to go on from."""
    is_new = not contents(run_dir)
    try:
        yield
    except BaseException:
        if is_new and not (run_dir / CHECKPOINT).is_file():
            for path in contents(run_dir):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        raise
