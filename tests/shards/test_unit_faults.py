"""Every fault of a unit, of its hash and of the disk is named."""

import errno
import os
import random
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from tests.shards.original_saev import make_acts as original_acts
from tests.shards.original_saev import write_original
from tests.shards.reading_units import (
    ADVICE,
    RECORDING,
    TOKENS,
    Read,
    every_way,
    open_below,
    read_all,
    read_alone,
    read_without_ring,
    stored,
)
from tests.shards.small_recordings import flip, make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.hashing import BLOCK_BYTES
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.verify import faults


def fail(*_: object) -> int:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@every_way
def test_a_flipped_bit_in_any_unit_is_found_and_named(reader: ShardReader, read: Read) -> None:
    layout, units, expected = reader.layout, reader.units(), stored(make_acts(RECORDING))
    spans = list(pairwise(units.bounds))
    assert len(spans) == 19
    for example in range(5):
        shard, offset = layout.locate(example)
        path = reader.path / layout.file_name(shard)
        for unit, (start, stop) in enumerate(spans):
            begin, end = (offset + token * layout.bytes_per_token for token in (start, stop))
            flip(path, random.Random(unit).randrange(begin, end))
            place = (
                f"{path}: block 0 (bytes {begin} to {end}, example {example}, tokens {start} to {stop}) is damaged: "
            )
            for first, last in ((unit, unit + 1), (0, 19)):
                with pytest.raises(InputError, match=re.escape(place)) as error:
                    read(units, example, first, last, layout.bytes_per_token)
                assert str(error.value).endswith(ADVICE)
                assert "\n" not in str(error.value)
            for first, last in ((0, unit), (unit + 1, 19)):
                if first < last:
                    whole = expected[example, units.bounds[first] : units.bounds[last]]
                    assert read(units, example, first, last, layout.bytes_per_token) == whole.tobytes()
            path.write_bytes(
                path.read_bytes()[:begin] + expected[example, start:stop].tobytes() + path.read_bytes()[end:]
            )
    read_all(read, units, layout.bytes_per_token, 5)


@every_way
def test_a_unit_that_lies_in_two_blocks_names_both(tmp_path: Path, read: Read) -> None:
    recording = make_recording(15, TOKENS, 1000, budget=15 * TOKENS.n_tokens)
    reader = open_shards(record(tmp_path, recording, make_acts(recording)))
    assert reader.layout.bytes_per_shard > BLOCK_BYTES
    flip(reader.path / "acts000000.bin", BLOCK_BYTES - 1)
    with pytest.raises(InputError, match=r"acts000000.bin: blocks 0 to 1 \(bytes 4\d+ to 4\d+, example 13, tokens "):
        read_all(read, reader.units(), reader.layout.bytes_per_token, 15)


@every_way
def test_damaged_hashes_are_told_from_damaged_activations(reader: ShardReader, read: Read) -> None:
    flip(reader.path / "units.xxh3", 8 * (19 * 2 + 3) + 1)
    said = (
        r"units.xxh3: block 0 \(bytes 328 to 336, example 2\) is damaged or of another directory: acts000001.bin fits"
    )
    with pytest.raises(InputError, match=said):
        read_all(read, reader.units(), reader.layout.bytes_per_token, 5)
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: block 0 (bytes 0 to 760) damaged or edited"


@every_way
def test_hashes_of_another_directory_are_told(reader: ShardReader, read: Read, tmp_path: Path) -> None:
    other = record(tmp_path / "other", make_recording(5, TOKENS, 1000, budget=152, layer=3), make_acts(RECORDING, 1))
    shutil.copy(other / "units.xxh3", reader.path / "units.xxh3")
    with pytest.raises(InputError, match=r"units.xxh3: block 0 .*damaged or of another directory"):
        read_all(read, open_shards(reader.path).units(), reader.layout.bytes_per_token, 5)
    assert [fault.split(":")[0] for fault in faults(reader.path)] == [f"{reader.path}/units.xxh3"]


@every_way
def test_hashes_that_are_missing_or_cut_off(reader: ShardReader, read: Read) -> None:
    units = reader.units()
    assert open_below(reader.path) == []
    os.truncate(reader.path / "units.xxh3", 759)
    for open_it in (lambda: open_shards(reader.path), reader.units):
        with pytest.raises(InputError, match=r"units.xxh3: truncated: 759 bytes instead of 760"):
            open_it()
    (reader.path / "units.xxh3").unlink()
    with pytest.raises(InputError, match=r"units.xxh3: is missing"):
        reader.units()
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: is missing"
    assert open_below(reader.path) == []
    # What was open has all hashes in memory, and verifies with them.
    read_all(read, units, reader.layout.bytes_per_token, 5)
    flip(reader.path / "acts000002.bin", 303_999)
    with pytest.raises(
        InputError, match=r"acts000002.bin: block 0 \(bytes 288000 to 304000, example 4, tokens 72 to 76"
    ):
        read_all(read, units, reader.layout.bytes_per_token, 5)


@every_way
def test_files_that_are_missing_or_cut_off_later(reader: ShardReader, read: Read) -> None:
    units, n_bytes = reader.units(), reader.layout.bytes_per_token
    os.truncate(reader.path / "acts000001.bin", 50_000)
    said = r"acts000001.bin: block 0 \(bytes 48000 to 64000, example 2, tokens 12 to 16\) is damaged: .* at byte 50000"
    with pytest.raises(InputError, match=said):
        read(units, 2, 3, 4, n_bytes)
    (reader.path / "acts000002.bin").unlink()
    with pytest.raises(InputError, match=r"acts000002.bin: is missing"):
        read(units, 4, 0, 1, n_bytes)


@pytest.mark.parametrize("read", [read_alone, read_without_ring])
def test_a_failing_disk_is_one_line(reader: ShardReader, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    units = reader.units()
    monkeypatch.setattr(os, "preadv", fail)
    said = r"acts000000.bin: block 0 .*example 1, .* cannot be read \(Input/output error\): run "
    with pytest.raises(InputError, match=said):
        read(units, 1, 0, 1, reader.layout.bytes_per_token)


def spoil_first(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """The first n reads give wrong bytes."""
    preadv, calls = os.preadv, []

    def spoiled(fd: int, buffers: list[memoryview], at: int) -> int:
        got = preadv(fd, buffers, at)
        if len(calls) < n:
            buffers[0][5] ^= 1
        calls.append(at)
        return got

    monkeypatch.setattr(os, "preadv", spoiled)


@pytest.mark.parametrize(("read", "n"), [(read_alone, 1), (read_without_ring, 2)])
def test_a_fault_that_came_and_went_is_of_the_activations(
    reader: ShardReader, read: Read, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = reader.units()
    spoil_first(monkeypatch, n)
    with pytest.raises(InputError, match=r"acts000001.bin: block 0 \(bytes 0 to 16000, example 2, tokens 0 to 4\)"):
        read(units, 2, 0, 1, reader.layout.bytes_per_token)


def test_a_fault_that_is_gone_when_read_alone_is_none(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    units = reader.units()
    spoil_first(monkeypatch, 1)
    expected = stored(make_acts(RECORDING))[2, :4].tobytes()
    assert read_without_ring(units, 2, 0, 1, reader.layout.bytes_per_token) == expected


@every_way
def test_an_original_file_that_shrinks_later_is_one_line(tmp_path: Path, read: Read) -> None:
    directory = write_original(tmp_path / "x", original_acts(2, 1, 17, 1000), per_shard=2)
    units = open_shards(directory).units()
    os.truncate(directory / "acts000000.bin", 70_000)
    said = (
        r"acts000000.bin: block 0 \(bytes 68000 to 72000, example 1, tokens 0 to 1\) is damaged: .* ends at byte 70000"
    )
    with pytest.raises(InputError, match=said):
        read(units, 1, 0, 1, 4000)


def test_hashes_on_a_failing_disk_are_one_line(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(InputError, match=r"units.xxh3: cannot be read \(Input/output error\)$"):
        reader.units()
    assert open_below(reader.path) == []
