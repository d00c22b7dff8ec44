"""`saev.record` against `saev predict`, which has its own tests."""

from pathlib import Path

import pytest
import torch
from tests.cli.recording import options, write_pictures

import saev
from saev.cli.main import main
from saev.errors import InputError
from saev.shards.writing.writer import ShardWriter
from saev.vit.backbone import Backbone

Capture = pytest.CaptureFixture[str]
OPTIONS = {"batch_size": 2, "n_patches_per_shard": 250, "device": "cpu"}  # shards of two images


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return saev.load_backbone("timm", "test_vit", "random")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(("dtype", "num_workers"), [("float32", 0), ("int8", 2)])
def test_the_bytes_are_those_of_the_command(
    backbone: Backbone, pictures: Path, tmp_path: Path, capsys: Capture, dtype: str, num_workers: int
) -> None:
    argv = options(tmp_path / "command", ["--data.images=ImageFolder", f"--data.images.root={pictures}"])
    assert main([*argv, "--model.layers=[1,-2]", f"--writer.dtype={dtype}", "--writer.n_patches_per_shard=250"]) == 0
    theirs = [Path(line) for line in capsys.readouterr().out.splitlines()]
    ours = saev.record(
        pictures,
        backbone,
        [-2, 1],
        tmp_path / "ours",
        dtype=dtype,
        num_workers=num_workers,
        **OPTIONS,  # type: ignore[arg-type]
    )
    assert [path.name for path in reversed(ours)] == [path.name for path in theirs], "in the order asked for"
    ours.reverse()
    for one, other in zip(ours, theirs, strict=True):
        assert contents(one) == contents(other)
    # Again: all is there.
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "ours").rglob("*")}
    again = saev.record(pictures, backbone, [-2, 1], tmp_path / "ours", dtype=dtype, **OPTIONS)  # type: ignore[arg-type]
    assert again == ours[::-1]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "ours").rglob("*")} == times


def test_what_was_interrupted_goes_on(
    backbone: Backbone,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (whole,) = saev.record(pictures, backbone, 1, tmp_path / "whole", **OPTIONS)  # type: ignore[arg-type]
    append = ShardWriter.append

    def interrupted(self: ShardWriter, first: int, *args: object) -> None:
        if first >= 4:
            raise KeyboardInterrupt
        append(self, first, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ShardWriter, "append", interrupted)
        saev.record(pictures, backbone, 1, tmp_path / "out", **OPTIONS)  # type: ignore[arg-type]
    assert "2 of 3 shards are whole and stay" in caplog.text
    (found,) = saev.record(pictures, backbone, 1, tmp_path / "out", **OPTIONS)  # type: ignore[arg-type]
    assert contents(found) == contents(whole)


def test_what_cannot_be_recorded_is_refused(backbone: Backbone, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="layer 9 does not exist"):
        saev.record(pictures, backbone, 9, out)
    with pytest.raises(InputError, match="no layer is given"):
        saev.record(pictures, backbone, [], out)
    with pytest.raises(InputError, match="batch_size=0 must be 1 or more"):
        saev.record(pictures, backbone, 1, out, batch_size=0)
    with pytest.raises(InputError, match="missing"):
        saev.record(tmp_path / "missing", backbone, 1, out)
    with pytest.raises(InputError, match="device foo cannot be used"):
        saev.record(pictures, backbone, 1, out, device="foo")
    half = saev.load_backbone("timm", "test_vit", "random").to(torch.float16)
    with pytest.raises(InputError, match=r"computes in torch\.float16: give float32 or bfloat16"):
        saev.record(pictures, half, 1, out)
    (pictures / "cat" / "bad.png").write_bytes(b"")
    try:
        with pytest.raises(InputError, match=r"bad\.png"):
            saev.record(pictures, backbone, 1, out)
    finally:
        (pictures / "cat" / "bad.png").unlink()
    assert not out.exists() or not list(out.iterdir())
