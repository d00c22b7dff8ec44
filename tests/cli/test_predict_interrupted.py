"""A recording that is stopped keeps its whole shards, and the same command goes on to the same bytes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.processes import Tree, tree, wait_until
from tests.cli.recording import long_options, recorded, refused
from tests.cli.zygote import Command, finish, start

pytestmark = pytest.mark.slow

N_SHARDS = 16


def n_records(out: Path) -> int:
    """Whole shards of all layers."""
    return len(list(out.glob(".*.partial/acts*.json")))


Running = tuple[Command, list[str], Path]


SLOWLY = """
import time
from saev.modules import VitLightningModule
step = VitLightningModule.predict_step
def slow_step(*args):
    time.sleep(0.02)
    return step(*args)
VitLightningModule.predict_step = slow_step
"""
"""So that a recording is not done before its signal comes, on a machine that does other things, too."""


@pytest.fixture
def running(many: Path, tmp_path: Path) -> Iterator[Running]:
    """A real process in the middle of recording two layers, its command and its place."""
    out = tmp_path / "out"
    argv = long_options(out, many)
    process = start(argv, SLOWLY)
    wait_until(lambda: n_records(out) > 3, process)
    yield process, argv, out
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("signum", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_stopped_recording_says_what_stays_and_goes_on(
    signum: int,
    status: int,
    said: str,
    running: Running,
    many_recorded: Tree,
    capsys: pytest.CaptureFixture[str],
) -> None:
    process, argv, out = running
    process.send_signal(signum)
    found, printed, err = finish(process)
    assert (found, printed) == (status, "")
    assert err.splitlines()[-1] == f"saev predict: {said}"
    assert "Traceback" not in err
    kept = [line for line in err.splitlines() if "shards are whole and stay; the same command goes on" in line]
    assert len(kept) == 2, err
    assert 4 <= n_records(out) < 2 * N_SHARDS
    assert not list(out.glob("[!.]*"))
    assert not list(out.glob(".*.lock"))
    before = {path: path.stat().st_mtime_ns for path in out.glob(".*.partial/acts*.json")}
    recorded(argv, capsys)
    assert tree(out) == many_recorded
    names = [out / path.parent.name[1:-8] / f"{path.stem}.bin" for path in before]
    assert all(path.stat().st_mtime_ns <= then for path, then in zip(names, before.values(), strict=True))


def test_a_second_recording_at_the_same_time_is_refused_and_a_killed_one_goes_on(
    running: Running, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    process, argv, out = running
    process.send_signal(signal.SIGSTOP)
    refused(argv, capsys, "another run is recording the same thing: wait for it", None)
    process.kill()
    process.wait()
    assert not list(out.glob("[!.]*"))
    # The killed run's workers may still live; its lock does not.
    recorded(argv, capsys)
    assert tree(out) == many_recorded


def test_a_killed_data_worker_is_one_clear_line(
    running: Running, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    process, argv, out = running
    process.send_signal(signal.SIGSTOP)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    status, printed, err = finish(process)
    assert (status, printed) == (1, "")
    assert "saev predict: error: a data worker ended unexpectedly" in err.splitlines()[-1]
    assert "Traceback" not in err
    recorded(argv, capsys)
    assert tree(out) == many_recorded


def test_an_exception_in_the_forward_pass_keeps_whole_shards(many: Path, tmp_path: Path, many_recorded: Tree) -> None:
    code = """
import torch
from saev.modules import VitLightningModule
step = VitLightningModule.predict_step
def failing(self, batch, batch_idx):
    if batch_idx == 96:
        raise torch.OutOfMemoryError("no memory on the device")
    return step(self, batch, batch_idx)
VitLightningModule.predict_step = failing
"""
    out = tmp_path / "out"
    status, _, err = finish(start(long_options(out, many), code))
    assert status == 1
    assert "no memory on the device" in err
    assert "8 of 16 shards are whole and stay; the same command goes on from there" in err
    assert not list(out.glob("[!.]*"))
    status, _, err = finish(start(long_options(out, many)))
    assert status == 0, err
    assert tree(out) == many_recorded


def test_a_second_signal_ends_at_once(many: Path, tmp_path: Path, many_recorded: Tree) -> None:
    code = """
import signal
from saev.callbacks import VitActivationWriter
def on_exception(*_):
    signal.raise_signal(signal.SIGTERM)
    print("not at once")
VitActivationWriter.on_exception = on_exception
from saev.modules import VitLightningModule
step = VitLightningModule.predict_step
def interrupted(self, batch, batch_idx):
    if batch_idx == 96:
        signal.raise_signal(signal.SIGINT)
    return step(self, batch, batch_idx)
VitLightningModule.predict_step = interrupted
"""
    out = tmp_path / "out"
    status, printed, err = finish(start(long_options(out, many), code))
    assert (status, printed) == (143, "")
    assert "Traceback" not in err
    assert not list(out.glob("[!.]*"))
    status, _, err = finish(start(long_options(out, many)))
    assert status == 0, err
    assert tree(out) == many_recorded
