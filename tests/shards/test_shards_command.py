import subprocess
import sys
from pathlib import Path

import pytest
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.cli.shards import main
from saev.errors import InputError


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    recording = make_recording()
    return record(tmp_path, recording, make_acts(recording))


def test_info_prints_what_was_recorded(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(shards)]) == 0
    assert "clip ViT/tag" in capsys.readouterr().out


def test_verify_says_ok_and_shows_progress(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(shards)]) == 0
    out, err = capsys.readouterr()
    assert out == f"OK {shards}\n"
    assert "100%" in err


def test_verify_prints_one_line_for_each_fault(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shards / "acts000000.bin").unlink()
    (shards / "acts000001.bin").write_bytes(b"")
    assert main(["verify", str(shards)]) == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"{shards / 'acts000000.bin'}: is missing",
        f"{shards / 'acts000001.bin'}: truncated: 0 bytes instead of 560",
    ]


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_wrong_directory_is_left_to_the_caller(command: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        main([command, str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--help"], "verify sizes and hashes of all files"),
        (["info", "--help"], "Print model, layer"),
        (["verify", "--help"], "exit status 1"),
    ],
)
def test_help_explains(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_no_torch_is_needed_to_look_at_shards() -> None:
    code = "import sys, saev.cli.shards; print([m for m in ('torch', 'lightning') if m in sys.modules])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True, timeout=60, check=True
    )
    assert result.stdout == "[]\n"
