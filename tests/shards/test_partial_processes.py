"""Several processes at one recording, one after the other or at once."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shards.small_recordings import (
    begin,
    contents,
    make_acts,
    make_recording,
    record,
    write,
)

from saev.errors import InputError
from saev.lock import is_locked
from saev.shards.reading.open import open_shards
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter

RECORDING = make_recording()  # 3 shards of 4, 4 and 3 examples
ACTS = make_acts(RECORDING)


@settings(max_examples=30)
@given(
    n_examples=st.integers(1, 30),
    budget=st.integers(7, 60),
    batch=st.integers(1, 9),
    processes=st.integers(1, 5),
    data=st.data(),
)
def test_any_number_of_processes_and_interruptions_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    n_examples: int,
    budget: int,
    batch: int,
    processes: int,
    data: st.DataObject,
) -> None:
    recording = make_recording(n_examples, budget=budget)
    acts = make_acts(recording)
    expected = contents(record(tmp_path_factory.mktemp("one"), recording, acts, batch))
    root = tmp_path_factory.mktemp("many")
    n_shards = recording.layout.n_shards
    first = data.draw(st.sets(st.integers(0, n_shards - 1), max_size=n_shards))
    place, writer = begin(root, recording)
    write(writer, recording, acts, sorted(first), batch)
    writer.abort()
    place.leave()
    place.claim()
    todo = place.missing()
    assert set(todo).isdisjoint(first)
    others = [PartialRecording(root, recording) for _ in range(processes)]
    writers = [ShardWriter(other, todo[rank::processes]) for rank, other in enumerate(others)]
    for other, each in zip(others, writers, strict=True):
        other.join()
        write(each, recording, acts, range(n_shards), batch)
        each.finish()
    assert contents(place.publish()) == expected
    for other in others:
        other.leave()
    assert [path.name for path in root.iterdir()] == [recording.directory_name]


def test_a_second_run_is_refused_while_any_process_of_the_first_lives(tmp_path: Path) -> None:
    first, writer = begin(tmp_path, RECORDING)
    lock = tmp_path / f".{RECORDING.directory_name}.lock"
    helper = PartialRecording(tmp_path, RECORDING)
    helper.join()
    second = PartialRecording(tmp_path, RECORDING)
    with pytest.raises(InputError, match="another run is recording the same thing"):
        second.claim()
    other = make_recording(layer=9)
    record(tmp_path, other, make_acts(other))  # another layer is another thing
    writer.abort()
    first.leave()
    assert is_locked(lock)
    with pytest.raises(InputError, match="another run is recording the same thing"):
        second.claim()
    helper.leave()
    assert not is_locked(lock)
    assert not lock.exists()
    second.claim()
    second.leave()


def in_subprocess(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run code that has a `place` for RECORDING; without torch that takes no time."""
    begin = """
import os, pickle, resource, signal, sys
from pathlib import Path
from saev.errors import InputError
from saev.shards.writing.partial import PartialRecording
assert "torch" not in sys.modules
place = PartialRecording(Path(sys.argv[1]), pickle.loads(bytes.fromhex(sys.argv[2])))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", begin + code, str(root), pickle.dumps(RECORDING).hex()]
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=120, check=False)


def test_a_killed_process_gives_its_lock_up(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, ACTS, [0])
    writer.abort()
    place.leave()
    result = in_subprocess("place.claim(); os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".partial", ".lock"}
    assert PartialRecording(tmp_path, RECORDING).missing() == [1, 2]
    directory = record(tmp_path, RECORDING, ACTS)
    assert list(tmp_path.iterdir()) == [directory]
    assert torch.equal(open_shards(directory).read(0, 11), ACTS)


def test_files_larger_than_allowed_are_refused_before_the_start(tmp_path: Path) -> None:
    code = """
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    place.claim()
except InputError as error:
    print(error)
"""
    result = in_subprocess(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "File too large" in result.stdout
    assert "raise the limit on file sizes (ulimit -f)" in result.stdout
    assert list(tmp_path.iterdir()) == []
