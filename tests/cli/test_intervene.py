"""`saev probe intervene` on a tiny ViT with planted latents, and on a tiny CLIP."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.browsing import Open
from tests.cli.fitting import one_line
from tests.cli.intervening import QUICK, argv, planted_in
from tests.probing.interventions.planted import (
    CAUSAL,
    CORRELATED,
    D_SAE,
    LAST,
    SILENT,
    VIT,
    D,
    backbone,
    images_of,
)

import saev
from saev.artifacts import Provenance, save_sae
from saev.cli.main import main
from saev.errors import InputError
from saev.nn import ReLU
from saev.splicing.interventions_file import read_interventions

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_in(tmp_path_factory.mktemp("planted"))


def result(options: list[str], capsys: Capture) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """What interventions.json says, and the lines of effects.csv by figure."""
    capsys.readouterr()
    status = main(options)
    out, err = capsys.readouterr()
    assert status == 0, err
    assert err.count("plan: ") == err.count("\nintervening: 100%") == 1, "no terminal: one line at its end"
    directory = Path(out.splitlines()[-1])
    assert sorted(path.name for path in directory.iterdir()) == ["effects.csv", "index.html", "interventions.json"]
    rows: dict[str, list[dict[str, str]]] = {}
    with (directory / "effects.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["figure"], []).append(row)
    found = json.loads((directory / "interventions.json").read_text())
    read = read_interventions(directory)
    assert list(read.latents) == found["edit"]["latents"]
    assert [(one.figure, one.effect.mean, one.specific) for one in read.effects] == [
        (one["figure"], one["effect"]["mean"], one["specific"]) for one in found["effects"]
    ]
    return found, rows


def effect(found: dict[str, Any], figure: str) -> dict[str, Any]:
    (row,) = (one for one in found["effects"] if one["figure"] == figure)
    return row


@pytest.mark.parametrize("change", [("--edit=scale", "--value=1"), (), ("--edit=add", "--value=0")])
def test_without_a_change_the_pass_is_the_untouched_one_bit_for_bit(
    change: tuple[str, ...], root: Path, tmp_path: Path, capsys: Capture
) -> None:
    latents = [CAUSAL, CORRELATED] if change else [SILENT]
    head = f"--head={root / 'whole.safetensors'}"
    found, rows = result(argv(root, tmp_path / "o", latents, *change, head, "--n_images=20", *QUICK), capsys)
    assert found["n_changed"] == 0
    for lines in rows.values():
        assert [row["edited"] for row in lines] == [row["untouched"] for row in lines]
    assert {one["effect"]["p"] for one in found["effects"]} == {None, 1}
    assert effect(found, "embedding: cosine")["effect"]["p"] is None, "from 1 it can only fall"
    assert not any(one["specific"] for one in found["effects"])
    # The head gives the whole embedding, which is that of the ViT alone.
    vit = backbone()
    names, images = images_of(root / "pictures", vit)
    measured = [row["picture"] for row in rows["head: output 0"]]
    with torch.no_grad():
        expected = vit.embed(torch.stack([images[names.index(name)] for name in measured]))
    for output in range(D):
        values = [float(row["edited"]) for row in rows[f"head: output {output}"]]
        assert values == expected[:, output].tolist()


def test_a_causal_latent_is_told_from_one_that_fires_alike(root: Path, tmp_path: Path, capsys: Capture) -> None:
    head = f"--head={root / 'head.safetensors'}"
    causal, rows = result(argv(root, tmp_path / "a", [CAUSAL], head, "--curves=[]", "--n_maps=0"), capsys)
    other, _ = result(argv(root, tmp_path / "b", [CORRELATED], head, "--curves=[]", "--n_maps=0"), capsys)
    name = "head: output 0"
    assert causal["latents"][0]["frequency"] == other["latents"][0]["frequency"]
    assert causal["n_changed"] == other["n_changed"] > 0
    assert effect(causal, name)["specific"]
    assert not effect(other, name)["specific"]
    assert effect(causal, name)["effect"]["p_corrected"] < 0.05
    said = [(tmp_path / one / "index.html").read_text() for one in ("a", "b")]
    assert "Moves more than along random latents: <bdi>head: output 0</bdi> (-" in said[0]
    assert "Nothing moves more than along random latents." in said[1]
    # The embedding is the mean of the patches, so that it loses the mean code times the direction, and nothing else.
    sae, vit = saev.load(root / "sae"), backbone()
    names, images = images_of(root / "pictures", vit)
    with torch.no_grad(), saev.attach(vit, sae, LAST) as inside:
        mean_n = inside.codes(images)[..., CAUSAL].mean(1)
    for row in rows[name]:
        lost = float(row["untouched"]) - float(row["edited"])
        assert lost == pytest.approx(float(mean_n[names.index(row["picture"])]), abs=1e-5)
    assert effect(other, name)["effect"]["mean"] == pytest.approx(0, abs=1e-5)
    for found in (causal, other):
        assert len(found["random_latents"]) == 20
        for row in found["effects"]:
            assert np.mean(row["random_effects"]) == pytest.approx(row["random"] - row["untouched"], abs=1e-9)
        assert effect(found, name)["random_bound"] < abs(effect(causal, name)["effect"]["mean"]) / 2
        # The change along random latents is as large: the embedding's cosine falls about as much.
        cosine = effect(found, "embedding: cosine")
        assert cosine["effect"] == {"mean": cosine["effect"]["mean"]} | dict.fromkeys(
            ("low", "high", "p", "p_corrected")
        )
        assert 1 - cosine["random"] == pytest.approx(1 - cosine["edited"], rel=0.5)


def test_a_mask_says_where_and_segmentation_is_measured(root: Path, tmp_path: Path, capsys: Capture) -> None:
    masks = (f"--masks={root / 'masks'}", f"--head={root / 'head.safetensors'}", "--target=left")
    more = ("--tokens=mask", "--edit=add", "--value=2", *QUICK)
    found, _ = result(argv(root, tmp_path / "m", [CAUSAL], *masks, *more), capsys)
    assert found["edit"] == {"latents": [CAUSAL], "how": "add", "value": 2.0, "tokens": "mask"}
    # Two of four patches get 2 times the direction that the head reads.
    assert effect(found, "head: output 0")["effect"]["mean"] == pytest.approx(1, abs=1e-4)
    assert {row["figure"] for row in found["effects"]} >= {
        f"segmentation: {one}" for one in ("all", "target", "others")
    }
    places, _ = result(argv(root, tmp_path / "p", [CAUSAL], *masks, *more, "--tokens=[0, 2]"), capsys)
    assert places["effects"] == found["effects"]


def test_curves_maps_and_the_page(root: Path, tmp_path: Path, capsys: Capture) -> None:
    options = ("--curves=[1, 3, 60]", "--n_maps=2", "--n_random=2", "--block=1", "--target=bright")
    found, _ = result(argv(root, tmp_path / "c", [CAUSAL, SILENT], *options), capsys)
    curves = found["curves"]
    assert curves["ks"] == [1, 3], "60 of 96 latents leave too few to compare with"
    assert curves["latents"]["bright"][0] in (CAUSAL, CORRELATED)
    assert [row["class"] for row in curves["rows"]] == [None, "bright", "dark"]
    for row in curves["rows"]:
        assert len(row["off"]) == len(row["alone_random"]) == 2
    assert found["accuracy"]["probe"]["untouched"] == 1
    for figure in ("probe: own class", "embedding: cosine"):
        parts = [effect(found, f"{figure}, {one}") for one in ("target", "others")]
        assert sum(part["n"] for part in parts) == effect(found, figure)["n"] == found["n_measured"]
    assert found["notes"] == []
    # The strongest pictures of the latent that fires, and none of the one that never does.
    assert [one["latent"] for one in found["maps"]] == [CAUSAL, CAUSAL]
    sae, vit = saev.load(root / "sae"), backbone()
    names, images = images_of(root / "pictures", vit)
    one = found["maps"][0]
    image = images[names.index(one["picture"])]
    grey = image.clone()
    grey[:, 16:, :16] = 0
    with torch.no_grad(), saev.attach(vit, sae, LAST) as inside:
        f_p = inside.codes(image[None])[0, :, CAUSAL]
        hidden = inside.codes(grey[None])[0, :, CAUSAL]
    np.testing.assert_allclose(one["fires"], f_p.reshape(2, 2), rtol=1e-5)
    assert one["drop"][1][0] == pytest.approx(float(f_p.max() - hidden.max()), abs=1e-5)
    page = (tmp_path / "c" / "index.html").read_text()
    assert "Latents 0, 2 switched off" in page
    specific = [row["figure"] for row in found["effects"] if row["specific"]]
    assert ("Moves more than along random latents: " in page) == bool(specific)
    assert page.count("data:image/jpeg") == 6
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_what_is_missing_of_a_rare_target_is_said(root: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(root / "pictures", tmp_path / "pictures")
    (tmp_path / "pictures" / "own").mkdir()
    Image.new("RGB", (32, 32), "red").save(tmp_path / "pictures" / "own" / "0.png")
    options = [f"--images={tmp_path / 'pictures'}", "--target=own", *QUICK]
    said = {}
    for seed in range(4):  # In some the one picture of the target is measured, in others the probe learns from it.
        found, _ = result(argv(root, tmp_path / f"{seed}", [CAUSAL], *options, f"--seed={seed}"), capsys)
        figures = {row["figure"] for row in found["effects"]}
        said["embedding: cosine, target" in figures] = found["notes"]
        assert ("embedding: cosine, others" in figures) == ("embedding: cosine, target" in figures)
        assert "probe: own class" in figures and not {"probe: own class, target", "probe: own class, others"} & figures
        page = (tmp_path / f"{seed}" / "index.html").read_text()
        assert found["notes"] and all(note in page for note in found["notes"])
    assert said[False] == ["no measured picture is of own, so that no figure of it stands apart: give more pictures"]
    assert len(said[True]) == 2 and "too few pictures of own in the half that the probe learns from" in said[True][1]


def test_the_same_command_gives_the_same_files(root: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("1", "2"):
        result(argv(root, tmp_path / name, [5], "--curves=[2]", "--n_maps=1", "--n_random=2", "--n_images=24"), capsys)
    for name in ("interventions.json", "effects.csv", "index.html"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_what_is_no_intervention_is_refused(root: Path, tmp_path: Path, capsys: Capture) -> None:
    found, _ = result(argv(root, tmp_path / "o", [CAUSAL], "--n_images=20", *QUICK), capsys)
    path = tmp_path / "o" / "interventions.json"
    changes: list[tuple[Callable[[dict[str, Any]], object], str]] = [
        (
            lambda v: v.update(version=1),
            "holds no interventions of version 2: give what `saev probe intervene` printed",
        ),
        (lambda v: v.update(more=1), r"unknown keys \['more'\]"),
        (lambda v: v.pop("curves"), r"missing keys \['curves'\]"),
        (lambda v: v["edit"].update(latents=[-1]), "edit: 'latents' must be a list of 1 integers of at least 0"),
        (lambda v: v["edit"].update(latents=[]), "edit: 'latents' must be a list of 1 integers"),
        (lambda v: v["edit"].update(tokens="some"), "edit: 'tokens' must be one of all, mask"),
        (lambda v: v["effects"][0].update(specific=1), r"effects\[0\]: 'specific' must be true or false"),
        (lambda v: v["effects"][0]["effect"].pop("p"), r"effects\[0\]: effect: missing keys \['p'\]"),
        (lambda v: v.update(maps={}), "'maps' must be a list"),
    ]
    for change, message in changes:
        value = json.loads(json.dumps(found))
        change(value)
        path.write_text(json.dumps(value))
        with pytest.raises(InputError, match=message):
            read_interventions(tmp_path / "o")


@pytest.mark.browser
def test_a_gallery_says_what_the_vit_does_with_a_latent(
    root: Path, tmp_path: Path, capsys: Capture, open_page: Open
) -> None:
    head = (f"--head={root / 'head.safetensors'}", "--curves=[]", "--n_maps=0", "--tokens=[0, 1]")
    found, _ = result(argv(root, tmp_path / "an edit", [CAUSAL], *head), capsys)
    (shards,) = saev.record(root / "pictures", backbone(), [LAST], tmp_path / "shards")
    given = [f"--sae={root / 'sae'}", f"--data.shards={shards}", f"--visualizer.include_latents=[{CAUSAL}]"]
    edit = f"--interventions=[{tmp_path / 'an edit'}]"
    assert main(["render", *given, edit, "--visualizer.n_latents=1", f"--out={tmp_path / 'out'}"]) == 0
    page = open_page(tmp_path / "out" / "features" / "sae" / "index.html")
    page.evaluate(f"location.hash = '#latent={CAUSAL}'")
    panel = page.locator("#latent .panel:has(h2:text-is('What the ViT does with it'))")
    panel.wait_for()
    assert f"Latent {CAUSAL} switched off on some tokens" in panel.inner_text()
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in panel.locator("tbody tr").all()
    }
    assert set(rows) == {row["figure"] for row in found["effects"]}
    row = effect(found, "head: output 0")
    change = float(f"{-row['effect']['mean']:.2g}")
    assert rows["head: output 0"] == [f"{row['untouched']:.3f}", f"\N{MINUS SIGN}{change}", "\N{CHECK MARK} yes"]
    assert next(iter(rows)) in {one["figure"] for one in found["effects"] if one["specific"]}
    panel.locator("a").click()
    page.wait_for_selector(f"h1:text-is('Latent {CAUSAL} switched off')")
    other = tmp_path / "other"
    save_sae(ReLU(D, D_SAE), other, Provenance([VIT], tokens="content"))
    capsys.readouterr()
    given[0] = f"--sae={other}"
    assert main(["render", *given, edit, f"--out={tmp_path / 'none'}"]) == 1
    assert "which is none of these SAEs" in one_line(capsys.readouterr().err)
