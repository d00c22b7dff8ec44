import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.byte_text import byte_text
from saev.cli.main import main as saev_main
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


def test_info_says_what_the_activations_cost_to_store(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n_bytes = sum(path.stat().st_size for path in shards.iterdir())
    on_disk = byte_text(sum(path.stat().st_blocks * 512 for path in shards.iterdir()))
    assert main(["info", str(shards)]) == 0
    facts = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    found = {name: text.strip() for name, text in facts.items()}
    assert found["size"] == "1.68 kB in 3 files"
    assert found["with descriptions"] == f"{byte_text(n_bytes)} ({n_bytes:,} bytes), {on_disk} on disk"
    assert found["an example"] == "140 bytes"
    assert found["dtype"] == "float32, 20 bytes a token"
    assert found["padding"] == "140 bytes (8.33%): 1 examples at the end of the last file"
    assert "bfloat16 840 bytes, float16 840 bytes" in found["in other dtypes"]
    assert "float32" not in found["in other dtypes"]


def test_nothing_is_said_of_padding_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = make_recording(n_examples=12)
    assert main(["info", str(record(tmp_path, recording, make_acts(recording)))]) == 0
    assert re.search(r"^padding: +none$", capsys.readouterr().out, re.MULTILINE)


def test_text_from_files_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = make_recording(source="/a\x1b[2J\r\u202eb\udcff")
    directory = record(tmp_path / "\x1b[31m", recording, make_acts(recording))
    assert saev_main(["shards", "info", str(directory)]) == 0
    out = capsys.readouterr().out
    assert r"/a\x1b[2J\r\u202eb\udcff" in out
    assert saev_main(["shards", "verify", str(directory)]) == 0
    out += capsys.readouterr().out
    (directory / "acts000000.bin").unlink()
    for command in ("info", "verify"):
        assert saev_main(["shards", command, str(directory)]) == 1
    text, errors = capsys.readouterr()
    assert r"\x1b[31m" in text
    assert r"\x1b[31m" in errors
    assert (out + text + errors).replace("\n", "").replace("\r", "").isprintable()


@pytest.mark.parametrize("threads", ["0", "-1"])
def test_a_wrong_number_of_threads_is_refused(shards: Path, threads: str) -> None:
    with pytest.raises(InputError, match=f"--threads={threads} must be from 1 to 1024"):
        main(["verify", str(shards), "--threads", threads])


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
        (["verify", "--help"], "files looked at at once"),
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
