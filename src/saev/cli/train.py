"""`saev fit`: train SAEs."""

import contextlib
import functools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from saev.artifacts import load_run
from saev.callbacks.noted_faults import noted
from saev.callbacks.run_checkpoint import LAST
from saev.callbacks.sae_exporter import diverged_saes
from saev.cli.lightning_cli import stoppable, wants_help
from saev.cli.run_directory import check_places_of_fit, check_space
from saev.cli.run_lock import alone_in, contents
from saev.cli.sweep_parts import check_parts, checkpoint_of, earlier_choice, has_checkpoint, is_done, mark_done
from saev.cli.train_cli import TrainCLI, announce, announce_galleries, build
from saev.cli.training_processes import TrainingStrategy
from saev.errors import InputError, tell
from saev.modules import DivergenceError
from saev.stopping import Stopped

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
    with stoppable():
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
    goes_on = given == "last"
    if goes_on and not has_checkpoint(run_dir):
        raise InputError(f"there is no checkpoint {run_dir / LAST}: leave --ckpt_path out to start anew")
    if given is not None and not goes_on and not Path(given).is_file():
        raise InputError(f"there is no checkpoint '{given}': leave --ckpt_path out to start anew")
    with contextlib.ExitStack() as stack:
        if cli.trainer.is_global_zero:
            stack.enter_context(alone_in(run_dir))
            stack.enter_context(_resumable_or_absent(run_dir))
        _fit_parts(cli, run_dir, given)


def _fit_parts(cli: TrainCLI, run_dir: Path, given: str | None) -> None:
    goes_on = given == "last"
    is_own = given is not None and Path(given).resolve() == (run_dir / LAST).resolve()
    if cli.trainer.is_global_zero and not goes_on and not is_own:
        _check_unused(run_dir)
    cli.settle_parts(earlier_choice(run_dir) if goes_on else None)
    if goes_on:
        check_parts(run_dir, cli.model.n_parts)
    if cli.model.n_parts > 1 and given is not None and not goes_on:
        raise InputError(f"--ckpt_path {given}: a sweep in parts goes on with --ckpt_path last")
    if cli.trainer.is_global_zero:
        check_space(run_dir, cli.model)
    faults: list[str] = []
    for part in range(cli.model.n_parts):
        own = run_dir / checkpoint_of(part, cli.model.n_parts)
        cli.begin(part)
        if goes_on and is_done(own, cli.model, cli.datamodule):
            continue
        try:
            _fit_part(cli, Path(given).absolute() if given and not goes_on else own if own.is_file() else None)
        except DivergenceError as error:
            if cli.model.n_parts == 1:
                raise
            tell(f"{', '.join(cli.model.names)} given up: {error}")
            own.parent.mkdir(parents=True, exist_ok=True)
        faults += noted(cli.trainer)
        if cli.model.validation_fault is not None:
            # Not marked as done: what goes on tries again.
            again = f"`saev validate --run_dir {run_dir}` tries again"
            faults.append(f"the validation has failed ({again}): {cli.model.validation_fault}")
        elif cli.trainer.is_global_zero:
            mark_done(own, cli.model, cli.datamodule)
    if cli.model.n_parts > 1 and cli.trainer.is_global_zero:
        load_run(run_dir)  # says so where none was trained to its end
    n = len(cli.model.recipes)
    if cli.trainer.is_global_zero and (
        diverged := diverged_saes(run_dir, [recipe.name for recipe in cli.model.recipes])
    ):
        faults.append(f"{len(diverged)} of {n} diverged, lower the lr: {'; '.join(diverged)}")
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
    if not has_checkpoint(cli.config_init.run_dir):
        return "nothing was kept"
    step = cli.config_init.checkpoint.saved_step
    saved = f"step {step:,} is saved: " if step else ""
    return f"{saved}the same command with --ckpt_path last goes on"


def _fit_part(cli: TrainCLI, ckpt_path: Path | None) -> None:
    cli.datamodule.forgives_validation = True
    cli.model.validation_fault = None
    if isinstance(strategy := cli.trainer.strategy, TrainingStrategy):
        strategy.advice = functools.partial(_advice, cli)
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=ckpt_path, weights_only=True)
    was_left_out = not any("val" in cli.model.results.get(name, {}) for name in cli.model.saes)
    if cli.datamodule.val_tokens and was_left_out and cli.model.validation_fault is None:
        # The trainer leaves the validation out where a run goes on after its last step.
        cli.trainer.validate(cli.model, cli.datamodule, verbose=False)


def _check_unused(run_dir: Path) -> None:
    """Raise InputError where a new run would mix with something else."""
    if contents(run_dir):
        go_on = "go on with --ckpt_path last, or " if has_checkpoint(run_dir) else ""
        raise InputError(f"{run_dir} is not empty: {go_on}give another --run_dir")


@contextlib.contextmanager
def _resumable_or_absent(run_dir: Path) -> Iterator[None]:
    """Empty a new run directory when the run fails before there is a checkpoint to go on from."""
    is_new = not contents(run_dir)
    try:
        yield
    except BaseException:
        if is_new and not has_checkpoint(run_dir):
            for path in contents(run_dir):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        raise
