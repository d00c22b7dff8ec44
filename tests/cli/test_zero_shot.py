"""`saev downstream --zero_shot` on a small CLIP with random weights."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.cli.fitting import fit_options, one_line, only
from tests.cli.recording import folder
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP
from torch import Tensor

from saev.artifacts import read_provenance
from saev.cli.main import main
from saev.splicing.zero_shot import zero_shot_classifier
from saev.vit.dataset import ImageDataset
from saev.vit.images import ImageFolder
from saev.vit.load import load_backbone

Capture = pytest.CaptureFixture[str]
CKPT = "tiny-CLIP/openai"
CLASSES = ["a_dog", "cat", "white bear"]
TEMPLATE = "a photo of a {}."


@pytest.fixture(scope="module")
def model() -> open_clip.CLIP:
    """With random weights."""
    torch.manual_seed(2)
    clip: open_clip.CLIP = open_clip.create_model("tiny-CLIP", force_quick_gelu=True)
    return clip


@pytest.fixture(scope="module")
def root(model: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, the CLIP's weights, and a run that was trained on both."""
    root = tmp_path_factory.mktemp("zero_shot")
    for number in range(15):
        path = root / "pictures" / CLASSES[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(np.random.default_rng(number).integers(0, 256, 3).tolist())
        Image.new("RGB", (40, 32), colour).save(path)
    save_file(model.state_dict(), root / "clip.safetensors")
    named = ["--model.family=clip", f"--model.ckpt={CKPT}", f"--model.weights={root / 'clip.safetensors'}"]
    data = [*folder(root / "pictures"), "--data.num_workers=0", "--trainer.accelerator=cpu"]
    assert main(["predict", *named, "--model.layers=[0]", *data, f"--writer.dump_to={root / 'shards'}"]) == 0
    fit = ["--data.n_tokens=640", "--data.batch_size=16", "--data.val_share=0"]
    assert main(fit_options(only(root, "shards/*"), root / "run", *fit)) == 0
    return root


def argv(root: Path, out: Path, template: str = TEMPLATE, pictures: str = "pictures") -> list[str]:
    options = ["--num_workers=0", "--device=cpu", "--k=2", f"--weights={root / 'clip.safetensors'}"]
    sae = f"--sae={only(root, 'run/saes/*')}"
    return ["downstream", sae, f"--images={root / pictures}", *options, f"--out={out}", "--zero_shot", template]


def by_hand(model: open_clip.CLIP, root: Path) -> tuple[Tensor, Tensor, Tensor, list[str | None]]:
    """Embeddings before the projection, products and cosines of both towers of open_clip, and labels."""
    source, backbone = ImageFolder(root / "pictures"), load_backbone("clip", CKPT, str(root / "clip.safetensors"))
    data = ImageDataset(source, backbone.preprocessing, backbone.grid)
    images = torch.stack([torch.as_tensor(data[i]["image"]) for i in range(len(data))])
    texts = ["a photo of a a dog.", "a photo of a cat.", "a photo of a white bear."]
    with torch.no_grad():
        images_ne = model.eval().encode_image(images)
        texts_ce = model.encode_text(open_clip.get_tokenizer("tiny-CLIP")(texts), normalize=True)
        products_nc = images_ne @ texts_ce.T
        cosines_nc = products_nc / images_ne.norm(dim=-1, keepdim=True)
        return backbone.embed(images), products_nc, cosines_nc, [source.record(i).label for i in range(len(data))]


def test_accuracy_is_that_of_both_towers(model: open_clip.CLIP, root: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(argv(root, tmp_path / "o.json")) == 0
    report: dict[str, Any] = json.loads((tmp_path / "o.json").read_text())
    embedded_nd, products_nc, _, labels = by_hand(model, root)
    vit = read_provenance(only(root, "run/saes/*")).one_layer
    rows_cd = zero_shot_classifier(vit, str(root / "clip.safetensors"), CLASSES, TEMPLATE).rows_cd
    torch.testing.assert_close(embedded_nd @ rows_cd.T, products_nc)
    found = products_nc.argmax(-1).tolist()
    assert len(set(found)) > 1
    right = sum(CLASSES[c] == label for c, label in zip(found, labels, strict=True))
    row = report["downstream"]["zero_shot_accuracy"]
    assert row["original"] == row["with_error"] == right / len(labels)
    assert report["zero_shot"] == {"template": TEMPLATE, "n_classes": 3}
    assert "zero_shot_accuracy" in capsys.readouterr().out


def test_an_intervention_moves_probabilities_of_both_towers(
    model: open_clip.CLIP, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    own = [f"--sae={only(root, 'run/saes/*')}", f"--images={root / 'pictures'}", "--latents=[0, 1, 2]", "--edit=add"]
    more = ["--value=5", "--n_random=2", "--curves=[2]", "--n_maps=0", "--num_workers=0", "--device=cpu"]
    weights = f"--weights={root / 'clip.safetensors'}"
    options = ["probe", "intervene", *own, *more, weights, f"--out={tmp_path / 'o'}", "--zero_shot", TEMPLATE]
    assert main(options) == 0, capsys.readouterr().err
    _, _, cosines_nc, labels = by_hand(model, root)
    source = ImageFolder(root / "pictures")
    names = [source.record(number).path for number in range(len(source))]
    probabilities_nc = (100 * cosines_nc).softmax(-1)
    with (tmp_path / "o" / "effects.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["figure"] == "zero_shot: own class"]
    assert rows
    for row in rows:
        number = names.index(row["picture"])
        expected = probabilities_nc[number, CLASSES.index(str(labels[number]))].item()
        assert float(row["untouched"]) == pytest.approx(expected, rel=1e-3)
    assert any(row["edited"] != row["untouched"] for row in rows)
    found = json.loads((tmp_path / "o" / "interventions.json").read_text())
    assert {row["readout"] for row in found["curves"]["rows"]} == {"zero_shot", "probe"}


@pytest.mark.parametrize(
    ("template", "pictures", "said"),
    [
        ("a photo", "pictures", "one {} in the place of the class"),
        ("{} and {}", "pictures", "one {} in the place of the class"),
        (TEMPLATE, "pictures/cat", "needs two folders (classes) or more"),
    ],
)
def test_what_makes_no_sense_is_refused(
    template: str, pictures: str, said: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(argv(root, tmp_path / "o.json", template, pictures)) == 1
    assert said in one_line(capsys.readouterr().err)


def test_weights_without_a_text_tower_are_refused(
    model: open_clip.CLIP, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    vision = {key: value for key, value in model.state_dict().items() if key.startswith("visual.")}
    save_file(vision, tmp_path / "vision.safetensors")
    options = [*argv(root, tmp_path / "o.json"), f"--weights={tmp_path / 'vision.safetensors'}"]
    assert main(options) == 1
    assert "vision.safetensors holds no text tower" in one_line(capsys.readouterr().err)
