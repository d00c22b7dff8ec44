"""A file where a directory is needed, a directory where a file is, and nothing at all: one line says which."""

from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, one_line
from tests.cli.recording import folder, options, write_pictures
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.errors import InputError
from saev.vit.load import load_backbone
from saev.vit.refusals import RECORDED

Capture = pytest.CaptureFixture[str]
SHARDS = "give a directory that `saev predict` printed"
RUN = "give the directory of a run, --run_dir RUN"


def said(argv: list[str], capsys: Capture) -> str:
    """The error line of a command that must fail, without its beginning."""
    capsys.readouterr()
    assert main(argv) == 1
    return one_line(capsys.readouterr().err).partition(" error: ")[2]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["shards", "info"], f"FILE: is a file: {SHARDS}"),
        (["shards", "verify"], f"FILE: is a file: {SHARDS}"),
        (["shards", "repair"], f"FILE: is a file: {SHARDS}"),
        (["shards", "bench"], f"FILE: is a file: {SHARDS}"),
        (["shards", "unfinished"], "FILE: is a file: give a directory that recordings were written to"),
        (["validate", "--run_dir"], f"FILE is a file: {RUN}"),
        (["test", "--run_dir"], f"FILE is a file: {RUN}"),
        (["render", "--run_dir"], f"FILE is a file: {RUN}"),
        (["view", "--run_dir"], f"FILE is a file: {RUN}"),
        (["demo", "--out"], "FILE is a file: give a directory, new or empty"),
        (["fit", "--run_dir=r", "--model.sae=TopK", "--data.shards"], f"HERE/FILE: is a file: {SHARDS}"),
    ],
)
def test_a_file_where_a_directory_is_needed(
    argv: list[str], expected: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    expected = expected.replace("HERE", str(tmp_path))
    assert said([*argv, "file"], capsys) == expected.replace("FILE", "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    if argv[0] != "demo":  # which makes it
        what = "does not exist" if argv[-1] == "--run_dir" else "no such directory"
        assert said([*argv, "nowhere"], capsys) == expected.replace("FILE", "nowhere").replace("is a file", what)


def test_a_file_where_a_run_or_a_recording_would_be_made(
    make_shards: MakeShards, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    shards, pictures = make_shards()[0], write_pictures(tmp_path / "pictures", 1)
    for place, part in ((tmp_path / "file", "it"), (tmp_path / "file/deep", str(tmp_path / "file"))):
        expected = f"{place} cannot be written: {part} is a file: give a directory"
        assert said(fit_options(shards, place), capsys) == expected
        assert said(options(place, folder(pictures)), capsys) == expected


def test_weights_that_are_no_file(tmp_path: Path, capsys: Capture) -> None:
    pictures = write_pictures(tmp_path / "pictures", 1)
    for weights, fault in ((tmp_path, "is a directory"), (tmp_path / "no.pt", "is missing")):
        argv = options(tmp_path / "out", folder(pictures), f"--model.weights={weights}")
        assert said(argv, capsys) == f"weights file {weights}: {fault}; give a .safetensors or .pt file"


@pytest.mark.parametrize(
    ("family", "ckpt", "weights", "size", "expected"),
    [
        ("elf", "test_vit", "random", None, "the family of the SAE's ViT names the backbone 'elf', known are clip, "),
        ("timm", "elf", "random", None, "unknown timm model 'elf' in the SAE's ViT"),
        ("timm", "resnet18", "random", None, "the SAE's ViT resnet18 is a ResNet"),
        ("timm", "test_vit", "random", 33, "the image size of the SAE's ViT (33, 33) is not a multiple"),
        ("clip", "elf/openai", "random", None, "unknown clip architecture of open_clip 'elf' in the SAE's ViT"),
        ("clip", "RN50/openai", "random", None, "the SAE's ViT RN50/openai is a ResNet"),
        ("clip", "ViT-B-32", "elf.pt", None, "the SAE's ViT ViT-B-32 needs a tag"),
    ],
)
def test_what_a_recording_says_of_its_vit_names_no_option_of_predict(
    family: str, ckpt: str, weights: str, size: int | None, expected: str
) -> None:
    """`saev view`, `downstream` and `render` have no --model.*."""
    with pytest.raises(InputError) as error:
        load_backbone(family, ckpt, weights, size, RECORDED)
    assert str(error.value).startswith(expected)
    assert "--model" not in str(error.value)
