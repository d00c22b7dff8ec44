"""When one of several processes ends, all end with a line that says why; what is whole stays and is gone on from."""

import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.processes import Tree, family, is_alive, rank_1_of, send, tree, wait_until
from tests.cli.recording import long_options, noise, recorded, write_pictures
from tests.cli.zygote import Command, finish, start

pytestmark = pytest.mark.slow

TWO = "--trainer.devices=2"
SECONDS_TO_END = 60  # Mostly imports, on a busy machine.


@dataclass
class Recording:
    """A command in two processes, in the middle of its work."""

    process: Command
    argv: list[str]
    out: Path
    all: list[int]
    rank_1: int

    def ended(self, status: int, said: str) -> str:
        """Wait until all processes have ended, each in its time; what standard error holds."""
        found, printed, err = finish(self.process, SECONDS_TO_END)
        wait_until(lambda: not any(map(is_alive, self.all)))
        assert (found, printed) == (status, ""), err
        assert "Traceback" not in err
        assert err.splitlines()[-1].startswith("saev predict: ")
        assert said in err.splitlines()[-1], err
        assert not list(self.out.glob("[!.]*"))
        return err

    def shards(self) -> dict[Path, int]:
        """The activations of the shards that are whole, and when they were written last."""
        records = self.out.glob(".*.partial/acts*.json")
        return {path.with_suffix(".bin"): path.with_suffix(".bin").stat().st_mtime_ns for path in records}


def begin(out: Path, pictures: Path, *more: str) -> Recording:
    """Start a recording, and wait for a few whole shards of each process."""
    argv = long_options(out, pictures, *more)
    process = start([*argv, TWO])
    wait_until(lambda: len(list(out.glob(".*.partial/acts00000[01].json"))) == 4, process)
    rank_1 = rank_1_of(process.pid)
    assert rank_1 is not None
    return Recording(process, argv, out, family(process.pid), rank_1)


@pytest.fixture
def running(many: Path, tmp_path: Path) -> Iterator[Recording]:
    recording = begin(tmp_path / "out", many)
    yield recording
    send(recording.all, signal.SIGKILL)
    recording.process.communicate()


def goes_on(recording: Recording, many_recorded: Tree, n: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command in n processes records what is missing, and only that."""
    before = recording.shards()
    assert len(before) >= 4
    if n == 1:
        recorded(recording.argv, capsys)
    else:
        status, printed, err = finish(start([*recording.argv, f"--trainer.devices={n}"]))
        assert (status, len(printed.splitlines())) == (0, 2), err
    assert tree(recording.out) == many_recorded
    for path, written in before.items():
        assert (recording.out / path.parent.name[1:-8] / path.name).stat().st_mtime_ns == written


def says_what_stays(recording: Recording, err: str) -> None:
    """A line for each layer, with the number of shards that are there."""
    n = len(recording.shards()) // 2
    kept = [line for line in err.splitlines() if "shards are whole and stay; the same command goes on" in line]
    assert len(kept) == 2, err
    assert any(f"{n} of 16 shards are whole" in line for line in kept), err
    assert not list(recording.out.glob(".*.lock"))


@pytest.mark.parametrize("waits", [False, True])
def test_a_killed_process_ends_the_first(
    waits: bool, running: Recording, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    if waits:  # for the other one, with all of its own shards done
        os.kill(running.rank_1, signal.SIGSTOP)
        wait_until(lambda: len(list(running.out.glob(".*.partial/acts*[02468].json"))) == 16)
    os.kill(running.rank_1, signal.SIGKILL)
    err = running.ended(1, "error: process 1 of this recording was ended by SIGKILL (is memory short?)")
    says_what_stays(running, err)
    goes_on(running, many_recorded, 1, capsys)


def test_a_second_recording_is_refused_and_when_the_first_process_is_killed_the_others_end(
    running: Recording, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    send(running.all, signal.SIGSTOP)
    status, printed, err = finish(start([*running.argv, TWO]), SECONDS_TO_END)
    assert (status, printed) == (1, "")
    (line,) = (line for line in err.splitlines() if line.startswith("saev "))
    assert line == err.splitlines()[-1]
    assert "another run is recording the same thing: wait for it or stop it" in line
    assert "Traceback" not in err, err
    assert all(map(is_alive, running.all))
    send([running.process.pid], signal.SIGKILL)
    send(running.all, signal.SIGCONT)
    running.ended(-signal.SIGKILL, "error: the process that started this one is gone: the recording stops")
    goes_on(running, many_recorded, 3, capsys)


@pytest.mark.parametrize(
    ("signum", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_all_and_only_the_first_tells(
    signum: int, status: int, said: str, running: Recording, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    # Ctrl-C reaches all processes of a terminal; `kill` only the first one.
    send(running.all if signum == signal.SIGINT else [running.process.pid], signum)
    err = running.ended(status, said)
    assert len([line for line in err.splitlines() if line.startswith("saev ")]) == 1, err
    says_what_stays(running, err)
    goes_on(running, many_recorded, 1, capsys)


def test_a_disk_fault_of_one_process(
    running: Recording, many_recorded: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    resource.prlimit(running.rank_1, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    err = running.ended(1, "error: process 1 of this recording has failed: what it said stands above")
    (line,) = (line for line in err.splitlines() if "cannot be written (File too large)" in line)
    assert line.startswith("saev predict: error: ")
    says_what_stays(running, err)
    goes_on(running, many_recorded, 1, capsys)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_bad_picture_of_one_process(rank: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = write_pictures(tmp_path / "pictures", 13)
    bad = pictures / f"dog/{7 - rank}.png"  # after dog/10, 11, 12, 3, 4, 5
    small = ["--writer.n_patches_per_shard=101", "--data.num_workers=0"]
    bad.write_bytes(b"nothing")
    out = tmp_path / "out"
    status, printed, err = finish(start([*long_options(out, pictures, *small), TWO]))
    assert (status, printed) == (1, "")
    assert "Traceback" not in err
    told = [line for line in err.splitlines() if "error: " in line]
    assert f"picture 'dog/{7 - rank}.png' cannot be decoded" in told[0]
    ends = "cannot be decoded" if rank == 0 else "process 1 of this recording has failed: what it said stands above"
    assert ends in err.splitlines()[-1]
    assert not list(out.glob("[!.]*"))
    noise(7 - rank).save(bad)  # another picture is another recording, of which nothing is there
    recorded(long_options(out, pictures, *small), capsys)


def started_rank_1(process: Command) -> int:
    """The second process, which still imports what it needs."""
    wait_until(lambda: rank_1_of(process.pid) is not None, process)
    rank_1 = rank_1_of(process.pid)
    assert rank_1 is not None
    return rank_1


def test_a_process_that_cannot_start_ends_the_first(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start([*long_options(out, many), TWO])
    child = started_rank_1(process)
    os.kill(child, signal.SIGKILL)
    status, printed, err = finish(process, SECONDS_TO_END)
    assert (status, printed) == (1, "")
    assert err.splitlines()[-1].startswith("saev predict: error: process 1 of this recording was ended by SIGKILL")
    assert not out.exists()


def test_when_the_first_process_is_killed_early_the_others_do_not_wait_for_it(many: Path, tmp_path: Path) -> None:
    process = start([*long_options(tmp_path / "out", many), TWO])
    child = started_rank_1(process)
    process.kill()
    _, _, err = finish(process, SECONDS_TO_END)
    assert err.splitlines()[-1] == "saev predict: error: the process that started this one is gone: the recording stops"
    wait_until(lambda: not is_alive(child))
