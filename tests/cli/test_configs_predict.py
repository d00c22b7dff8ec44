"""Every file of configs/predict records, with random weights where the network would be asked."""

import io
from pathlib import Path

import pytest
from tests.cli.recording import activations, metadata, noise, recorded, write_pictures

CONFIGS = sorted((Path(__file__).parents[2] / "configs/predict").glob("*.yaml"))
# Family, layers, width and patches that each of them is there for.
EXPECTED = {
    "clip_vit_b32_imagenet": ("clip", [10], 768, 49),
    "dinov2_vit_b14": ("dinov2", [5, 8, 10], 768, 256),
    "own_pictures": ("clip", [10], 768, 196),
    "siglip_vit_b16": ("siglip", [10], 768, 196),
}


def save_imagenet(path: Path) -> None:
    """A data set with the columns of ImageNet-1k."""
    datasets = pytest.importorskip("datasets")
    rows = []
    for number in range(2):
        file = io.BytesIO()
        noise(number).save(file, "JPEG")
        rows.append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["tench", "goldfish"]))
    saved = datasets.Dataset.from_dict({"image": rows, "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": saved}).save_to_disk(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_records(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if "class_path: HuggingFaceImages" in config.read_text():
        save_imagenet(tmp_path / "data")
        images = f"--data.images.name={tmp_path / 'data'}"
    else:
        write_pictures(tmp_path / "data", 2)
        images = f"--data.images.root={tmp_path / 'data'}"
    argv = ["predict", f"--config={config}", images, f"--writer.dump_to={tmp_path / 'out'}"]
    found = recorded([*argv, "--model.weights=random", "--data.num_workers=1", "--trainer.accelerator=cpu"], capsys)
    abouts = [metadata(directory) for directory in found]
    layers = [layer for about in abouts for layer in about["layers"]]
    about = abouts[0]
    facts = (about["family"], layers, about["d_model"], about["content_tokens_per_example"])
    assert facts == EXPECTED[config.stem]
    for directory in found:
        acts = activations(directory)
        assert acts.shape == (2, facts[3] + about["cls_token"], facts[2])
        assert acts.float().isfinite().all()
