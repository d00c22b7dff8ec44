"""`saev probe propose` on recordings, tables and folders of other kinds, and a gallery of its half."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cli.fitting import one_line
from tests.cli.proposing import best, command, rows
from tests.probing.planted import SKY, Planted, digest, plant
from tests.shards.original_saev import write_original
from tests.shards.small_recordings import make_recording, record

import saev
from saev.artifacts.provenance import RecordedLayer
from saev.cli.main import main
from saev.errors import InputError
from saev.latents.metadata import read_metadata
from saev.probing.pictures.units import Units
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import TokenLayout

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


def test_a_latent_that_follows_a_mask_is_kept_though_others_say_better_whether_it_is_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    is_b, has_mask = rng.random(200) < 0.5, rng.random(200) < 0.5
    acts = np.where(rng.random((200, 4, 12)) < 0.02, rng.random((200, 4, 12)), 0)
    acts[has_mask, 2, :2] = 2.0
    acts[has_mask, :2, 5] = 2.0
    acts[is_b, 3, 5] = 3.0
    labels = np.zeros((200, 4), np.uint8)
    labels[has_mask, :2] = 1
    names = [f"{'ab'[int(one)]}/{i}.png" for i, one in enumerate(is_b)]
    records = [ExampleRecord(name, name[0], 8, 8, 100, digest(name)) for name in names]
    recording = make_recording(200, TokenLayout(False, 0, (2, 2)), 12, "float32", 200)
    shards = record(
        tmp_path / "shards",
        recording,
        torch.from_numpy(acts).float(),
        labels=torch.from_numpy(labels),
        examples=records,
    )
    sae = saev.ReLU(12, 12)
    for name in ("W_enc", "W_dec"):
        getattr(sae, name).data.copy_(torch.eye(12))
    out = saev.probing.propose(sae, shards, tmp_path / "out", n_candidates=2, controls=False, device="cpu")
    kept = {one["latent"]: one for one in rows(out) if (one["source"], one["attribute"]) == ("patch", "label 1")}
    assert kept[5]["iou_rank"] == 1
    assert kept[5]["rank"] > 2
    assert kept[5]["iou"] > 0.6 > kept[0]["iou"]
    assert kept[0]["rank"] == 1


def test_recordings_of_the_original_are_looked_at_and_nothing_is_drafted(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    sky_it = (rng.random((60, 6)) < 0.5) & (rng.random(60) < 0.5)[:, None]
    acts = np.zeros((60, 2, 7, 12), np.float32)
    acts[:, 1, 1:, SKY] = sky_it
    shards = write_original(tmp_path / "saev/shards/0a1b2c3d", acts, layers=[3, 7], labels=sky_it.astype(np.uint8))
    sae = saev.ReLU(12, 12)
    for name in ("W_enc", "W_dec"):
        getattr(sae, name).data.copy_(torch.eye(12))
    saev.save(sae, tmp_path / "sae")
    out, given = tmp_path / "out", [f"--sae={tmp_path / 'sae'}", f"--shards={shards}", "--layer=7", "--device=cpu"]
    assert main(["probe", "propose", *given, f"--out={out}"]) == 0
    said = capsys.readouterr().err
    assert said.index("neither names nor digests of its pictures") < said.index("encoding")
    assert "no latent has a q" not in said
    assert best(out, "patch", "label 1")["q"] < 1e-4
    assert not (out / "hypotheses.json").exists()


def test_tables_and_folders_that_do_not_belong_to_the_pictures(
    planted: Planted, tmp_path: Path, capsys: Capture
) -> None:
    def table(name: str, *lines: str) -> str:
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        return f"--metadata={tmp_path / name}.csv"

    names, out = planted.names, tmp_path / "out"
    whole = [f"{name},{i % 2}" for i, name in enumerate(names)]
    words = ",".join(f"c{column}" for column in range(40))
    texts = [f"{name}," + ",".join(f"a bird {i} of {column}" for column in range(40)) for i, name in enumerate(names)]
    for task, some in (("lone-positive", names[:2]), ("strange-positive", ["x"]), ("strange-negative", ["y"])):
        for number, name in enumerate(some):
            path = tmp_path / task.split("-")[0] / task / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    for options, said in (
        ([table("unknown", "path,odd", *whole, "unicorn/1.png,1")], "1 of 241 rows are of pictures that were not"),
        ([table("twice", "path,odd", *whole, whole[0])], f"lines 2 and 242 are both of {names[0]!r}"),
        ([table("semicolons", "path;odd")], "separate cells by commas"),
        ([table("few", "path,odd", *whole[:6]), "--labels=[]"], "1 units with it, 2 are needed"),
        ([table("texts", f"path,{words}", *texts), "--labels=[]"], "free text"),
        ([table("sites", "path,place", *(f"{name},all" for name in names)), "--labels=[]"], "no column tells pictures"),
        ([table("place", "path,odd,place", *(f"{one},x" for one in whole)), "--group=place"], "all fall into one half"),
        ([f"--labels={tmp_path / 'lone'}"], "task 'lone' has no folder lone-negative"),
        ([f"--labels={tmp_path / 'strange'}"], "none of the 1 pictures in strange-positive was recorded"),
    ):  # fmt: skip
        assert main(command(planted, out, *options)) == 1, options
        assert said in capsys.readouterr().err.splitlines()[-1]
        assert not out.exists()


def test_pictures_of_one_class_and_saes_of_other_layers(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    records = [ExampleRecord(f"cow/{i}.png", "cow", 8, 8, 100, digest(str(i))) for i in range(40)]
    recording = make_recording(40, TokenLayout(False, 0, (2, 2)), 12, "float32", 200)
    shards, out = record(tmp_path / "shards", recording, torch.rand(40, 4, 12), examples=records), tmp_path / "out"
    sae = saev.load(planted.sae)
    sae.provenance = saev.Provenance([replace(RecordedLayer.of(saev.open_shards(planted.shards).recording), layer=3)])
    saev.save(sae, tmp_path / "layer 3")
    saev.save(saev.ReLU(16, 12), tmp_path / "wide")
    for options, said in (
        ([f"--shards={shards}", "--labels=image"], "all labelled pictures are 'cow'"),
        ([f"--shards={shards}", "--labels=patch"], "no patch labels were recorded"),
        ([f"--shards={shards}"], "pictures have neither labels nor masks"),
        ([f"--sae={tmp_path / 'layer 3'}"], "trained on layer 3"),
        ([f"--sae={tmp_path / 'wide'}"], "16"),
    ):
        assert main(command(planted, out, *options)) == 1, options
        assert said in one_line(capsys.readouterr().err)
        assert not out.exists()


def test_a_gallery_of_the_proposal_half_counts_no_picture_of_the_test(
    planted: Planted, tmp_path: Path, capsys: Capture
) -> None:
    given = [f"--sae={planted.sae}", f"--data.shards={planted.shards}", "--device=cpu", "--visualizer.n_latents=2"]
    half = ["--proposal_half=3", "--group=[site]", f"--metadata={planted.table}"]
    assert main(["render", *given, *half, f"--out={tmp_path / 'out'}"]) == 0
    reader = saev.open_shards(planted.shards)
    units = Units.of(reader.examples(), [read_metadata(planted.table, reader.examples()).column("site")])
    n = int((~units.halves(3)).sum())
    images = saev.probing.proposal_images(planted.shards, 3, ["site"], planted.table)
    saev.render({"a": planted.sae}, reader, tmp_path / "out" / "python", images=images, n_latents=2, device="cpu")
    pages = [overview.read_text() for overview in (tmp_path / "out").rglob("data/overview.js")]
    assert len(pages) == 2
    for page in pages:
        assert f'["images","{n} of {reader.n_examples} (proposal half of seed 3, by site)"]' in page
        assert '"half":{"seed":3,"group":["site"]}' in page
    with pytest.raises(InputError, match="none of the images that are to be looked at"):
        saev.render({"a": planted.sae}, reader, tmp_path / "more", images=[], device="cpu")
    capsys.readouterr()
    assert main(["render", *given, "--group=[site]", f"--out={tmp_path / 'none'}"]) == 1
    assert "--group site has no use without --proposal_half" in one_line(capsys.readouterr().err)
