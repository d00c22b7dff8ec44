"""`saev predict` on pictures from every kind of source: what is recorded of them, and what is written of them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from tests.cli.recording import activations, examples, folder, metadata, noise, options, recorded, write_pictures
from timm.data import resolve_data_config
from torch import Tensor

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]


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
    assert main([*options(tmp_path / "other", folder(root)), "--writer.dry_run=true"]) == 0
    assert "masks are recorded as pictures, labelled 'masks': --data.images Seg" in capsys.readouterr().out


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
