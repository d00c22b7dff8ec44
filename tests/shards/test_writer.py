"""What a writer refuses, and that disk and background threads never lose a fault."""

import errno
import os
import re
from pathlib import Path

import pytest
import torch
from tests.shards.small_recordings import begin, make_acts, make_examples, make_recording, record, write

from saev.errors import InputError
from saev.shards.reading.open import open_shards
from saev.shards.writing import hashed_file
from saev.shards.writing.partial import PartialRecording

RECORDING = make_recording()  # 3 shards of 4, 4 and 3 examples


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8"])
def test_activations_that_are_not_finite_name_the_picture(tmp_path: Path, value: float, dtype: str) -> None:
    recording = make_recording(dtype=dtype)
    acts = make_acts(recording)
    acts[2, 3, 4] = value
    with pytest.raises(InputError, match=r"^bird/2-.* at token 3, dimension 4 is not finite"):
        record(tmp_path, recording, acts)
    assert list(tmp_path.iterdir()) == []


def test_float16_overflow_names_the_picture_and_a_way_out(tmp_path: Path) -> None:
    recording = make_recording(dtype="float16")
    acts = make_acts(recording)
    acts[1, 0, 1] = -70_000
    with pytest.raises(
        InputError,
        match=r"^bird/1-.*activation -70000 .* overflows float16 \(at most 65504\): store bfloat16",
    ):
        record(tmp_path, recording, acts)
    assert list(tmp_path.iterdir()) == []


def test_finite_activations_whose_sum_overflows_are_stored(tmp_path: Path) -> None:
    acts = make_acts(RECORDING).abs() * 0 + 3e38
    assert torch.equal(open_shards(record(tmp_path, RECORDING, acts)).read(0, 11), acts)


@pytest.mark.parametrize(("first", "rows"), [(1, 2), (0, 5), (3, 2), (4, 2)])
def test_examples_out_of_order_and_batches_across_shards_are_mistakes(tmp_path: Path, first: int, rows: int) -> None:
    place, writer = begin(tmp_path, RECORDING)
    writer.append(0, make_acts(RECORDING)[:2], make_examples(2))
    with pytest.raises(AssertionError):
        writer.append(first, make_acts(RECORDING)[first : first + rows], make_examples(rows))
    writer.abort()
    place.leave()


def test_examples_that_are_missing_at_the_end_are_a_mistake(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, make_acts(RECORDING), [0, 2])
    with pytest.raises(AssertionError, match=r"shards \[1\] are missing"):
        writer.finish()
    place.leave()


def test_shards_of_other_writers_are_passed_over(tmp_path: Path) -> None:
    acts = make_acts(RECORDING)
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, acts, range(3))
    writer.finish()
    second = PartialRecording(tmp_path, RECORDING)
    second.join()
    write(begin_another(second), RECORDING, acts * 2, range(3))
    assert torch.equal(open_shards(place.publish()).read(0, 11), acts)
    second.leave()


def begin_another(place: PartialRecording):
    from saev.shards.writing.writer import ShardWriter

    return ShardWriter(place, place.missing())


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT])
def test_what_the_disk_does_not_take_ends_the_recording(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, writer = begin(tmp_path, RECORDING)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch, pytest.raises(InputError, match=os.strerror(code)) as error:
        patch.setattr(os, call, fail)
        write(writer, RECORDING, make_acts(RECORDING), range(3), batch=1)  # many more than the queue holds
        writer.finish()
    assert str(place.path) in str(error.value)
    advice = {errno.ENOSPC: "make room", errno.EIO: "check", errno.EFBIG: "raise the limit", errno.EDQUOT: "raise the"}
    assert re.search(rf"\(\d+ bytes\)( or more)? are needed, .* are free: {advice[code]}", str(error.value))
    assert "\n" not in str(error.value)
    writer.abort()
    place.leave()
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(hashed_file, "_allocate", full)
    place = PartialRecording(tmp_path, RECORDING)
    with pytest.raises(
        InputError, match=rf"No space left.* \({place.n_bytes} bytes\)( or more)? are needed, .*\(\d+ bytes\)"
    ) as e:
        place.claim()
    assert str(tmp_path) in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_file_systems_that_cannot_reserve_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashed_file, "_allocate", lambda fd, n_bytes: None)
    directory = record(tmp_path, RECORDING, make_acts(RECORDING))
    assert torch.equal(open_shards(directory).read(0, 11), make_acts(RECORDING))


def test_space_is_reserved_before_the_first_batch(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING)
    files = sorted(tmp_path.glob(".*.partial/acts*.bin"))
    assert [path.stat().st_size for path in files] == [RECORDING.layout.bytes_per_shard] * 3
    assert all(path.stat().st_blocks > 0 for path in files)
    assert place.allocated() >= RECORDING.layout.total_bytes
    writer.abort()
    place.leave()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "deeper"):
        with pytest.raises(InputError, match=r"is a file: give a directory"):
            PartialRecording(root, RECORDING).claim()


def test_a_failed_fsync_is_told_with_the_next_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = make_recording(n_examples=4000, budget=14_000)  # two shards of many batches
    acts = make_acts(recording)
    place, writer = begin(tmp_path, recording)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match="Input/output error"):
            write(writer, recording, acts, range(2), batch=1)
    writer.abort()
    place.leave()
