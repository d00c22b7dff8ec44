"""`saev downstream` on a small ViT with random weights."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.cli.fitting import fit_options, one_line, only
from tests.cli.recording import folder, options
from torch import Tensor
from torch.nn.functional import cosine_similarity

import saev
from saev.artifacts import read_provenance, save_sae
from saev.cli.main import main
from saev.metrics import fraction_of_variance_unexplained
from saev.nn import ReLU, SparseAutoencoder
from saev.vit.dataset import ImageDataset
from saev.vit.images import ImageFolder
from saev.vit.load import load_backbone

Capture = pytest.CaptureFixture[str]
LAYER = 4


def draw(root: Path, n_each: int = 6) -> Path:
    """Pictures of two classes: dark and bright noise."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 130)):
        (root / name).mkdir(parents=True)
        for number in range(n_each):
            pixels = rng.integers(low, low + 120, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"))


def trained(pictures: Path, root: Path, *more: str) -> Path:
    """The directory of an SAE that was trained on these pictures."""
    argv = options(root / "shards", folder(pictures), "--model.image_size=32")
    assert main(argv) == 0
    shards = only(root, "shards/*-layer04-*")
    fit = fit_options(shards, root / "run", "--data.n_tokens=640", "--data.batch_size=16", "--data.val_share=0", *more)
    assert main(fit) == 0
    return only(root, "run/saes/*")


@pytest.fixture(scope="module")
def sae_dir(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(pictures, tmp_path_factory.mktemp("trained"))


def downstream(sae: Path, pictures: Path, out: Path, *more: str) -> list[str]:
    return [
        "downstream",
        f"--sae={sae}",
        f"--images={pictures}",
        "--weights=random",
        "--num_workers=0",
        "--device=cpu",
        f"--out={out}",
        *more,
    ]


def report(argv: list[str], capsys: Capture) -> tuple[dict[str, Any], str]:
    capsys.readouterr()
    status = main(argv)
    out, err = capsys.readouterr()
    assert status == 0, err
    path = next(option for option in argv if option.startswith("--out=")).removeprefix("--out=")
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found, out


def by_hand(sae: SparseAutoencoder, pictures: Path, first: int, last: int | None) -> dict[str, Tensor]:
    """Activations of the SAE's tokens, their reconstructions, and the embeddings of timm's own later blocks."""
    backbone = load_backbone("timm", "test_vit", "random", 32)
    data = ImageDataset(ImageFolder(pictures), backbone.preprocessing, backbone.grid)
    images = torch.stack([torch.as_tensor(data[i]["image"]) for i in range(len(data))])
    tower: Any = backbone.tower
    with torch.no_grad():
        x = backbone(images, [LAYER])[LAYER]
        part = x[:, first:last]
        found = {"x": part.flatten(0, 1), "x_hat": sae(part).flatten(0, 1)}
        mean = found["x"].mean(0)
        for name, new in (("original", part), ("spliced", sae(part)), ("ablated", mean.expand_as(part))):
            changed = x.clone()
            changed[:, first:last] = new
            found[name] = tower.norm(tower.blocks[LAYER + 1 :](changed))[:, 0]
    return found


def check_by_hand(found: dict[str, Any], expected: dict[str, Tensor]) -> None:
    fvu = fraction_of_variance_unexplained(expected["x"], expected["x_hat"]).item()
    assert found["sae_values"]["fvu"] == pytest.approx(fvu, rel=1e-4)
    for name in ("spliced", "ablated"):
        cosine = cosine_similarity(expected["original"].double(), expected[name].double(), dim=-1).mean().item()
        assert 1 - found["downstream"]["cosine"][name] == pytest.approx(1 - cosine, rel=1e-2, abs=1e-9)
    assert found["rounding"] < 1e-5


def test_the_figures_are_those_of_a_pass_by_hand(sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture):
    found, out = report(downstream(sae_dir, pictures, tmp_path / "o.json", "--k=3"), capsys)
    check_by_hand(found, by_hand(saev.load(sae_dir), pictures, 1, None))
    assert found["layer"] == LAYER
    assert found["tokens"] == "content"
    assert (found["n_images"], found["n_probe_train"], found["n_probe_test"], found["n_classes"]) == (12, 6, 6, 2)
    assert set(found["downstream"]) == {"cosine", "knn_agreement", "probe_accuracy"}
    for row in found["downstream"].values():
        assert row["with_error"] == pytest.approx(row["original"], abs=1e-6)
        lost = row["original"] - row["ablated"]
        kept = (row["spliced"] - row["ablated"]) / lost if lost > 1e-6 else None
        assert row["recovered"] == pytest.approx(kept)
    assert found["downstream"]["probe_accuracy"]["original"] == 1
    assert f"learned from {found['n_probe_train']} images and is tested on {found['n_probe_test']}\n" in out
    assert found["sae_values"]["l0"] <= 4
    assert sum(found["frequency_histogram"]) == 48
    assert "timm test_vit, layer 4, content tokens, 12 images" in out
    for name, value in (found["sae_values"] | found["downstream"]["cosine"]).items():
        if name != "recovered":
            assert re.search(rf"{value:.4f}", out), name


def test_batches_and_processes_change_nothing(sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture):
    one, _ = report(downstream(sae_dir, pictures, tmp_path / "1.json", "--k=3"), capsys)
    more = ("--k=3", "--batch_size=5", "--num_workers=2")
    two, _ = report(downstream(sae_dir, pictures, tmp_path / "2.json", *more), capsys)
    assert two["sae_values"] == pytest.approx(one["sae_values"], rel=1e-4, abs=1e-6)
    for name, row in one["downstream"].items():
        numbers = {column: value for column, value in row.items() if value is not None and column != "recovered"}
        assert {column: two["downstream"][name][column] for column in numbers} == pytest.approx(numbers, rel=1e-4)


def test_python_gives_the_same_report_and_leaves_the_sae_as_it_was(
    sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture
):
    found, _ = report(downstream(sae_dir, pictures, tmp_path / "o.json", "--k=3"), capsys)
    sae = saev.load(sae_dir).train()
    same = saev.measure_downstream(sae, pictures, weights="random", k=3, device="cpu")
    assert same == found | {"sae": "TopK"}
    assert sae.training


def test_an_sae_of_the_cls_token(pictures: Path, tmp_path: Path, capsys: Capture):
    sae_dir = trained(pictures, tmp_path, "--data.tokens=cls", "--data.batch_size=4", "--data.n_tokens=80")
    found, _ = report(downstream(sae_dir, pictures, tmp_path / "o.json", "--k=3"), capsys)
    check_by_hand(found, by_hand(saev.load(sae_dir), pictures, 0, 1))
    assert found["tokens"] == "cls"
    # The embedding is the CLS token: with a mean in its place all pictures look alike but for what patches add later.
    assert found["downstream"]["cosine"]["ablated"] < found["downstream"]["cosine"]["spliced"] < 1


def lossless(d: int) -> SparseAutoencoder:
    """Each dimension has a latent for positive and one for negative values."""
    sae = ReLU(d_in=d, d_sae=2 * d)
    with torch.no_grad():
        sae.W_dec.copy_(torch.cat([torch.eye(d), -torch.eye(d)]))
        sae.W_enc.copy_(sae.W_dec.T)
    return sae


def test_a_lossless_sae_recovers_everything(sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture):
    save_sae(lossless(64), tmp_path / "sae", read_provenance(sae_dir))
    found, _ = report(downstream(tmp_path / "sae", pictures, tmp_path / "o.json", "--k=3"), capsys)
    assert found["sae_values"]["fvu"] == pytest.approx(0, abs=1e-9)
    assert found["sae_values"]["bias"] == pytest.approx(1, abs=1e-6)
    assert found["downstream"]["cosine"]["recovered"] == pytest.approx(1, abs=1e-6)
    assert found["downstream"]["knn_agreement"]["spliced"] == 1


def test_pictures_without_classes_have_no_probe(sae_dir: Path, tmp_path: Path, capsys: Capture):
    root = draw(tmp_path / "pictures") / "dark"
    found, out = report(downstream(sae_dir, root, tmp_path / "o.json", "--k=2", "--n_images=5"), capsys)
    assert found["n_images"] == 5
    assert found["downstream"]["probe_accuracy"] is None
    assert "no probe_accuracy" in out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--k=12"], "12 images .*--k 12"),
        (["--n_images=0"], "1 or more"),
        (["--device=abacus"], "--device abacus cannot be used"),
        (["--images=/nowhere"], "/nowhere"),
        (["--sae=/nowhere"], "/nowhere.*RUN/saes/NAME"),
        (["--out=/nowhere/o.json"], "no directory /nowhere"),
        (["--n_image=3"], "did you mean --n_images"),
    ],
)
def test_wrong_options_are_one_line(
    more: list[str], said: str, sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture
):
    capsys.readouterr()
    assert main(downstream(sae_dir, pictures, tmp_path / "o.json", *more)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(said, one_line(err)), err
    assert not (tmp_path / "o.json").exists()


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/none"), lambda path: path.write_bytes(b"no picture")])
def test_a_bad_picture_is_named_without_options_that_it_lacks(
    make: Callable[[Path], object], sae_dir: Path, tmp_path: Path, capsys: Capture
):
    make(draw(tmp_path / "p") / "dark" / "x.png")
    assert main(downstream(sae_dir, tmp_path / "p", tmp_path / "o.json", "--k=3")) == 1
    assert re.search(r"'dark/x.png' can.*; replace it$", one_line(capsys.readouterr().err).rstrip())


def test_other_weights_are_refused(sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture):
    weights = load_backbone("timm", "test_vit", "random", 32).tower.state_dict()
    weights["norm.bias"] = weights["norm.bias"] + 1
    save_file(weights, tmp_path / "other.safetensors")
    argv = downstream(sae_dir, pictures, tmp_path / "o.json", "--k=3", f"--weights={tmp_path / 'other.safetensors'}")
    assert main(argv) == 1
    assert re.search(
        r"trained on the weights .*other\.safetensors gives .*--weights FILE", one_line(capsys.readouterr().err)
    )


def test_a_width_that_the_vit_does_not_have_is_refused(sae_dir: Path, pictures: Path, tmp_path: Path, capsys: Capture):
    save_sae(lossless(16), tmp_path / "sae", read_provenance(sae_dir))
    assert main(downstream(tmp_path / "sae", pictures, tmp_path / "o.json", "--k=3")) == 1
    assert "width 16, test_vit has 64" in one_line(capsys.readouterr().err)


def test_help_explains_every_option(capsys: Capture):
    with pytest.raises(SystemExit) as end:
        main(["downstream", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in ("sae", "images", "n_images", "batch_size", "weights", "k", "num_workers", "device", "seed", "out"):
        assert re.search(rf"--{name} [A-Z_]+ [a-zA-Z]", text), name
