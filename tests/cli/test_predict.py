"""`saev predict` on good input: what is recorded, where, and what is said."""

import io
import json
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from open_clip.constants import INCEPTION_MEAN, INCEPTION_STD
from PIL import Image
from safetensors.torch import save_file
from tests.cli.recording import (
    activations,
    examples,
    folder,
    metadata,
    noise,
    options,
    recorded,
    refused,
    write_pictures,
)
from tests.cli.zygote import finish, start_interpreter
from tests.tiny_models import hooked, tiny_open_clip
from tests.writable import writable
from timm.data import create_transform, resolve_data_config
from torch import Tensor

from saev.cli.main import main
from saev.cli.record import record

__all__ = ["hooked", "tiny_open_clip"]

Capture = pytest.CaptureFixture[str]
Transform = Callable[[Image.Image], Tensor]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def plain_timm(name: str, **options: Any) -> tuple[Any, Any, Transform]:
    model = timm.create_model(name, num_classes=0, **options)
    size = {"input_size": (3, *model.patch_embed.img_size)}
    return model, model.blocks, create_transform(**resolve_data_config(size, model=model))


def plain_clip(quick_gelu: bool) -> tuple[Any, Any, Transform]:
    model, _, transform = open_clip.create_model_and_transforms("tiny-ViT", force_quick_gelu=quick_gelu)
    return model.visual, model.visual.transformer.resblocks, transform


def plain_siglip() -> tuple[Any, Any, Transform]:
    model = open_clip.create_model("tiny-SigLIP")
    transform = open_clip.image_transform(
        32, is_train=False, mean=INCEPTION_MEAN, std=INCEPTION_STD, resize_mode="squash", interpolation="bicubic"
    )
    return model.visual, model.visual.trunk.blocks, transform


MODELS: dict[str, tuple[str, str, Callable[[], tuple[Any, Any, Transform]], list[str]]] = {
    "timm": ("timm", "test_vit", lambda: plain_timm("test_vit"), []),
    "dinov2 with registers": (
        "dinov2",
        "vit_small_patch14_reg4_dinov2",
        lambda: plain_timm("vit_small_patch14_reg4_dinov2", img_size=42),
        ["--model.image_size=42", "--model.d_vit=384", "--model.n_patches_per_img=9"],
    ),
    "clip with quick GELU": ("clip", "tiny-ViT/openai", lambda: plain_clip(quick_gelu=True), []),
    "clip": ("clip", "tiny-ViT/laion", lambda: plain_clip(quick_gelu=False), []),
    "siglip": ("siglip", "tiny-SigLIP/webli", plain_siglip, []),
}


@pytest.mark.parametrize("name", MODELS)
def test_float32_shards_equal_a_plain_hooked_forward_pass_bit_for_bit(
    name: str, pictures: Path, tmp_path: Path, capsys: Capture, hooked: Callable[..., list[Tensor]]
):
    family, ckpt, plain, more = MODELS[name]
    torch.manual_seed(3)
    model, blocks, transform = plain()
    file = tmp_path / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, file)
    more = [
        f"--model.family={family}",
        f"--model.ckpt={ckpt}",
        f"--model.weights={file}",
        "--model.layers=[0,-2]",
        *more,
    ]
    first, second = recorded(options(tmp_path / "out", folder(pictures), *more), capsys)

    inputs = torch.stack([transform(Image.open(path).convert("RGB")) for path in sorted(pictures.rglob("*.png"))])
    batches = [hooked(model, blocks, batch) for batch in inputs.split(2)]
    for directory, layer in ((first, 0), (second, len(blocks) - 2)):
        assert metadata(directory)["layers"] == [layer]
        assert torch.equal(activations(directory), torch.cat([outputs[layer] for outputs in batches]))


@pytest.fixture(scope="module")
def float32(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """The activations that the default options record."""
    (directory,) = record(options(tmp_path_factory.mktemp("float32"), folder(pictures))[1:])
    return activations(Path(directory))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_dtypes_are_the_float32_activations_rounded(
    dtype: str, float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture
):
    (directory,) = recorded(options(tmp_path, folder(pictures), f"--writer.dtype={dtype}"), capsys)
    assert metadata(directory)["dtype"] == dtype
    assert torch.equal(activations(directory), float32.to(getattr(torch, dtype)))


def test_a_bfloat16_pass_is_another_recording_and_comes_near(
    float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture
):
    argv = options(tmp_path, folder(pictures), "--model.precision=bfloat16")
    (directory,) = recorded(argv, capsys)
    (plain,) = recorded(options(tmp_path, folder(pictures)), capsys)
    assert directory != plain
    acts = activations(directory)
    assert torch.equal(acts, acts.bfloat16().float())
    assert 0 < (acts - float32).norm() / float32.norm() < 0.02


def test_negative_and_positive_numbers_and_repetitions_name_the_same_directories(
    pictures: Path, tmp_path: Path, capsys: Capture
):
    first = recorded(options(tmp_path, folder(pictures), "--model.layers=[-2,1]"), capsys)
    again = recorded(options(tmp_path, folder(pictures), "--model.layers=[4,1,-5,-2]"), capsys)
    assert first == again
    assert [metadata(directory)["layers"] for directory in first] == [[1], [4]]
    assert len(list(tmp_path.iterdir())) == 2


def state(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in [root, *root.rglob("*")]}


def test_a_second_run_says_so_and_touches_nothing(pictures: Path, tmp_path: Path, capsys: Capture):
    argv = options(tmp_path, folder(pictures))
    (directory,) = recorded(argv, capsys)
    before = state(tmp_path)
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert out == f"{directory}\n"
    assert f"recorded already: {directory}" in err
    assert "will be written" not in err
    assert state(tmp_path) == before


def test_only_the_missing_layers_are_recorded(pictures: Path, tmp_path: Path, capsys: Capture):
    (old,) = recorded(options(tmp_path, folder(pictures)), capsys)
    before = state(old)
    directories = recorded(options(tmp_path, folder(pictures), "--model.layers=[0,-2,5]"), capsys)
    assert directories[1] == old
    assert state(old) == before
    (alone,) = recorded(options(tmp_path / "alone", folder(pictures), "--model.layers=[5]"), capsys)
    assert alone.name == directories[2].name
    assert torch.equal(activations(alone), activations(directories[2]))


def test_the_name_depends_neither_on_the_machines_paths_nor_on_the_workers(tmp_path: Path, capsys: Capture):
    pictures = [write_pictures(tmp_path / name) for name in ("here", "some/where/else")]
    found = [
        recorded(options(tmp_path / f"out{n}", folder(root), f"--data.num_workers={workers}"), capsys)[0]
        for n, (root, workers) in enumerate([(pictures[0], 0), (pictures[1], 2)])
    ]
    assert found[0].name == found[1].name
    for file in ("acts000000.bin", "examples.jsonl", "shards.json"):
        assert (found[0] / file).read_bytes() == (found[1] / file).read_bytes()


def test_a_folders_examples_are_described(pictures: Path, tmp_path: Path, capsys: Capture):
    (directory,) = recorded(options(tmp_path, folder(pictures)), capsys)
    rows = examples(directory)
    assert [(row["path"], row["label"]) for row in rows] == [
        *((f"cat/{n}.png", "cat") for n in range(3)),
        *((f"dog/{n}.png", "dog") for n in range(3, 5)),
    ]
    assert {(row["width"], row["height"]) for row in rows} == {(48, 40)}
    about = metadata(directory)
    assert (about["family"], about["ckpt"], about["cls_token"]) == ("timm", "test_vit", True)
    assert json.loads((directory / "manifest.json").read_text())["class_names"] == ["cat", "dog"]


def test_activations_go_on_in_the_next_shard(float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture):
    n_tokens = float32.shape[1]
    more = f"--writer.n_patches_per_shard={2 * n_tokens + 1}"
    (directory,) = recorded(options(tmp_path, folder(pictures), more), capsys)
    assert len(list(directory.glob("acts*.bin"))) == 3
    assert torch.equal(activations(directory), float32)


def test_a_list_of_pictures_is_recorded_in_its_order(float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture):
    file = pictures / "list.txt"
    names = [path.relative_to(pictures).as_posix() for path in sorted(pictures.rglob("*.png"))]
    file.write_text("".join(f"{name}\tlabel {name}\n" for name in reversed(names)))
    argv = options(tmp_path, ["--data.images=ImageList", f"--data.images.file={file}"], "--data.batch_size=1")
    (directory,) = recorded(argv, capsys)
    assert [row["path"] for row in examples(directory)] == list(reversed(names))
    assert examples(directory)[0]["label"] == f"label {names[-1]}"
    torch.testing.assert_close(activations(directory), float32.flip(0), rtol=1e-4, atol=1e-5)


def test_patch_labels_of_masks_equal_a_count_by_hand(tmp_path: Path, capsys: Capture):
    side = 160
    root = write_pictures(tmp_path / "data/images", 3).parent
    rng = np.random.default_rng(0)
    masks = []
    for path in sorted((root / "images").rglob("*.png")):
        noise(1, side, side).save(path)
        coarse = rng.integers(0, 3, (side // 8, side // 8), dtype=np.uint8)
        mask = coarse.repeat(8, axis=0).repeat(8, axis=1)
        mask[: side // 2] = 255  # half of the picture has no label
        masks.append(mask)
        file = root / "masks" / path.relative_to(root / "images")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(file)
    source = ["--data.images=SegmentationFolder", f"--data.images.root={root}", "--data.images.threshold=0.3"]
    argv = options(tmp_path / "out", source, f"--model.image_size={side}")
    (directory,) = recorded(argv, capsys)
    grid = json.loads((directory / "manifest.json").read_text())["config"]["layout"]["grid"]
    patch = side // grid[0]
    expected = []
    # timm enlarges by 1 / crop_pct before it crops, as the picture's transform does.
    model = timm.create_model("test_vit", img_size=side)
    config = resolve_data_config({"input_size": (3, side, side)}, model=model)
    scaled = int(side / config["crop_pct"])
    margin = round((scaled - side) / 2)
    for mask in masks:
        seen = Image.fromarray(mask).resize((scaled, scaled), Image.Resampling.NEAREST)
        seen = np.asarray(seen.crop((margin, margin, margin + side, margin + side)))
        for row in range(grid[0]):
            for column in range(grid[1]):
                cell = seen[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch].ravel().tolist()
                best = max(sorted(set(cell)), key=cell.count)
                expected.append(best if cell.count(best) / len(cell) >= 0.3 else 255)
    labels = np.frombuffer((directory / "labels.bin").read_bytes(), np.uint8)
    assert len(set(expected)) > 2
    assert labels.tolist() == expected
    assert metadata(directory)["pixel_agg"] == "majority"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_saved_data_set_is_recorded_as_its_pictures(
    workers: int, float32: Tensor, pictures: Path, tmp_path: Path, capsys: Capture
):
    datasets = pytest.importorskip("datasets")
    files = [path.read_bytes() for path in sorted(pictures.rglob("*.png"))]
    columns = {"img": [{"bytes": data, "path": None} for data in files], "kind": [0, 1, 0, 1, 0]}
    features = datasets.Features(img=datasets.Image(), kind=datasets.ClassLabel(names=["cat", "dog"]))
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "saved"))
    source = ["--data.images=HuggingFaceImages", f"--data.images.name={tmp_path / 'saved'}"]
    source += ["--data.images.image_column=img", "--data.images.label_column=kind"]
    argv = options(tmp_path / "out", source, f"--data.num_workers={workers}")
    (directory,) = recorded(argv, capsys)
    assert torch.equal(activations(directory), float32)
    assert [row["label"] for row in examples(directory)] == ["cat", "dog", "cat", "dog", "cat"]
    assert metadata(directory)["dataset"] == str(tmp_path / "saved")


def rotated(picture: Image.Image) -> bytes:
    """Lies on its side in the file and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    return file.getvalue()


def test_pictures_of_every_mode_become_proper_rgb(tmp_path: Path, capsys: Capture):
    picture, grey = noise(0), noise(1).convert("L")
    palette, cmyk = noise(2).quantize(16), noise(3).convert("CMYK")
    alpha = noise(4).convert("RGBA")
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    white = Image.new("RGB", alpha.size, "white")
    white.paste(alpha, mask=alpha.getchannel("A"))
    odd = {"a.png": grey, "b.png": palette, "c.tif": cmyk, "d.png": alpha, "e.png": deep}
    proper = [*(each.convert("RGB") for each in (grey, palette, cmyk)), white, grey.convert("RGB"), picture]
    for name in ("odd", "proper"):
        (tmp_path / name).mkdir()
    for name, each in odd.items():
        each.save(tmp_path / "odd" / name)
    (tmp_path / "odd/f.png").write_bytes(rotated(picture))
    for n, each in enumerate(proper):
        each.save(tmp_path / "proper" / f"{n}.png")
    found, expected = (recorded(options(tmp_path, folder(tmp_path / name)), capsys)[0] for name in ("odd", "proper"))
    # Laying over white rounds; all else is exact.
    torch.testing.assert_close(activations(found)[3], activations(expected)[3], rtol=0, atol=0.05)
    exact = [0, 1, 2, 4, 5]
    assert torch.equal(activations(found)[exact], activations(expected)[exact])
    assert [(row["width"], row["height"]) for row in examples(found)] == [(48, 40)] * 6


@pytest.mark.parametrize("workers", [0, 2])
def test_a_skipped_picture_is_as_if_it_had_never_been_there(
    workers: int, pictures: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
):
    root = write_pictures(tmp_path / "pictures")
    (root / "cat/1a.png").write_bytes(b"no picture")
    (root / "dog/3a.png").write_bytes((root / "dog/3.png").read_bytes()[:2000])
    more = ["--data.on_bad_image=skip", f"--data.num_workers={workers}"]
    (directory,) = recorded(options(tmp_path / "out", folder(root), *more), capsys)
    assert "left out: picture 'cat/1a.png'" in caplog.text
    assert "left out: picture 'dog/3a.png'" in caplog.text
    (clean,) = recorded(options(tmp_path / "out2", folder(pictures)), capsys)
    assert directory.name == clean.name
    assert (directory / "examples.jsonl").read_bytes() == (clean / "examples.jsonl").read_bytes()
    assert torch.equal(activations(directory), activations(clean))
    assert recorded(options(tmp_path / "out", folder(root), *more), capsys) == [directory]


def test_what_is_said_before_and_on_the_way(pictures: Path, tmp_path: Path, capsys: Capture):
    assert main(options(tmp_path, folder(pictures), "--model.layers=[0,1]")) == 0
    out, err = capsys.readouterr()
    n_bytes = sum(path.stat().st_size for path in tmp_path.rglob("acts*.bin"))
    assert len(out.splitlines()) == 2
    assert f"recording layers [0, 1] of 5 images: {n_bytes / 1000:.3g} kB will be written, " in err
    assert " are free\n" in err
    assert "images/s" in err
    assert "100%" in err


def test_a_dry_run_prints_the_plan_and_touches_nothing(pictures: Path, tmp_path: Path, capsys: Capture):
    out = tmp_path / "out"
    argv = options(out, folder(pictures), "--model.layers=[1,2]", "--writer.n_patches_per_shard=202")
    assert main([*argv, "--writer.dry_run=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not out.exists()
    directories = recorded(argv, capsys)
    shard = f"3 shards of {(directories[0] / 'acts000000.bin').stat().st_size / 1000:.3g} kB"
    assert lines[0] == "a dry run: nothing is recorded"
    assert lines[1].startswith("recording layers [1, 2] of 5 images: ")
    assert lines[2:4] == [f"layer {layer}: {path}: {shard}" for layer, path in zip((1, 2), directories, strict=True)]
    assert re.fullmatch(
        r"about \d:\d\d:\d\d \(h:mm:ss\): [\d.e+]+ images a second, .*; the disk must take .*B a second", lines[4]
    )
    assert main([*argv, "--writer.dry_run=true"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"recorded already: {path}" for path in directories]


def test_what_a_recording_that_goes_on_says(pictures: Path, tmp_path: Path, capsys: Capture):
    argv = options(tmp_path, folder(pictures), "--writer.n_patches_per_shard=202")
    (directory,) = recorded(argv, capsys)
    shard = writable(directory) / "acts000001.bin"
    n_bytes = shard.stat().st_size
    shard.write_bytes(bytes(n_bytes))
    assert main(["shards", "repair", str(directory)]) == 0
    capsys.readouterr()
    assert main([*argv, "--writer.dry_run=true"]) == 0
    assert f"layer 4: {directory}: 3 shards of {n_bytes / 1000:.3g} kB, 1 missing" in capsys.readouterr().out
    assert main(argv) == 0
    err = capsys.readouterr().err
    assert f" of 5 images: {n_bytes / 1000:.3g} kB will be written, " in err
    assert " are free beside the space that is reserved already\n" in err
    assert "| 3/5 [" in err  # its first two pictures and the last one are there


def test_a_limit_on_file_sizes_that_data_workers_would_meet(pictures: Path, tmp_path: Path, capsys: Capture):
    shared = set(Path("/dev/shm").glob("torch_*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, limits[1]))
    try:
        more = ["--data.num_workers=1", "--writer.n_patches_per_shard=101"]
        said = r"hand over 614 kB a batch, files may have 262 kB here: raise the limit \(ulimit -f\)"
        refused(options(tmp_path / "out", folder(pictures), *more), capsys, said, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(Path("/dev/shm").glob("torch_*")) == shared


@pytest.mark.slow
def test_a_real_process_under_the_other_name_with_workers(pictures: Path, tmp_path: Path):
    argv = options(tmp_path / "out", folder(pictures), "--data.num_workers=2")
    status, out, err = finish(start_interpreter(["activations", *argv[1:]], cwd=tmp_path))
    assert status == 0, err
    assert [Path(line).parent for line in out.splitlines()] == [tmp_path / "out"]
    assert "Warning" not in err
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
