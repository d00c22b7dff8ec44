"""Generated scenes through the commands: recorded, shown, and all that is known of them found without a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.cli.fitting import only
from tests.cli.recording import activations, examples, options, recorded, refused

import saev
from saev.cli.main import main
from saev.latents.source_metadata import known_metadata
from saev.nn import ReLU
from saev.probing.verdicts.files import read_verdicts
from saev.scenes.drawing import object_mask
from saev.scenes.factors import FACTORS, Scene
from saev.vit.images import DemoScenes, from_description

Capture = pytest.CaptureFixture[str]
COLOURS = FACTORS["colour"]
N = 240
SCENES = ["--data.images=DemoScenes", f"--data.images.n_scenes={N}", "--data.images.seed=3"]
SMALL = ["--model.image_size=64", "--data.batch_size=48", "--writer.n_patches_per_shard=2000"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    assert main(options(root, SCENES, *SMALL)) == 0
    return only(root, "*")


def shares(scene: Scene) -> np.ndarray:
    """(16, 6) how much of each patch of 16 pixels has each colour."""
    mask = object_mask(scene).reshape(4, 16, 4, 16)
    found = np.zeros((16, len(COLOURS)))
    for i, one in enumerate(scene.objects):
        found[:, COLOURS.index(one.colour)] += (mask == i + 1).mean(axis=(1, 3)).ravel()
    return found


@pytest.fixture(scope="module")
def sae(shards: Path) -> Path:
    """Latents that were learned from the truth: each follows objects of one colour."""
    reader = saev.open_shards(shards)
    source = from_description(reader.recording.source)
    assert isinstance(source, DemoScenes)
    y = np.concatenate([shares(source.scene(index)) for index in range(N)])
    x = reader.read(0, N)[:, 1:].flatten(0, 1)
    made, place = ReLU(x.shape[1], len(COLOURS)), shards.parent.parent / f"{shards.parent.name}-sae"
    for latent, share in enumerate(y.T):
        clear = (share == 0) | (share > 0.3)
        probe = LogisticRegression(C=100, max_iter=2000, class_weight="balanced").fit(x[clear], share[clear] > 0)
        with torch.no_grad():
            made.W_enc[:, latent] = torch.from_numpy(probe.coef_[0])
            made.b_enc[latent] = float(probe.intercept_[0])
    saev.save(made, place)
    return place


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "candidates.parquet").to_pylist()
    return found


def test_a_recording_is_whole_in_any_pieces_and_says_what_it_is_of(
    shards: Path, tmp_path: Path, capsys: Capture
) -> None:
    (again,) = recorded(options(tmp_path, SCENES, *SMALL, "--data.num_workers=2"), capsys)
    assert torch.equal(activations(again), activations(shards))
    source = DemoScenes(N, 3)
    assert [one["path"] for one in examples(shards)] == [entry.path for entry in source.entries]
    recording = saev.open_shards(shards).recording
    assert recording.image_set["n_objects"] == [1, 3]
    assert recording.class_names == sorted(FACTORS["background"])
    assert from_description(recording.source).identity() == source.identity()
    labels = saev.open_shards(shards).patch_labels()
    assert labels is not None
    assert {*np.unique(labels).tolist()} == {0, 1, 2, 3, 4, 5, 255}


def test_wrong_options_are_one_line(tmp_path: Path, capsys: Capture) -> None:
    for option, said in (
        ("--data.images.n_scenes=0", "--data.images.n_scenes 0: give a number from 1 to"),
        ("--data.images.n_objects=[3,1]", r"--data.images.n_objects \[3, 1\]: give the fewest and the most"),
        ("--data.images.label=shape", "--data.images.label 'shape': .* give n_objects \\[1, 1\\], or the"),
    ):
        refused(options(tmp_path, [*SCENES, option]), capsys, said, tmp_path)


def test_factors_are_attributes_and_columns_without_a_file(
    shards: Path, sae: Path, tmp_path: Path, capsys: Capture
) -> None:
    own = ["--device=cpu", "--n_permutations=50", "--no_controls"]
    command = ["probe", "propose", f"--sae={sae}", f"--shards={shards}", *own]
    assert main([*command, f"--out={tmp_path / 'all'}"]) == 0
    best = {f"{one['source']}:{one['attribute']}": one for one in rows(tmp_path / "all") if one["best_of_attribute"]}
    source = DemoScenes(1)
    every = {source.attribute(factor, value) for factor, values in FACTORS.items() for value in values}
    assert every <= best.keys()
    for latent, colour in enumerate(COLOURS):
        found = best[f"metadata:{colour}"]
        assert (found["latent"], found["claim"]) == (latent, "fires on")
        assert found["q"] < 1e-6
    assert main([*command, f"--out={tmp_path / 'labels'}", "--labels=image"]) == 0
    assert {one["source"] for one in rows(tmp_path / "labels")} == {"label"}
    capsys.readouterr()


def test_a_gallery_shows_pictures_and_columns(shards: Path, sae: Path, tmp_path: Path) -> None:
    found = saev.render({"mine": sae}, shards, tmp_path, n_latents=3)["mine"].parent
    assert len(list((found / "images").glob("*.jpg"))) == N
    text = (found / "data/overview.js").read_text()
    assert all(f'"{value}"' in text for value in (*FACTORS["colour"], *FACTORS["position"], *FACTORS["background"]))


def test_commands_that_run_pictures_through_the_vit_take_scenes(shards: Path, sae: Path, tmp_path: Path) -> None:
    own = [f"--sae={sae}", f"--shards={shards}", "--images=DemoScenes", "--weights=random", "--device=cpu"]
    few = ["--n_images=24", "--num_workers=0"]
    assert main(["downstream", *own, *few, "--k=2", f"--out={tmp_path / 'cost.json'}"]) == 0
    assert json.loads((tmp_path / "cost.json").read_text())["images"] == "DemoScenes of seed 0"
    more = ["--images.seed=5", "--images.n_scenes=30", "--latents=[0]", "--n_random=2", "--curves=[]", "--n_maps=1"]
    assert main(["probe", "intervene", *own, *few, *more, f"--out={tmp_path / 'changed'}"]) == 0
    assert "DemoScenes of seed 5" in (tmp_path / "changed" / "index.html").read_text()


def test_a_claim_on_a_column_goes_from_freezing_to_a_verdict(
    shards: Path, sae: Path, tmp_path: Path, capsys: Capture
) -> None:
    own = [f"--sae={sae}", f"--shards={shards}", "--device=cpu"]
    frozen, sets, report = (tmp_path / name for name in ("frozen.json", "sets", "report"))
    pairs = DemoScenes(2 * N, 3).write_pairs(tmp_path / "pairs", "colour", "red", range(N, 2 * N))
    folders = [f"--pairs_without={pairs[0]}", f"--pairs_with={pairs[1]}"]
    assert main(["probe", "freeze", *own, "--latents=[0]", "--attribute=metadata:red", f"--out={frozen}"]) == 0
    hypotheses = f"--hypotheses={frozen}"
    assert main(["probe", "build", hypotheses, *own, *folders, f"--out={sets}"]) == 0
    more = [f"--sets={sets}", "--n_permutations=999", "--no_controls", "--weights=random"]
    assert main(["probe", "test", hypotheses, *own, *more, f"--out={report}"]) == 0, capsys.readouterr().err
    verdicts = read_verdicts(report)
    (found,) = verdicts.results
    assert found.verdict == "confirmed", found.reason
    assert [one.name for one in found.confounders if one.name.startswith("blue")] == ["blue only"]
    assert (found.edits[0].name, found.edits[0].finding) == ("folders", "as claimed")
    table = known_metadata(saev.open_shards(shards))
    assert table is not None
    assert [(one.what, one.path, one.sha256) for one in verdicts.inputs if one.what == "metadata"] == [
        ("metadata", "DemoScenes", table.digest)
    ]
    page = (report / "index.html").read_text()
    assert "DemoScenes" in page and json.loads((report / "verdicts.json").read_text())["inputs"]
