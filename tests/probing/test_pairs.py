"""Hypotheses on pairs of pictures, by the commands alone: a tiny ViT, and latents of which one fires on red.

Red pictures have a left half of reddish noise, plain ones are grey noise. Latent 0 fires on red, latent 1 on all,
latent 2 on what is not red.
"""

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.fitting import one_line
from tests.probing.paired import (
    ALL,
    IN_WORDS,
    RED,
    SILENT,
    VIT,
    N,
    Study,
    by_name,
    drawn_in,
    reddened,
    results,
    save,
)

import saev
from saev.artifacts import Provenance, save_sae
from saev.errors import InputError
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Latents
from saev.probing.hypotheses.ledger import read_ledger
from saev.probing.pictures.units import in_test_half
from saev.probing.sets.files import read_set
from saev.probing.sets.paired_set import read_pairs

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def study(tmp_path: Path, drawn: Study) -> Study:
    """The study beside ledgers of its own."""
    shutil.copytree(drawn.root, tmp_path / "study", symlinks=True)
    return Study(tmp_path / "study", tmp_path / "study/shards" / drawn.shards.name)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return drawn_in(tmp_path_factory.mktemp("red"))


def test_an_edit_that_takes_the_attribute_away_is_told_from_placebos_and_from_edits_that_do_not(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    hypotheses, sets = study.freeze("frozen", RED, ALL), tmp_path / "sets"
    edits = ["--edits=[grey, object-removed]", "--kept_edits=[mirrored, hue, background-swapped]"]
    assert study.build(hypotheses, sets, *edits, f"--masks={study.root / 'masks'}") == 0
    red, everything = results(study, hypotheses, sets, tmp_path / "report", capsys)
    assert red.verdict == "confirmed"
    pairs = read_pairs(sets / "red", read_set(sets / "red"))
    assert pairs is not None
    assert pairs.recipe["object"] == "red"
    [cut] = (one for one in pairs.edits if one.name == "object-removed")
    with Image.open(sets / "red/pairs/object-removed" / f"{cut.pairs[0].id}.png") as picture:
        after = np.asarray(picture)
    with Image.open(sets / "red/pairs/before" / f"{cut.pairs[0].id}.png") as picture:
        is_same = (np.asarray(picture) == after).all(axis=2)
    assert is_same[:, 16:].all()  # another object stays
    assert not is_same[:, :16].any()
    found = by_name(red)
    assert {name: one.finding for name, one in found.items()} == {
        "grey": "as claimed",
        "object-removed": "as claimed",
        "mirrored": "as claimed",
        "hue": "not as claimed",
        "background-swapped": "as claimed",
    }
    grey = found["grey"]
    assert grey.n == red.n_positive == len(list((sets / "red/pairs/before").iterdir()))
    assert (grey.fires_before, grey.fires_after, grey.share_as_claimed) == (1.0, 0.0, 1.0)
    assert grey.fires_placebo > 0.9
    assert grey.low < grey.effect < grey.high < -0.5
    assert grey.effect == pytest.approx(grey.after - grey.placebo)
    assert grey.reference == grey.before
    assert grey.p is not None
    # Two edits have a p, and the file has two hypotheses.
    assert grey.p_corrected == pytest.approx(4 * grey.p)
    assert grey.placebo_strength == pytest.approx(grey.strength, rel=0.05)
    assert found["mirrored"].p is None
    assert found["mirrored"].effect == pytest.approx(found["mirrored"].after - found["mirrored"].before)
    assert by_name(everything)["grey"].finding == "not as claimed"
    assert by_name(everything)["mirrored"].finding == "as claimed"

    rows = list(csv.DictReader((tmp_path / "report/edits.csv").read_text().splitlines()))
    assert [(row["id"], row["name"]) for row in rows[:2]] == [("red", "grey"), ("red", "object-removed")]
    assert float(rows[0]["effect"]) == grey.effect
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "report")).Reload()
    assert events.Scalars("edit_effect/red/grey")[0].value == pytest.approx(grey.effect)
    page = (tmp_path / "report/index.html").read_text(encoding="ascii")
    section = page[page.index('id="hypothesis-red"') : page.index('id="hypothesis-all"')]
    assert section.count('<div class="examples pair">') == 10
    assert "gone, or another picture" not in section
    assert "silent &middot; grey" in section

    again = results(study, hypotheses, sets, tmp_path / "again", capsys)[0]
    assert [replace(one, finding="") for one in again.edits] == [replace(one, finding="") for one in red.edits]
    assert {one.finding for one in again.edits} == {"undecided"}


def test_pairs_of_two_folders_and_a_claim_that_latents_are_silent(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    hypotheses, sets = study.freeze("frozen", RED, SILENT), tmp_path / "sets"
    folders = [f"--pairs_without={study.root / 'without'}", f"--pairs_with={study.root / 'with'}"]
    assert study.build(hypotheses, sets, "--edits=[grey]", *folders) == 0
    red, silent = results(study, hypotheses, sets, tmp_path / "report", capsys)
    added, removed = by_name(red)["folders"], by_name(silent)["grey"]
    assert (added.expected, added.n, added.finding) == ("adds", 12, "as claimed")
    assert added.low > 0.5
    assert added.fires_before == added.fires_placebo == 0.0
    assert added.reference == 0.4  # the originals should be silent, so that the threshold is what counts
    assert (removed.fires_before, removed.fires_after, removed.finding) == (0.0, 1.0, "as claimed")
    assert removed.effect > 0
    assert by_name(silent)["folders"].effect < 0
    assert by_name(silent)["folders"].finding == "as claimed"
    tested = (study.root / "shards/tested.jsonl").read_text()
    pairs = read_pairs(sets / "red", read_set(sets / "red"))
    assert pairs is not None
    assert all(source[:12] in tested for source in pairs.sources)
    first = json.loads(tested.splitlines()[0])
    assert first["attribute"] == "label: red"
    first["pictures"] = sorted(source[:12] for one in pairs.edits[1].pairs for source in one.sources)
    (study.root / "shards/tested.jsonl").write_text(f"{json.dumps(first)}\n")
    capsys.readouterr()
    assert study.build(hypotheses, tmp_path / "with the same pairs", *folders) == 0
    n = len(read_set(tmp_path / "with the same pairs/red").pictures) + 24
    assert f"red: 24 of its {n} pictures were tested on for it before" in capsys.readouterr().err


def test_of_pictures_that_people_label_those_with_the_attribute_count(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    hypotheses, sets = study.freeze("frozen", IN_WORDS), tmp_path / "sets"
    options = ["--edits=[grey]", "--kept_edits=[background-swapped]", f"--masks={study.root / 'masks'}"]
    assert study.build(hypotheses, sets, *options, "--n_pairs=20") == 0
    made = read_set(sets / "in-words")
    pairs = read_pairs(sets / "in-words", made)
    assert pairs is not None
    n_grey, n_swapped = (len(edit.pairs) for edit in pairs.edits)
    said = capsys.readouterr().err
    assert f"in-words: pairs: {n_grey} of grey, {n_swapped} of background-swapped; no class of the masks is" in said
    assert pairs.recipe["object"] is None
    # Grey pictures stay as they are without colour.
    assert pairs.recipe["left_out"]["grey"] == 20 - len(pairs.edits[0].pairs) > 0
    rows = [f"{one.id},{'yes' if one.path.startswith('red') else 'no'},2,{made.digest}" for one in made.pictures]
    answers = tmp_path / "answers.csv"
    answers.write_text("\n".join(["picture,answer,seconds,set", *rows]) + "\n")
    [found] = results(study, hypotheses, sets, tmp_path / "report", capsys, f"--answers={answers}")
    is_red = {one.id: one.path.startswith("red") for one in made.pictures}
    swapped = [one for one in pairs.edits[1].pairs if one.background is not None and not is_red[one.background]]
    assert by_name(found)["grey"].n == sum(is_red[one.id] for one in pairs.edits[0].pairs)
    assert by_name(found)["background-swapped"].n == sum(is_red[one.id] for one in swapped)
    assert by_name(found)["grey"].finding == "as claimed"
    originals = {one.before for one in (*pairs.edits[0].pairs, *swapped) if is_red[one.id]}
    n_files = len(originals) + 2 * by_name(found)["grey"].n + 2 * by_name(found)["background-swapped"].n
    assert f"{n_files} pictures were never recorded" in capsys.readouterr().err  # only what counts goes through the ViT


def test_pairs_have_codes_of_the_tokens_that_the_recording_was_encoded_for(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    sae = saev.load(study.root / "sae")
    shutil.rmtree(study.root / "sae")
    save_sae(sae, study.root / "sae", Provenance([VIT]))  # which does not say what tokens it takes
    hypotheses, sets = (
        study.freeze("frozen", replace(RED, tokens="registers", latents=Latents((2,), (), (0.4,)))),
        tmp_path / "sets",
    )
    saev.encode(study.root / "sae", study.shards, tmp_path / "codes", tokens="all", device="cpu")
    codes = f"--codes={tmp_path / 'codes'}"
    assert study.build(hypotheses, sets, "--edits=[grey]", "--kept_edits=[mirrored]", codes) == 0
    [found] = results(study, hypotheses, sets, tmp_path / "report", capsys, codes)
    mirrored = by_name(found)["mirrored"]
    # Originals go through the ViT again, and get the values that they had.
    recorded = saev.encode(study.root / "sae", study.shards, tokens="registers", device="cpu")
    own = {one.image for one in read_set(sets / "red").pictures if one.label}
    assert mirrored.n == len(own)
    values_b = recorded.of_images(sorted(own)).dense()[:, :, 2].max(1)
    assert mirrored.before == pytest.approx(values_b.mean(), rel=1e-4)
    assert mirrored.before > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--edits=[gray]"], "edit 'gray' is unknown: choose from grey, hue, blurred"),
        (["--edits=[grey]", "--kept_edits=[grey]"], "edit 'grey' is named twice"),
        (["--edits=[cut-out]"], "edit 'cut-out' needs to know where the object is: give masks"),
        (["--edits=[grey]", "--masks={root}/masks"], "masks are given, and only object-removed, cut-out"),
        (["--edits=[cut-out]", "--masks={root}/nowhere"], "nowhere: there is no such folder"),
        (["--edits=[cut-out]", "--masks={root}/empty"], "'empty/red/"),
        (["--edits=[cut-out]", "--masks={root}/small"], "is 16 x 16 pixels, the picture 32 x 32"),
        (["--edits=[cut-out]", "--masks={root}/blank"], "hypothesis red: edit 'cut-out': only 0 can be made of"),
        (["--edits=[grey]", "--n_pairs=5"], "n_pairs=5: of fewer than 6 pairs"),
        (["--pairs_with={root}/with"], "need both: pairs_without and pairs_with"),
        (["--pairs_without={root}/without", "--pairs_with={root}/images"], "12 of 12 pictures have no counterpart"),
        (["--pairs_without={root}/images/red", "--pairs_with={root}/images/plain"], "of the half that proposed"),
        (["--pairs_without={root}/without", "--pairs_with={root}/without"], "only 0 can be made of 12"),
    ],
)
def test_what_makes_no_pairs_is_refused_and_no_set_is_written(
    options: list[str], said: str, study: Study, tmp_path: Path, capsys: Capture
) -> None:
    (study.root / "empty").mkdir()
    for number in range(N):
        for folder, side in (("small", 16), ("blank", 32)):
            save(study.root / folder / "red" / f"{number}.png", Image.new("L", (side, side)))
    hypotheses = study.freeze("frozen", RED)
    capsys.readouterr()
    assert study.build(hypotheses, tmp_path / "sets", *(one.format(root=study.root) for one in options)) == 1
    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "sets").exists() or not list((tmp_path / "sets").iterdir())


def test_folders_of_one_attribute_do_not_go_with_hypotheses_on_two(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    hypotheses = study.freeze("frozen", RED, replace(ALL, attribute=AttributeName("label", "plain")))
    folders = [f"--pairs_without={study.root / 'without'}", f"--pairs_with={study.root / 'with'}"]
    assert study.build(hypotheses, tmp_path / "sets", *folders) == 1
    assert "the hypotheses are on 2 (label: plain, label: red)" in one_line(capsys.readouterr().err)


def test_pairs_of_recorded_pictures_are_of_the_groups_of_these(study: Study, tmp_path: Path) -> None:
    sites = {f"{name}/{number}.png": number // 6 for name in ("red", "plain") for number in range(N)}
    (tmp_path / "table.csv").write_text("\n".join(["path,site", *(f"{path},{site}" for path, site in sites.items())]))
    own = {path for path, site in sites.items() if path.startswith("plain") and in_test_half(f"site={site}", 0)}
    for path in own:
        with Image.open(study.root / "images" / path) as picture:
            save(tmp_path / "with" / path, reddened(picture.convert("RGB")))
        (tmp_path / "without/plain").mkdir(parents=True, exist_ok=True)
        shutil.copy(study.root / "images" / path, tmp_path / "without" / path)
    content_id, halves = saev.open_shards(study.shards).recording.content_id, Halves(0, ("site",))
    frozen = Draft((RED,), halves=halves).frozen(saev.load(study.root / "sae"), content_id, datetime.now(UTC))
    frozen.write(tmp_path / "frozen.json")
    folders = [f"--pairs_without={tmp_path / 'without'}", f"--pairs_with={tmp_path / 'with'}"]
    table = f"--metadata={tmp_path / 'table.csv'}"
    assert study.build(tmp_path / "frozen.json", tmp_path / "sets", *folders, table) == 0
    pairs = read_pairs(tmp_path / "sets/red", read_set(tmp_path / "sets/red"))
    assert pairs is not None
    assert {one.name: one.group for one in pairs.edits[0].pairs} == {
        path.removesuffix(".png"): f"site={sites[path]}" for path in own
    }


def test_pairs_that_were_edited_or_are_gone_are_refused_and_the_set_is_not_spent(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    hypotheses, sets = study.freeze("frozen", RED), tmp_path / "sets"
    assert study.build(hypotheses, sets, "--edits=[grey]") == 0
    own = sets / "red"
    text = (own / "pairs.json").read_text()
    value = json.loads(text)
    picture = own / "pairs/grey" / f"{value['edits'][0]['pairs'][0]['id']}.png"
    content = picture.read_bytes()

    def refused(said: str) -> None:
        capsys.readouterr()
        assert study.test(hypotheses, sets, tmp_path / "report") == 1
        assert said in capsys.readouterr().err.splitlines()[-1]
        assert not (tmp_path / "report").exists()
        assert read_ledger(own) == []

    pairs = read_pairs(own, read_set(own))
    assert pairs is not None
    with pytest.raises(InputError, match="each is one of saev's, or 'folders'"):
        replace(pairs, edits=(replace(pairs.edits[0], name="before"),))  # whose files would be the originals
    value["edits"][0]["expected"] = "keeps"
    (own / "pairs.json").write_text(json.dumps(value))
    refused("pairs.json was edited after it was built")
    (own / "pairs.json").unlink()
    refused("pairs.json")
    (own / "pairs.json").write_text(text)
    Image.new("RGB", (32, 32)).save(picture)
    refused("is not the picture any more that was built")
    picture.unlink()
    refused(picture.name)
    picture.write_bytes(content)
    assert results(study, hypotheses, sets, tmp_path / "report", capsys)[0].verdict == "confirmed"
