"""When one of several processes of a training or an evaluation ends, all end, and one line says which did."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.fitting import SAVE_OFTEN, fit_options, only
from tests.cli.processes import family, is_alive, rank_1_of, send, wait_until
from tests.cli.zygote import Command, finish, start

from saev.cli.main import main
from saev.cli.runs.lock import contents

pytestmark = pytest.mark.slow

TWO = ["--trainer.devices=2", "--trainer.accelerator=cpu"]
STARTED: list[int] = []


@pytest.fixture(autouse=True)
def _none_stays() -> Iterator[None]:
    yield
    send(STARTED, signal.SIGKILL)
    STARTED.clear()


def last_line(err: str) -> str:
    """The last one on standard error, and the only one of ours; no traceback beside it."""
    assert "Traceback" not in err, err
    (line,) = (line for line in err.splitlines() if line.startswith("saev "))
    assert err.splitlines()[-1] == line
    return line


@pytest.mark.parametrize(
    ("rank", "more"), [(0, []), (1, []), (1, ["--model.shard_latents=true"])], ids=["first", "second", "latents"]
)
def test_a_killed_process_of_a_training(rank: int, more: list[str], shards: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    process = start(fit_options(shards, run_dir, "--data.n_tokens=640000000", SAVE_OFTEN, *TWO, *more))
    STARTED.append(process.pid)  # the other one ends with it
    wait_until((run_dir / "checkpoints" / "last.ckpt").exists, process)
    all_pids = family(process.pid)
    STARTED.extend(all_pids)
    rank_1 = rank_1_of(process.pid)
    assert rank_1 is not None
    os.kill([process.pid, rank_1][rank], signal.SIGKILL)
    status, out, err = finish(process)
    wait_until(lambda: not any(map(is_alive, all_pids)))
    assert (status, out) == ([-signal.SIGKILL, 1][rank], ""), err
    killed = "process 1 of this training was ended by SIGKILL (is memory short?)"
    gone = "the process that started this one is gone: the training stops"
    line = last_line(err)
    assert line.startswith(f"saev fit: error: {[gone, killed][rank]}; ")
    assert line.endswith("the same command with --ckpt_path last goes on")
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()


def ended(process: Command, command: str) -> str:
    """Kill the second process; the last line, from which the beginning that all have is taken off."""
    STARTED.append(process.pid)
    wait_until(lambda: rank_1_of(process.pid) is not None, process)
    rank_1 = rank_1_of(process.pid)
    assert rank_1 is not None
    os.kill(rank_1, signal.SIGKILL)
    status, out, err = finish(process)
    assert (status, out) == (1, ""), err
    work = "training" if command == "fit" else "evaluation"
    killed = f"saev {command}: error: process 1 of this {work} was ended by SIGKILL (is memory short?)"
    line = last_line(err)
    assert line.startswith(killed)
    return line.removeprefix(killed)


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_a_process_that_cannot_start(command: str, shards: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    argv = fit_options(shards, run_dir)
    if command != "fit":
        assert main(argv) == 0
        argv = [command, f"--run_dir={run_dir}"]
    assert ended(start([*argv, *TWO]), command) == ""
    assert bool(contents(run_dir)) == (command != "fit")


def test_a_killed_process_of_an_evaluation(shards: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(shards, run_dir)) == 0
    figures = only(run_dir, "saes/*/metrics.json")
    process = start(["test", f"--run_dir={run_dir}", f"--data.shards={shards}", *TWO])
    # Then the second process waits for the first one, which draws.
    wait_until(lambda: '"test"' in figures.read_text(), process)
    assert ended(process, "test") == ""


def test_what_one_process_says_comes_before_the_last_line(shards: Path, tmp_path: Path) -> None:
    argv = fit_options(shards, tmp_path / "run", "--trainer.callbacks=tests.cli.spoiling.SecondFails", *TWO)
    process = start(argv)
    STARTED.append(process.pid)
    status, out, err = finish(process)
    assert (status, out) == (1, ""), err
    assert "Traceback" not in err
    first, last = (line for line in err.splitlines() if line.startswith("saev "))
    assert first.startswith("saev fit: error: the second one fails; ")
    assert last == err.splitlines()[-1]
    assert last.startswith("saev fit: error: process 1 of this training has failed: what it said stands above; ")
