"""A recording ends whole, or leaves nothing that could be taken for whole."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.shards.small_recordings import make_acts, make_examples, make_recording, record

from saev.errors import InputError
from saev.shards.reader import ShardReader
from saev.shards.writer import ShardWriter, leftover_bytes

RECORDING = make_recording()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_activations_that_are_not_finite_name_the_picture(tmp_path: Path, value: float, dtype: str) -> None:
    recording = make_recording(dtype=dtype)
    acts = make_acts(recording)
    acts[2, 3, 4] = value
    with pytest.raises(InputError, match=r"^bird/2-.* at token 3, dimension 4 is not finite"):
        record_or_abort(tmp_path, recording, acts)
    assert list(tmp_path.iterdir()) == []


def test_float16_overflow_names_the_picture_and_a_way_out(tmp_path: Path) -> None:
    recording = make_recording(dtype="float16")
    acts = make_acts(recording)
    acts[9, 0, 1] = -70_000
    with pytest.raises(
        InputError,
        match=r"^bird/9-.*activation -70000 .* overflows float16 \(at most 65504\): store bfloat16",
    ):
        record_or_abort(tmp_path, recording, acts)
    assert list(tmp_path.iterdir()) == []


def test_finite_activations_whose_sum_overflows_are_stored(tmp_path: Path) -> None:
    acts = make_acts(RECORDING).abs() * 0 + 3e38
    assert torch.equal(ShardReader(record_or_abort(tmp_path, RECORDING, acts)).read(0, 11), acts)


def record_or_abort(root: Path, recording: object, acts: torch.Tensor) -> Path:
    writer = ShardWriter(root, recording)
    try:
        writer.append(acts, make_examples(len(acts)))
        return writer.finish()
    finally:
        writer.abort()


def test_abort_leaves_nothing_and_may_come_twice(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, RECORDING)
    writer.append(make_acts(RECORDING)[:5], make_examples(5))
    assert list(tmp_path.iterdir()) != []
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_abort_after_finish_keeps_the_recording(tmp_path: Path) -> None:
    directory = record_or_abort(tmp_path, RECORDING, make_acts(RECORDING))
    assert ShardReader(directory).n_examples == 11


def test_nothing_has_the_final_name_before_finish(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, RECORDING)
    writer.append(make_acts(RECORDING), make_examples(11))
    (partial,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert partial.name == f".{RECORDING.directory_name}.partial"
    assert not (partial / "metadata.json").exists()
    assert writer.finish() == tmp_path / RECORDING.directory_name
    assert not partial.exists()


def test_too_few_examples_are_never_taken_for_whole(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, RECORDING)
    writer.append(make_acts(RECORDING)[:10], make_examples(10))
    with pytest.raises(AssertionError):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    first = ShardWriter(tmp_path, RECORDING)
    with pytest.raises(InputError, match="another run is recording the same thing"):
        ShardWriter(tmp_path, RECORDING)
    other = make_recording(layer=9)
    second = record(tmp_path, other, make_acts(other))  # another layer is another thing
    first.append(make_acts(RECORDING), make_examples(11))
    assert sorted(tmp_path.glob("[!.]*")) == sorted([second])
    directory = first.finish()
    with pytest.raises(InputError, match="already exists"):
        ShardWriter(tmp_path, RECORDING)
    assert sorted(tmp_path.iterdir()) == sorted([second, directory])


def in_subprocess(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", code, str(root)]
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=120, check=False)


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from tests.shards.small_recordings import *
recording = make_recording()
writer = ShardWriter(Path(sys.argv[1]), recording)
writer.append(make_acts(recording, seed=1)[:9], make_examples(9))
Path(sys.argv[1], f".{recording.directory_name}.partial", "stale").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = in_subprocess(code, tmp_path)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".partial", ".lock"}
    assert leftover_bytes(tmp_path, RECORDING) >= RECORDING.layout.total_bytes
    directory = record(tmp_path, RECORDING, make_acts(RECORDING))
    assert list(tmp_path.iterdir()) == [directory]
    assert leftover_bytes(tmp_path, RECORDING) == 0
    assert not (directory / "stale").exists()
    assert torch.equal(ShardReader(directory).read(0, 11), make_acts(RECORDING))


def test_files_larger_than_allowed_are_refused_before_the_start(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from saev.errors import InputError
from tests.shards.small_recordings import *
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    ShardWriter(Path(sys.argv[1]), make_recording())
except InputError as error:
    print(error)
"""
    result = in_subprocess(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "File too large" in result.stdout
    assert "make room or record elsewhere" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, offset: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    needed = RECORDING.layout.total_bytes + 2**20
    with pytest.raises(InputError, match=rf"No space left.*needs .*\({needed} bytes\) and .*\(\d+ bytes\)") as e:
        ShardWriter(tmp_path, RECORDING)
    assert str(tmp_path) in str(e.value)
    assert "\n" not in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_file_systems_that_cannot_reserve_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(fd: int, offset: int, n_bytes: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    directory = record(tmp_path, RECORDING, make_acts(RECORDING))
    assert torch.equal(ShardReader(directory).read(0, 11), make_acts(RECORDING))


def test_space_is_reserved_before_the_first_batch(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, RECORDING)
    files = sorted(tmp_path.glob(".*.partial/acts*.bin"))
    assert [path.stat().st_size for path in files] == [RECORDING.layout.bytes_per_shard] * 3
    assert all(path.stat().st_blocks > 0 for path in files)
    writer.abort()


def test_a_failure_while_writing_is_raised_by_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = ShardWriter(tmp_path, RECORDING)

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(InputError, match="No space left on device"):
        for i, example in enumerate(make_examples(11)):  # many more than the queue holds
            writer.append(make_acts(RECORDING)[i : i + 1], [example])
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "deeper"):
        with pytest.raises(InputError, match=r"cannot be written .*: choose another"):
            ShardWriter(root, RECORDING)
