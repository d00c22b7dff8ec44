"""A signal ends `saev fit` after the step, with a checkpoint from which the run ends as if nothing had happened."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.fitting import (
    assert_same_run,
    fit_options,
    one_line,
    refusal,
    sparse_acts,
)
from tests.cli.processes import family, is_alive, send, wait_until
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.errors import InputError
from saev.modules import SAELightningModule

Capture = pytest.CaptureFixture[str]
GO_ON = "the same command with --ckpt_path last goes on"


@pytest.fixture(scope="module", params=["4.8e-5", "1"], ids=["streamed", "resident"])
def options(make_shards: MakeShards, request: pytest.FixtureRequest) -> list[str]:
    """A run of 40 steps that writes no checkpoint before the last one."""
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    return fit_options(shards, Path("nowhere"), "--model.dead_after=640", f"--data.buffer_gib={request.param}")


@pytest.fixture(scope="module")
def undisturbed(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main([*options, f"--run_dir={run_dir}"]) == 0
    return run_dir


def signalled(signum: int, method: str, at_step: int | None = None) -> Callable[..., Any]:
    """A method of the module that a signal comes in, at a step if one is given."""
    original = getattr(SAELightningModule, method)

    def patched(module: SAELightningModule, *args: Any) -> Any:
        if at_step in (None, module.trainer.global_step):
            signal.raise_signal(signum)
        return original(module, *args)

    return patched


def ended(argv: list[str], status: int, capsys: Capture) -> str:
    """The last line of a run that ends with a status."""
    handlers = signal.getsignal(signal.SIGINT)
    said = refusal(argv, capsys, status)
    assert signal.getsignal(signal.SIGINT) is handlers
    return said


def test_between_two_steps(
    options: list[str], undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    argv = [*options, f"--run_dir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:
        patch.setattr(SAELightningModule, "training_step", signalled(signal.SIGINT, "training_step", 16))
        assert ended(argv, 130, capsys) == f"saev fit: interrupted: step 17 is saved: {GO_ON}"
    argv.append("--ckpt_path=last")
    with monkeypatch.context() as patch:
        patch.setattr(SAELightningModule, "training_step", signalled(signal.SIGTERM, "training_step", 30))
        assert ended(argv, 143, capsys) == f"saev fit: terminated: step 31 is saved: {GO_ON}"
    with monkeypatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True)
        assert main([*argv, "--trainer.enable_progress_bar=true"]) == 0
    bar = capsys.readouterr().err
    assert " 32/40 [" in bar  # where the run goes on, and not at the beginning or without an end
    assert " 1/40 [" not in bar
    assert_same_run(tmp_path / "run", undisturbed)


@pytest.mark.parametrize(
    ("method", "step", "said"),
    [
        ("training_step", 39, f"step 40 is saved: {GO_ON}"),
        ("on_validation_epoch_end", None, f"step 40 is saved: {GO_ON}"),
        ("whole_saes", None, f"step 40 is saved: {GO_ON}"),
        ("on_fit_start", None, "nothing was kept"),
        ("configure_optimizers", None, "nothing was kept"),
    ],
)
def test_elsewhere(
    options: list[str],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    method: str,
    step: int | None,
    said: str,
) -> None:
    argv = [*options, f"--run_dir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:
        patch.setattr(SAELightningModule, method, signalled(signal.SIGTERM, method, step))
        assert ended(argv, 143, capsys) == f"saev fit: terminated: {said}"
    if "saved" in said:
        assert main([*argv, "--ckpt_path=last"]) == 0
        assert_same_run(tmp_path / "run", undisturbed)
    else:
        assert not (tmp_path / "run").exists()


def test_an_error_in_training_says_what_is_kept(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*_: object) -> None:
        raise InputError("the disk is gone")

    monkeypatch.setattr(SAELightningModule, "training_step", fail)
    argv = [*options, f"--run_dir={tmp_path / 'run'}"]
    assert ended(argv, 1, capsys) == "saev fit: error: the disk is gone; nothing was kept"


TWICE = """
import signal
import saev.modules
def training_step(module, *args):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
saev.modules.SAELightningModule.training_step = training_step
"""


@pytest.mark.slow
def test_a_second_signal_ends_at_once(make_shards: MakeShards, tmp_path: Path) -> None:
    status, out, err = finish(start(fit_options(make_shards(40)[0], tmp_path / "run"), TWICE))
    assert (status, out) == (130, ""), err
    assert "Traceback" not in err
    assert "another signal ends it at once" in err


@pytest.mark.slow
def test_two_processes(make_shards: MakeShards, tmp_path: Path) -> None:
    """Ctrl-C in a terminal goes to both of them, a scheduler's SIGTERM to the first one alone."""
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    more = [
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
        f"--data.n_tokens={64 * 240}",
        "--checkpoint.every_n_steps=41",
    ]
    argv = fit_options(shards, tmp_path / "run", *more)
    stop_in_training(argv, tmp_path / "run", signal.SIGINT, 130)
    argv.append("--ckpt_path=last")
    stop_in_training(argv, tmp_path / "run", signal.SIGTERM, 143)
    for run in (argv, [*argv[:-1], f"--run_dir={tmp_path / 'undisturbed'}"]):
        status, _, err = finish(start(run))
        assert status == 0, err
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def stop_in_training(argv: list[str], run_dir: Path, signum: int, status: int) -> None:
    """Send SIGINT to two processes when they have written a checkpoint, or SIGTERM to the first one."""
    last = run_dir / "checkpoints" / "last.ckpt"
    before = written(last)
    process = start(argv)
    wait_until(lambda: written(last) > before, process)
    pids = family(process.pid)
    assert len(pids) >= 2
    send(pids if signum == signal.SIGINT else pids[:1], signum)
    found, out, err = finish(process, timeout=60)
    assert (found, out) == (status, ""), err
    assert GO_ON in one_line(err)
    wait_until(lambda: not any(map(is_alive, pids)))


def written(path: Path) -> int:
    """When a file was written, or 0."""
    return path.stat().st_mtime_ns if path.exists() else 0
