"""Damaged bytes and a disk that gives none."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.zygote import environment
from tests.shards.loading.named import TOKEN_BYTES, loader, select

import saev.threads
from saev.errors import InputError
from saev.shards.reading import unit_reads
from saev.shards.reading.read_ring import read_all

HELD = [100_000, 130]


@pytest.fixture
def damaged(shards: Path, tmp_path: Path) -> Path:
    """One byte of token 5 of example 12."""
    directory = Path(shutil.copytree(shards, tmp_path / shards.name))
    path = directory / "acts000002.bin"
    data = bytearray(path.read_bytes())
    data[2 * 13 * TOKEN_BYTES + 5 * TOKEN_BYTES] ^= 1
    path.write_bytes(data)
    return directory


@pytest.mark.parametrize("held", HELD)
def test_a_damaged_byte_is_named(damaged: Path, held: int) -> None:
    batches = loader(select(damaged), held=held, batches=40)
    place = r"acts000002.bin: block 0 \(bytes \d+ to \d+, example 12, tokens 5 to 7\) is damaged"
    with pytest.raises(InputError, match=place):
        list(batches)
    with pytest.raises(InputError, match=place):
        batches.sample(10**6)


@pytest.mark.parametrize("held", HELD)
def test_what_is_not_selected_may_be_damaged(damaged: Path, held: int) -> None:
    examples = [number for number in range(40) if number != 12]
    assert len(list(loader(select(damaged, examples=examples), held=held, batches=40))) == 40
    assert len(list(loader(select(damaged, kind="cls"), held=held, batches=3))) == 3


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Reads of activations wait, from the event on, until the end of the test; nobody waits long for them."""
    begins, ends = threading.Event(), threading.Event()

    def wait(*args: Any) -> Any:
        if begins.is_set():
            ends.wait()
        return read_all(*args)

    monkeypatch.setattr(unit_reads, "read_all", wait)
    monkeypatch.setattr(saev.threads, "_PATIENCE", 0.05)
    yield begins
    ends.set()


def test_a_stuck_disk_ends_training(shards: Path, stuck: threading.Event) -> None:
    batches = loader(select(shards), held=130, batches=400, timeout=0.3)
    running = iter(batches)
    next(running)
    stuck.set()
    others = set(threading.enumerate())
    with pytest.raises(InputError, match=rf"nothing could be read for 0.3 seconds from {shards}: look at the disk"):
        list(running)
    with pytest.raises(InputError, match=r"nothing could be read.*timeout waits longer"):
        batches.sample(100)
    with pytest.raises(InputError, match="nothing could be read"):
        list(loader(select(shards), held=100_000, timeout=0.3))
    hanging = set(threading.enumerate()) - others
    assert hanging and all(thread.daemon for thread in hanging)  # the interpreter does not wait for these


def test_a_slow_disk_is_waited_for(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: Any) -> Any:
        time.sleep(0.01)
        return read_all(*args)

    monkeypatch.setattr(unit_reads, "read_all", slow)
    assert len(list(loader(select(shards), held=100_000, timeout=0.2, n_threads=1))) == 10


PROGRAM = """
import sys, threading
from saev.threads import DaemonThreads
readers = DaemonThreads(2, "read", places="here", timeout=0.2)
gatherers = DaemonThreads(2, "gather", places="here", timeout=0.2)
try:
    read = readers.submit(threading.Event().wait)
    readers.result(gatherers.submit(read.result))
except ValueError as error:
    gatherers.close(), readers.close()
    sys.exit(f"ended: {error}")
"""


def test_a_process_with_a_stuck_read_ends() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("ended: nothing could be read for 0.2 seconds from here"), done.stderr
