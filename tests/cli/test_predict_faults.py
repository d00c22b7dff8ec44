"""`saev predict` on bad input and on a full disk: one readable line, and nothing left behind."""

import os
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file
from tests.cli.recording import folder, huge_png, noise, options, recorded, refused, write_pictures
from tests.tiny_models import tiny_open_clip
from tests.writable import writable

__all__ = ["tiny_open_clip"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--model.ckpt=test_vti", "unknown timm model 'test_vti' in --model.ckpt; did you mean test_vit"),
        ("--model.ckpt=test_vit.nope", r"unknown tag of test_vit 'nope' in --model.ckpt; .*r160_in1k"),
        ("--model.family=dinov2", "test_vit is no model of the family dinov2: give --model.family timm"),
        ("--model.family=clip", "test_vit is no model of the family clip: give --model.family timm"),
        ("--model.family=clip --model.ckpt=tiny-ViT/openia", "unknown tag of tiny-ViT 'openia'; .*did you mean openai|"
         "unknown tag of tiny-ViT 'openia' in --model.ckpt; did you mean openai"),
        ("--model.ckpt=resnet18", "resnet18 is a .*not a plain vision transformer"),
        ("--model.ckpt=convnext_atto", "convnext_atto is a .*not a plain vision transformer"),
        ("--model.family=clip --model.ckpt=RN50", "RN50 is a ResNet, not a plain vision transformer"),
        ("--model.layers=[6]", r"layer 6 does not exist: test_vit has 6 layers, numbered 0 to 5 or -6 to -1"),
        ("--model.layers=[-7]", r"layer -7 does not exist"),
        ("--model.layers=[]", "no layer is given"),
        ("--model.d_vit=768", "--model.d_vit 768 was stated, but test_vit has 64"),
        ("--model.n_patches_per_img=49", "--model.n_patches_per_img 49 was stated, but test_vit has 100"),
        ("--model.image_size=150", r"--model.image_size \(150, 150\) is not a multiple of the patch size"),
        ("--model.weights=/none/w.pt", "weights file /none/w.pt: is missing"),
        ("--data.batch_size=0", "batch_size=0 must be 1 or more"),
        ("--data.num_workers=-1", "num_workers=-1 must be from 0 to 1024"),
        ("--writer.n_patches_per_shard=10", "n_patches_per_shard: 10 tokens a shard do not hold the 101 tokens"),
        ("--trainer.accelerator=warp", "--trainer: .*'warp'"),
        ("--trainer.precision=bf16-mixed", "there is no option --trainer.precision"),
        ("--trainer.limit_predict_batches=1", "there is no option --trainer.limit_predict_batches"),
        ("--model.lyers=3", r"there is no option --model.lyers; did you mean --model.layers .*saev predict --help"),
        ("--data.images=Nope", "--data.images Nope is unknown; it is one of DemoScenes, HuggingFaceImages, "),
        ("--data.images=saev.nn.TopK", "--data.images saev.nn.TopK is unknown; it is one of DemoScenes, "),
        ("--data.images.rot=x", "--data.images ImageFolder has no option --data.images.rot; it has --data.images.root"),
        ("--data.batch_size=x", "--data.batch_size: expected int, got x"),
        ("--model.layers=3", r"--model.layers: expected a list like '\[VALUE\]', got 3"),
        ("--model.family=klip", "--model.family names the backbone 'klip', known are clip, .*timm: "),
        ("--config=none.yaml", "--config: File does not exist: .*none.yaml"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used(more: str, said: str, pictures: Path, tmp_path: Path, capsys: Capture):
    refused(options(tmp_path / "out", folder(pictures), *more.split()), capsys, said, tmp_path / "out")


def test_required_options_are_named(tmp_path: Path, capsys: Capture):
    refused(["predict", "--model.family=timm"], capsys, "required and not given: --model.ckpt, --model.layers", None)
    argv = options(tmp_path / "out", ["--data.images=ImageFolder"])
    refused(argv, capsys, "required and not given: --data.images.root", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {lyers: [1]}", "there is no option --model.lyers; did you mean --model.layers"),
        ("model: [", "Problems parsing config: .*line"),
        ("data: {images: {class_path: Nope}}", "--data.images Nope is unknown; it is one of"),
        (
            "data: {images: {class_path: ImageFolder, init_args: {rot: x}}}",
            "ImageFolder has no option --data.images.rot",
        ),
    ],
)
def test_faults_in_a_configuration_file(text: str, said: str, pictures: Path, tmp_path: Path, capsys: Capture):
    (tmp_path / "c.yaml").write_text(text)
    argv = options(tmp_path / "out", [])
    refused([*argv, f"--config={tmp_path / 'c.yaml'}"], capsys, said, tmp_path / "out")


def test_weights_of_another_architecture(pictures: Path, tmp_path: Path, capsys: Capture):
    save_file(timm.create_model("test_vit2", num_classes=0).state_dict(), tmp_path / "w.safetensors")
    argv = options(tmp_path / "out", folder(pictures), f"--model.weights={tmp_path / 'w.safetensors'}")
    refused(argv, capsys, r"w.safetensors' does not fit test_vit \(.*give the weights of this", tmp_path / "out")


def test_a_weights_file_that_is_cut_off(pictures: Path, tmp_path: Path, capsys: Capture):
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), tmp_path / "w.safetensors")
    os.truncate(tmp_path / "w.safetensors", 5000)
    argv = options(tmp_path / "out", folder(pictures), f"--model.weights={tmp_path / 'w.safetensors'}")
    refused(argv, capsys, "w.safetensors' cannot be read", tmp_path / "out")


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are listed as a user without rights, also where the tests run as root."""
    if os.geteuid() != 0:
        return
    listed = os.scandir

    def scandir(path: Any) -> Any:
        os.seteuid(65534)
        try:
            return listed(path)
        finally:
            os.seteuid(0)

    monkeypatch.setattr(os, "scandir", scandir)


def test_folders_that_are_empty_or_missing(tmp_path: Path, capsys: Capture):
    out = tmp_path / "out"
    refused(options(out, folder(tmp_path / "none")), capsys, "'.*/none' does not exist", out)
    (tmp_path / "empty").mkdir()
    refused(options(out, folder(tmp_path / "empty")), capsys, r"has no pictures \(.*no file is in it", out)
    (tmp_path / "notes.txt").write_text("x")
    refused(options(out, folder(tmp_path / "notes.txt")), capsys, "is a file", out)


def test_a_folder_that_cannot_be_listed(unprivileged: None, tmp_path: Path, capsys: Capture):
    root = write_pictures(tmp_path / "pictures")
    root.chmod(0o000)
    try:
        said = r"/pictures' cannot be read \(Permission denied\); give it read permission"
        refused(options(tmp_path / "out", folder(root)), capsys, said, tmp_path / "out")
    finally:
        root.chmod(0o755)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--data.images=ImageList", "--data.images.file=none.txt"], "--data.images.file 'none.txt' does not exist"),
        (["--data.images=ImageFolder", "--data.images.root=none", "--model.weights=none.pt"], "root 'none' does not"),
        (["--data.images=SegmentationFolder", "--data.images.root=none"], "--data.images.root 'none' does not exist"),
        (["--data.images=HuggingFaceImages", "--data.images.name=./none"], "data set './none', split 'train'"),
    ],
)
def test_other_sources_that_are_missing(argv: list[str], said: str, tmp_path: Path, capsys: Capture):
    pytest.importorskip("datasets")
    refused(options(tmp_path / "out", argv), capsys, said, tmp_path / "out")


def png_bytes(tmp_path: Path) -> bytes:
    noise(9).save(tmp_path / "whole.png")
    return (tmp_path / "whole.png").read_bytes()


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "corrupt": (lambda data: data[:300] + b"\0" * 400 + data[700:], "cannot be decoded"),
    "no picture": (lambda _: b"I am a text", "cannot be decoded .no known picture format; 11 bytes"),
    "zero-byte": (lambda _: b"", "is empty .0 bytes"),
    "truncated": (lambda data: data[:2000], "cannot be decoded .*2000 bytes"),
    "enormous": (lambda _: huge_png(), "is enormous"),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_picture_stops_the_recording(kind: str, workers: int, tmp_path: Path, capsys: Capture):
    change, said = BAD[kind]
    root = write_pictures(tmp_path / "pictures")
    (root / "dog/3.png").write_bytes(change(png_bytes(tmp_path)))
    argv = options(tmp_path / "out", folder(root), f"--data.num_workers={workers}")
    refused(argv, capsys, f"picture 'dog/3.png' {said}.*--data.on_bad_image skip", tmp_path / "out")


def test_a_picture_that_vanishes_or_cannot_be_read(tmp_path: Path, capsys: Capture):
    root = write_pictures(tmp_path / "pictures")
    (root / "dog/3.png").unlink()
    (root / "dog/3.png").symlink_to("/proc/self/mem")  # even root gets an input/output error
    refused(
        options(tmp_path / "out", folder(root)), capsys, r"'dog/3.png' cannot be used: .*read \(Input", tmp_path / "out"
    )


def test_nothing_but_bad_pictures_to_skip(tmp_path: Path, capsys: Capture):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/1.png").write_bytes(b"")
    argv = options(tmp_path / "out", folder(tmp_path / "pictures"), "--data.on_bad_image=skip")
    refused(
        argv, capsys, "none of the 1 pictures can be decoded; the first: picture '1.png' is empty", tmp_path / "out"
    )


def test_masks_that_do_not_fit(tmp_path: Path, capsys: Capture):
    root = write_pictures(tmp_path / "data/images", 3).parent
    source = ["--data.images=SegmentationFolder", f"--data.images.root={root}"]
    write_pictures(root / "masks", 2)
    refused(options(tmp_path / "out", source), capsys, "1 of 3 pictures .* have no mask", tmp_path / "out")
    noise(1, 9, 9).convert("L").save(root / "masks/cat/2.png")
    for n in range(2):
        noise(n).convert("L").save(root / f"masks/cat/{n}.png")
    said = "the mask of picture 'cat/2.png' is 9 x 9 pixels, the picture 48 x 40"
    refused(options(tmp_path / "out", source), capsys, said, tmp_path / "out")


def test_too_little_disk(pictures: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    said = r"has 1 kB free, but the recording needs 267 kB: .*--writer.dump_to"
    argv = options(tmp_path / "out", folder(pictures), "--model.layers=[1,2]")
    refused(argv, capsys, said, tmp_path / "out")


def test_a_place_that_cannot_be_written(pictures: Path, tmp_path: Path, capsys: Capture):
    (tmp_path / "file").write_text("x")
    refused(
        options(tmp_path / "file", folder(pictures)),
        capsys,
        r"/file cannot be written: it is a file: give a directory",
        None,
    )
    refused(
        options(tmp_path / "file/below", folder(pictures)),
        capsys,
        r"/below cannot be written: .*/file is a file: give a directory",
        None,
    )


def test_a_directory_that_was_damaged_is_not_taken_for_recorded(pictures: Path, tmp_path: Path, capsys: Capture):
    argv = options(tmp_path, folder(pictures))
    (directory,) = recorded(argv, capsys)
    os.truncate(writable(directory) / "acts000000.bin", 1000)
    refused(argv, capsys, "acts000000.bin: truncated: 1000 bytes instead of", None)
