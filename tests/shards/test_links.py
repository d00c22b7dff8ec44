"""What stands in place of a file of shards is not opened: links, FIFOs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shards.small_recordings import EVERY_FILE, make_acts, make_labels, make_recording, record

from saev.errors import InputError
from saev.shards.reading.open import open_shards
from saev.shards.reading.verify import faults


@pytest.fixture
def small(tmp_path: Path) -> Path:
    recording = make_recording()
    return record(tmp_path, recording, make_acts(recording), labels=make_labels(recording))


@pytest.mark.parametrize("name", EVERY_FILE)
@pytest.mark.parametrize("replace", [Path.symlink_to, lambda path, _: os.mkfifo(path)], ids=["link", "fifo"])
def test_a_link_or_fifo_in_place_of_a_file_is_not_opened(
    small: Path, tmp_path: Path, name: str, replace: Callable[[Path, Path], None]
) -> None:
    shutil.move(small / name, tmp_path / name)
    replace(small / name, tmp_path / name)
    (fault,) = faults(small)
    said = "is a link: nothing outside the directory is read" if (small / name).is_symlink() else "is no regular file"
    assert fault.startswith(f"{small / name}: {said}")
    with pytest.raises(InputError, match=f"{name}: {said}") as error:
        open_shards(small)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["acts000001.bin", "examples.jsonl", "labels.bin", "units.xxh3"])
def test_a_file_that_becomes_a_link_while_open_is_not_read(small: Path, tmp_path: Path, name: str) -> None:
    reader = open_shards(small)
    shutil.move(small / name, tmp_path / name)
    (small / name).symlink_to(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: is a link"):
        reader.read(0, reader.n_examples)
        reader.examples()
        reader.patch_labels()
        reader.units()
