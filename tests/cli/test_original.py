"""`saev fit` and `saev test` on directories of the original saev, and `saev predict` for the original."""

import base64
import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.fitting import fit_options, metrics, numpy_fvu, one_line, only, sparse_acts
from tests.cli.recording import folder, noise, options, recorded, write_pictures
from tests.shards.original_saev import (
    exploded,
    read_labels_like_the_original,
    read_like_the_original,
    write_original,
)
from tests.tiny_models import tiny_open_clip
from torch import Tensor

import saev
from saev.cli.main import main
from saev.datamodules import ShardDataModule
from saev.shards.reading.open import open_shards
from saev.shards.tokens import random_subset

__all__ = ["tiny_open_clip"]

Capture = pytest.CaptureFixture[str]
LAYERS, N_EXAMPLES = [3, 7, 9], 40


@pytest.fixture(scope="module")
def acts() -> Tensor:
    """Three layers of 40 images of a CLS token and 2 x 3 patches (n, L, T, D), each with a structure of its own."""
    return torch.stack([sparse_acts(N_EXAMPLES, 7, seed=layer) for layer in LAYERS], dim=1)


@pytest.fixture(scope="module")
def three(acts: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three layers in four full files and an empty one, with labels."""
    labels = np.zeros((N_EXAMPLES, 6), dtype=np.uint8)
    directory = tmp_path_factory.mktemp("original") / "saev" / "shards" / "0a1b2c3d"
    return write_original(directory, acts.numpy(), layers=LAYERS, per_shard=10, empty_shard=True, labels=labels)


@pytest.fixture(scope="module")
def run(three: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on layer 7."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(three, run_dir, "--data.layer=7", "--data.val_share=0.2")) == 0
    return run_dir


def held_out(acts_ntd: Tensor) -> Tensor:
    """The patches of the images that are held out of training."""
    return acts_ntd[torch.from_numpy(random_subset(N_EXAMPLES, 8, seed=0)), 1:].flatten(0, 1)


def test_fit_trains_on_the_chosen_layer(run: Path, three: Path, acts: Tensor) -> None:
    sae = saev.load(only(run, "saes/*"))
    assert numpy_fvu(sae, held_out(acts[:, 1]), k=4) == pytest.approx(metrics(run)["val"]["fvu"], rel=1e-4)
    assert torch.allclose(sae.mean_d, acts[:, 1, 1:].flatten(0, 1).mean(0), atol=0.2)
    about = json.loads((only(run, "saes/*") / "config.json").read_text())["about"]
    assert about["trained_on"]["layer"] == 7
    assert about["trained_on"]["model"]["ckpt"] == "ViT-B-32/openai"
    assert (run / "config.yaml").read_text().count("layer: 7\n") == 1


def test_every_training_token_is_one_of_the_layer(three: Path, acts: Tensor) -> None:
    data = ShardDataModule(three, layer=9, val_share=0, n_tokens=240, batch_size=240)
    assert {row.numpy().tobytes() for row in data.sample(240)} == {
        row.numpy().tobytes() for row in acts[:, 2, 1:].flatten(0, 1)
    }


def test_one_layer_need_not_be_named(tmp_path: Path, acts: Tensor) -> None:
    directory = write_original(tmp_path / "x", acts[:, 1:2].numpy(), layers=[7], without=("dtype", "protocol"))
    argv = fit_options(directory, tmp_path / "run", "--data.tokens=cls", "--data.val_share=0.2")
    assert main(argv) == 0
    x = acts[torch.from_numpy(random_subset(N_EXAMPLES, 8, seed=0)), 1, 0]
    sae = saev.load(only(tmp_path / "run", "saes/*"))
    assert numpy_fvu(sae, x, k=4) == pytest.approx(metrics(tmp_path / "run")["val"]["fvu"], rel=1e-4)


def test_the_run_is_tested_on_its_layer(run: Path) -> None:
    assert main(["test", f"--run_dir={run}"]) == 0
    assert metrics(run)["test"] == metrics(run)["val"]


def test_other_originals_are_tested_and_validated_on(run: Path, three: Path, acts: Tensor, tmp_path: Path) -> None:
    other = write_original(tmp_path / "other", acts[:9].numpy(), layers=LAYERS)
    assert main(["test", f"--run_dir={run}", f"--data.shards={other}", "--visualizer.n_latents=0"]) == 0
    expected = numpy_fvu(saev.load(only(run, "saes/*")), acts[:9, 1, 1:].flatten(0, 1), k=4)
    assert metrics(run)["test"]["fvu"] == pytest.approx(expected, rel=1e-4)
    argv = fit_options(three, tmp_path / "run", "--data.layer=9", f"--data.val_shards={other}")
    assert main(argv) == 0
    expected = numpy_fvu(saev.load(only(tmp_path / "run", "saes/*")), acts[:9, 2, 1:].flatten(0, 1), k=4)
    assert metrics(tmp_path / "run")["val"]["fvu"] == pytest.approx(expected, rel=1e-4)


def test_the_gallery_has_grey_tiles_and_says_why(three: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert main(fit_options(three, tmp_path / "run", "--data.layer=3")) == 0
    (warning,) = (record.getMessage() for record in caplog.records if "grey tiles" in record.getMessage())
    assert (
        f"{three}: the original saev names its pictures in a pickle or in Python code, which is not opened" in warning
    )
    gallery = only(tmp_path / "run", "features/*")
    overview = (gallery / "data" / "overview.js").read_text()
    assert '"example ' in overview
    assert '["layer","3"]' in overview
    assert list(gallery.glob("data/latents/*.js"))
    assert not list(gallery.glob("images/*.jpg"))


@pytest.fixture(scope="module")
def oldest(acts: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers as version 0.1.0 writes them: counted from the end, in three files, the last of them half full."""
    directory = tmp_path_factory.mktemp("oldest") / "ac89246f"
    return write_original(directory, acts[:, :2].numpy(), layers=[-2, -1], per_shard=16, oldest=True)


def test_the_oldest_is_trained_and_tested_on(oldest: Path, acts: Tensor, tmp_path: Path, capsys: Capture) -> None:
    run_dir = tmp_path / "run"
    assert main([*fit_options(oldest, run_dir), "--data.layer", "-2", "--data.val_share=0.2"]) == 0
    fvu = numpy_fvu(saev.load(only(run_dir, "saes/*")), held_out(acts[:, 0]), k=4)
    assert metrics(run_dir)["val"]["fvu"] == pytest.approx(fvu, rel=1e-4)
    assert json.loads((only(run_dir, "saes/*") / "config.json").read_text())["about"]["trained_on"]["layer"] == -2
    assert main(["test", f"--run_dir={run_dir}"]) == 0
    assert metrics(run_dir)["test"] == metrics(run_dir)["val"]
    assert main(["render", f"--run_dir={run_dir}", "--visualizer.n_latents=2"]) == 0
    assert '["layer","-2"]' in (only(run_dir, "features/*") / "data" / "overview.js").read_text()
    capsys.readouterr()
    argv = fit_options(oldest, tmp_path / "other")
    for more, said in ([], "holds the layers -2, -1: choose one"), (["--data.layer=1"], "has no layer 1: choose"):
        assert main([*argv, *more]) == 1
        assert said in one_line(capsys.readouterr().err)


def test_the_oldest_is_looked_at(oldest: Path, capsys: Capture) -> None:
    for command, said in {
        "info": "(outputs of these blocks, counted from the end, -1 the last)",
        "verify": "the original saev stores no checksums",
        "bench --layer -1 --batch_size=32 --seconds=0.1": "tokens/s",
    }.items():
        name, *more = command.split()
        assert main(["shards", name, str(oldest), *more]) == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "0a1b2c3d: holds the layers 3, 7, 9: choose one of them as layer"),
        (["--data.layer=1"], "0a1b2c3d: has no layer 1: choose from 3, 7, 9"),
        (["--data.layer=7", "--data.d_model=768"], "0a1b2c3d: activations of width 16, not 768"),
    ],
)
def test_a_wrong_layer_is_one_line(three: Path, tmp_path: Path, capsys: Capture, more: list[str], said: str) -> None:
    capsys.readouterr()
    assert main([*fit_options(three, tmp_path / "run"), *more]) == 1
    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_the_pickle_is_never_opened(run: Path, three: Path, capsys: Capture) -> None:
    assert (run / "config.yaml").is_file()
    for command in ("info", "verify"):
        assert main(["shards", command, str(three)]) == 0
    assert not exploded(three).exists()
    # It would have gone off.
    pickle.loads(base64.b64decode(json.loads((three / "metadata.json").read_text())["data"]))
    exploded(three).rmdir()


def original_options(out: Path, images: list[str], *more: str) -> list[str]:
    """Record the tiny CLIP with random weights for the original."""
    return options(out / "saev" / "shards", images, "--model.family=clip", "--model.ckpt=tiny-ViT/laion", *more)


@pytest.mark.parametrize("budget", [2_400_000, 40, 17], ids=["one shard", "three shards", "an example a shard"])
def test_the_original_reads_what_predict_records(tmp_path: Path, capsys: Capture, budget: int) -> None:
    pictures = folder(write_pictures(tmp_path / "pictures"))
    argv = original_options(tmp_path, pictures, "--model.layers=[0,-2]", f"--writer.n_patches_per_shard={budget}")
    for directory, layer in zip(recorded(argv, capsys), (0, 2), strict=True):
        meta, found = read_like_the_original(directory)
        assert (meta["layers"], meta["n_examples"], meta["cls_token"]) == ([layer], 5, True)
        assert meta["max_tokens_per_shard"] <= budget
        assert np.array_equal(found[:, 0], open_shards(directory).read(0, 5).numpy())
        assert (np.abs(found).max(axis=(1, 3)) > 0).all()


def test_the_original_reads_the_patch_labels(tmp_path: Path, capsys: Capture) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "p" / kind).mkdir(parents=True)
    for number in range(3):
        noise(number, 32, 32).save(tmp_path / "p" / "images" / f"{number}.png")
        Image.new("L", (32, 32), 10 * number).save(tmp_path / "p" / "masks" / f"{number}.png")
    source = ["--data.images=SegmentationFolder", f"--data.images.root={tmp_path / 'p'}"]
    (directory,) = recorded(original_options(tmp_path, source), capsys)
    read_like_the_original(directory)
    assert read_labels_like_the_original(directory).tolist() == [[0] * 16, [10] * 16, [20] * 16]


@pytest.mark.parametrize("more", ["--writer.dtype=bfloat16", "--model.family=timm --model.ckpt=test_vit"])
def test_what_the_original_cannot_read_says_so(tmp_path: Path, capsys: Capture, more: str) -> None:
    pictures = folder(write_pictures(tmp_path / "pictures"))
    (directory,) = recorded(original_options(tmp_path, pictures, *more.split()), capsys)
    assert json.loads((directory / "metadata.json").read_text())["protocol"] == "3.0"
