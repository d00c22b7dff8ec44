"""Every way of damaging a directory of shards is seen, by the reader or by verify, and said in one line."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.shards.small_recordings import EVERY_FILE, flip, make_acts, make_labels, make_recording, record

from saev.cli.main import main
from saev.errors import InputError
from saev.shards.format.hashing import BLOCK_BYTES, n_blocks
from saev.shards.format.layout import TokenLayout
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.verify import faults
from saev.shards.writing.partial import PartialRecording

BIG = make_recording(5, TokenLayout(cls=True, n_registers=0, grid=(32, 32)), 1000, budget=3 * 1025)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    """Two shards of three blocks each, with one example of padding at the end."""
    return open_shards(record(tmp_path_factory.mktemp("big"), BIG, make_acts(BIG), 2))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    recording = make_recording()
    return record(tmp_path, recording, make_acts(recording), labels=make_labels(recording))


@pytest.fixture
def flipped(big: ShardReader, request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    shard, block = request.param
    path, at = (
        big.path / big.layout.file_name(shard),
        min((block + 1) * BLOCK_BYTES, big.layout.bytes_per_shard),
    )
    flip(path, at - 1)
    yield shard, block
    flip(path, at - 1)


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("flipped", [(s, b) for s in range(2) for b in range(3)], indirect=True)
def test_a_flipped_bit_in_any_block_is_found(
    big: ShardReader, flipped: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    shard, block = flipped
    layout = big.layout
    assert n_blocks(layout.bytes_per_shard) == 3
    stop = min((block + 1) * BLOCK_BYTES, layout.bytes_per_shard)
    touched = layout.examples_in_span(shard, block * BLOCK_BYTES, stop)
    for example in range(layout.n_examples):
        if example in touched:
            with pytest.raises(InputError, match=rf"acts00000{shard}.bin: block {block} .*damaged") as error:
                big.read(example, example + 1)
            assert f"examples {touched.start} to {touched.stop}" in one_line(error)
        else:
            assert torch.equal(big.read(example, example + 1), make_acts(BIG)[example : example + 1])
    assert main(["shards", "verify", str(big.path), "--threads", "2"]) == 1
    (fault,) = capsys.readouterr().out.splitlines()
    assert fault.startswith(f"{big.path}/acts00000{shard}.bin: block {block} (bytes {block * BLOCK_BYTES} to {stop}, ")
    assert fault.endswith(f"examples {touched.start} to {touched.stop}) damaged")


def test_neighbouring_damaged_blocks_are_one_line(big: ShardReader) -> None:
    places = [(0, 5), (0, BLOCK_BYTES), (1, 1), (1, 2 * BLOCK_BYTES)]
    for shard, at in places:
        flip(big.path / big.layout.file_name(shard), at)
    lines = [fault.removeprefix(f"{big.path}/").split(",")[0] for fault in faults(big.path)]
    for shard, at in places:
        flip(big.path / big.layout.file_name(shard), at)
    assert lines == [
        "acts000000.bin: blocks 0 to 1 (bytes 0 to 8388608",
        "acts000001.bin: block 0 (bytes 0 to 4194304",
        f"acts000001.bin: block 2 (bytes 8388608 to {BIG.layout.bytes_per_shard}",
    ]


def test_whole_blocks_and_parts_of_blocks_are_read(big: ShardReader) -> None:
    for start, stop in [(0, 5), (0, 1), (1, 4), (2, 3), (4, 5)]:
        assert torch.equal(big.read(start, stop), make_acts(BIG)[start:stop])


@pytest.mark.parametrize("name", EVERY_FILE)
@pytest.mark.parametrize(("change", "said"), [(-1, "truncated"), (1, "too long")])
def test_one_byte_less_or_more_is_seen(small: Path, name: str, change: int, said: str) -> None:
    n_bytes = (small / name).stat().st_size
    os.truncate(small / name, n_bytes + change)
    (fault,) = faults(small)
    assert fault.startswith(f"{small / name}: ")
    if name != "manifest.json":  # whose size stands nowhere
        assert f"{said}: {n_bytes + change} bytes instead of {n_bytes}" in fault
    with pytest.raises(InputError, match=name) as error:
        open_shards(small)
    one_line(error)


@pytest.mark.parametrize("name", [name for name in EVERY_FILE if name not in ("metadata.json", "acts000001.bin")])
def test_a_missing_file_is_named(small: Path, name: str) -> None:
    (small / name).unlink()
    with pytest.raises(InputError, match=name) as error:
        open_shards(small)
    one_line(error)
    assert any(name in fault for fault in faults(small))
    with pytest.raises(InputError, match=name):
        PartialRecording(small.parent, make_recording()).finished()
    with pytest.raises(InputError, match="already exists: move it away"):
        PartialRecording(small.parent, make_recording()).claim()


@pytest.mark.parametrize("name", [name for name in EVERY_FILE if not name.startswith("acts")])
def test_a_flipped_bit_in_any_byte_of_other_files_is_verified(small: Path, name: str) -> None:
    for at in range(0, (small / name).stat().st_size, 7):
        flip(small / name, at)
        found = faults(small)
        assert found, f"byte {at}"
        assert all(name in fault and "\n" not in fault for fault in found)
        flip(small / name, at)
    assert faults(small) == []


def test_damaged_labels_and_examples_are_not_given_out(small: Path) -> None:
    reader = open_shards(small)
    flip(small / "labels.bin", 3)
    flip(small / "examples.jsonl", 3)
    with pytest.raises(InputError, match=r"labels.bin: damaged"):
        reader.patch_labels()
    with pytest.raises(InputError, match=r"examples.jsonl: damaged"):
        reader.examples()


def test_swapped_shards_are_recognised(small: Path) -> None:
    shutil.move(small / "acts000000.bin", small / "x")
    shutil.move(small / "acts000001.bin", small / "acts000000.bin")
    shutil.move(small / "x", small / "acts000001.bin")
    found = faults(small)
    assert len(found) == 2
    assert "acts000000.bin: holds the content of acts000001.bin" in found[0]
    assert "acts000001.bin: holds the content of acts000000.bin" in found[1]
    with pytest.raises(InputError, match=r"acts000000.bin: block 0 .*damaged"):
        open_shards(small).read(0, 1)


def test_stray_shards_and_foreign_names_are_verified(small: Path) -> None:
    for name in ("acts000007.bin", "acts7.bin"):
        (small / name).write_bytes(b"x")
    renamed = small.rename(small.parent / "other-0123456789ab")
    found = faults(renamed)
    assert len(found) == 3
    assert "the directory is named other-0123456789ab, its content is vit-layer10-" in found[0]
    assert "acts000007.bin: a stray file" in found[1]
    assert "acts7.bin: a stray file" in found[2]


def test_a_file_that_shrinks_while_open_is_damage(small: Path) -> None:
    reader = open_shards(small)
    os.truncate(small / "acts000002.bin", 10)
    with pytest.raises(InputError, match=r"acts000002.bin: block 0 .*damaged: the file ends at byte 10"):
        reader.read(10, 11)
    (small / "acts000002.bin").unlink()
    with pytest.raises(InputError, match=r"acts000002.bin: is missing"):
        reader.read(10, 11)


def test_what_is_no_directory_of_shards_is_refused(small: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".x.partial"
    partial.mkdir()
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        (tmp_path / "none", "no such directory"),
        (small / "metadata.json", "is a file: give a directory"),
        (partial, "unfinished: 0 of 0 shards are recorded: run its `saev predict` again"),
        (empty, "not a directory of shards, it has no metadata.json: give a directory"),
        (tmp_path, f"did you mean {small}"),
    ]
    for path, message in cases:
        for use in (open_shards, faults):
            with pytest.raises(InputError, match=re.escape(message)) as error:
                use(path)
            one_line(error)


def test_an_unfinished_recording_says_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    partial = tmp_path / ".vit-0123456789ab.partial"
    partial.mkdir()
    for name in ["acts000000.json", "acts000002.json", "acts1.json", "examples.jsonl"]:
        (partial / name).touch()
    for shard in range(12):
        (partial / f"acts{shard:06d}.bin").touch()
    assert main(["shards", "verify", str(partial)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    said = "unfinished: 2 of 12 shards are recorded: run its `saev predict` again"
    assert err.splitlines()[-1] == f"saev shards: error: {partial}: {said}"


def test_descriptions_of_another_recording_are_refused(small: Path, tmp_path: Path) -> None:
    recording = make_recording(d_model=6)
    other = record(tmp_path / "other", recording, make_acts(recording))
    shutil.copy(other / "metadata.json", small / "metadata.json")
    with pytest.raises(InputError, match="d_model is 6, but the manifest says 5"):
        open_shards(small)
    assert any("d_model is 6" in fault for fault in faults(small))


@pytest.mark.parametrize("protocol", ["1.1", "2.0", "4.0", None, 2.1])
def test_other_protocols_are_refused(small: Path, protocol: object) -> None:
    path = small / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "protocol": protocol}))
    with pytest.raises(InputError, match=r"protocol '.*' cannot be read, only 2.1 and 3.0") as error:
        open_shards(small)
    one_line(error)


def test_the_older_layout_needs_all_of_its_keys(tmp_path: Path) -> None:
    old = {"vit_family": "clip", "vit_ckpt": "x", "layers": [1], "n_patches_per_img": 49, "d_vit": 768}
    (tmp_path / "metadata.json").write_text(json.dumps(old))
    with pytest.raises(InputError, match=r"missing keys \['cls_token', 'data', 'n_imgs', 'n_patches_per_shard'\]"):
        open_shards(tmp_path)
