"""The list of unfinished recordings names those, and nothing that must not be removed."""

from pathlib import Path

import pytest
from tests.shards.small_recordings import begin, make_acts, make_recording, record, write

from saev.cli.main import main
from saev.shards.format.recording import Recording

RECORDING = make_recording()  # 3 shards
OTHER = make_recording(layer=9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A finished recording, an unfinished one, and things that look a little like one."""
    record(tmp_path, make_recording(layer=1), make_acts(RECORDING))
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, make_acts(RECORDING), [0, 2])
    writer.abort()
    place.leave()
    (tmp_path / ".pictures.partial").mkdir()
    (tmp_path / ".mine-0123456789ab.partial").mkdir()
    (tmp_path / ".mine-0123456789ab.partial/thesis.txt").write_text("x")
    (tmp_path / ".file-0123456789ab.partial").write_text("x")
    (tmp_path / ".link-0123456789ab.partial").symlink_to(place.path)
    return tmp_path


def described(root: Path, recording: Recording, shards: str) -> tuple[str, str, str]:
    path = root / f".{recording.directory_name}.partial"
    n_bytes = sum(file.stat().st_blocks * 512 for file in path.iterdir())
    return str(path), shards, f"{n_bytes / 1000:.3g} kB"


def test_each_is_listed_with_its_progress(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, writer = begin(root, OTHER)
    assert main(["shards", "unfinished", str(root)]) == 0
    lines = {tuple(line.split("\t")) for line in capsys.readouterr().out.splitlines()}
    assert lines == {
        (*described(root, RECORDING, "2 of 3 shards"), "no run is at work"),
        (*described(root, OTHER, "0 of 3 shards"), "a run is at work"),
    }
    writer.abort()
    place.leave()


def test_paths_for_rm_leave_out_what_is_in_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, writer = begin(root, OTHER)
    assert main(["shards", "unfinished", str(root), "--print0"]) == 0
    assert capsys.readouterr().out == f"{root}/.{RECORDING.directory_name}.partial\0"
    writer.abort()
    place.leave()


def test_a_directory_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", "unfinished", str(tmp_path / "none")]) == 1
    assert "none: no such directory" in capsys.readouterr().err
