"""`saev probe freeze` from notes, candidates, files and the command line."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.fitting import one_line
from tests.probing.planted import ADULT, EITHER, OTHER, ZEBRA, Planted, plant
from tests.shards.original_saev import write_original

import saev
from saev.cli.main import main
from saev.probing.hypotheses.reading import read_frozen
from saev.vit.weights import weights_digest

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def candidates(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("candidates") / "out"
    saev.probing.propose(
        planted.sae, planted.shards, out, metadata=planted.table, group=["site"], n_permutations=10, device="cpu"
    )
    return out


def freeze(planted: Planted, out: Path, *options: str) -> dict[str, Any]:
    """Frozen hypotheses, by id, and what is said of all."""
    assert main(command(planted, out, *options)) == 0
    frozen = read_frozen(out).to_dict()
    assert isinstance(frozen["hypotheses"], list)
    return {**frozen, **{one["id"]: one for one in frozen["hypotheses"]}}


def command(planted: Planted, out: Path, *options: str) -> list[str]:
    given = [f"--sae={planted.sae}", f"--shards={planted.shards}", f"--out={out}", "--device=cpu"]
    return ["probe", "freeze", *given, *options]


def test_a_claim_in_words_on_one_latent(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "mine.json"
    found = freeze(planted, out, "--latents=[0]", "--claim=stripes", "--smallest_effect=.3", "--alpha=.01", "--seed=3")
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert re.search(
        r"latent-0: threshold [0-9.]+, chosen without labels, fires on [0-9.]+ % of the proposal", said.err
    )
    one = found["latent-0"]
    assert (one["text"], one["claim"], one["attribute"]) == (
        "stripes",
        "fires on",
        {"source": "words", "name": "stripes"},
    )
    assert (one["pooling"], one["tokens"], one["smallest_effect"]) == ("max", "content", 0.3)
    assert (found["alpha"], found["halves"]["seed"], found["halves"]["columns"]) == (0.01, 3, [])
    assert 0 < one["thresholds"][0] < 2

    again = command(planted, out, "--latents=[0]", "--claim=stripes")
    assert main(again) == 1
    assert "is there already: what is frozen is not overwritten" in one_line(capsys.readouterr().err)


def test_the_threshold_is_the_best_of_the_proposal_half(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    found = freeze(planted, tmp_path / "a.json", f"--latents=[{ZEBRA}]", "--attribute=label:zebra")
    assert 1 < found[f"latent-{ZEBRA}"]["thresholds"][0] < 2  # noise is below 1
    assert found[f"latent-{ZEBRA}"]["text"] == "zebra"
    table = f"--metadata={planted.table}"
    found = freeze(
        planted, tmp_path / "b.json", f"--latents=[{ADULT}]", "--attribute=metadata:juvenile", table, "--does_not_fire"
    )
    assert found[f"latent-{ADULT}"]["claim"] == "does not fire on"
    assert 1 < found[f"latent-{ADULT}"]["thresholds"][0] < 2
    said = capsys.readouterr().err
    assert f"latent-{ZEBRA}: threshold" in said
    assert said.count("chosen by labels, fires on") == 2
    freeze(planted, tmp_path / "c.json", f"--latents=[{ZEBRA}]", "--claim=zebras", "--thresholds=[1]")
    assert "fires on" not in capsys.readouterr().err  # nothing was encoded


def test_latents_are_joined_for_an_attribute(planted: Planted, tmp_path: Path) -> None:
    options = ["--join=5", "--attribute=metadata:striped", f"--metadata={planted.table}", "--claim=striped animals"]
    found = freeze(planted, tmp_path / "a.json", *options)
    (one,) = found["hypotheses"]
    assert set(one["latents"]["any"]) == {EITHER, OTHER}
    assert one["text"] == "striped animals"


def test_a_draft_of_candidates_needs_neither_codes_nor_table(
    planted: Planted, candidates: Path, tmp_path: Path
) -> None:
    draft = json.loads((candidates / "hypotheses.json").read_bytes())
    found = freeze(planted, tmp_path / "a.json", f"--candidates={candidates}")
    assert found["hypotheses"] == draft["hypotheses"]
    assert found["halves"] == draft["halves"]
    assert (found["halves"]["seed"], found["halves"]["columns"]) == (0, ["site"])
    out = saev.probing.freeze(planted.sae, planted.shards, tmp_path / "python.json", candidates=candidates)
    assert read_frozen(out).to_dict()["hypotheses"] == draft["hypotheses"]
    found = freeze(
        planted, tmp_path / "b.json", f"--candidates={candidates}", "--only=label-zebra", "--smallest_effect=.4"
    )
    assert [(one["id"], one["smallest_effect"]) for one in found["hypotheses"]] == [("label-zebra", 0.4)]


def test_latents_of_candidates_keep_their_division(
    planted: Planted, candidates: Path, tmp_path: Path, capsys: Capture
) -> None:
    draft = json.loads((candidates / "hypotheses.json").read_bytes())
    label = "--attribute=label:zebra"
    for name, options in (("a", [f"--latents=[{ZEBRA}]", "--pooling=sum"]), ("b", ["--join=2"])):
        options += [label, f"--candidates={candidates}", f"--metadata={planted.table}"]
        assert freeze(planted, tmp_path / f"{name}.json", *options)["halves"] == draft["halves"]
    capsys.readouterr()
    found = freeze(planted, tmp_path / "c.json", f"--latents=[{ZEBRA}]", label)
    assert found["halves"]["division"] != draft["halves"]["division"]
    assert "pictures are divided with seed 0 and without groups: if you have looked" in capsys.readouterr().err


def test_candidates_without_a_draft_say_the_division_all_the_same(
    planted: Planted, candidates: Path, tmp_path: Path, capsys: Capture
) -> None:
    rng, out = np.random.default_rng(0), tmp_path / "out"
    rows = (f"{name},{rng.random() < 0.5},s{i // 4}" for i, name in enumerate(planted.names))
    (tmp_path / "luck.csv").write_text("\n".join(["path,luck,site", *rows]))
    saev.probing.propose(
        planted.sae, planted.shards, out, codes=candidates / "codes", labels=[], metadata=tmp_path / "luck.csv",
        group=["site"], seed=3, device="cpu",
    )  # fmt: skip
    options = [f"--candidates={out}", f"--latents=[{ZEBRA}]", "--claim=stripes", f"--metadata={planted.table}"]
    halves = freeze(planted, tmp_path / "a.json", *options)["halves"]
    assert (halves["seed"], halves["columns"]) == (3, ["site"])
    capsys.readouterr()
    for more, said in (
        ([f"--candidates={out}"], "has no draft, because no q was small enough"),
        ([f"--candidates={tmp_path}", *options[1:]], "is no table of `saev probe propose`"),
    ):
        assert main(command(planted, tmp_path / "b.json", *more)) == 1
        assert said in one_line(capsys.readouterr().err)


def test_a_table_may_only_say_what_belongs_together(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "specimens.csv"  # so many specimens are no categories
    table.write_text("\n".join(["path,specimen", *(f"{name},no. {i // 2}" for i, name in enumerate(planted.names))]))
    options = [f"--latents=[{ZEBRA}]", "--attribute=label:zebra", f"--metadata={table}", "--group=[specimen]"]
    found = freeze(planted, tmp_path / "a.json", *options)
    assert found["halves"]["columns"] == ["specimen"]
    said = "specimens.csv: its columns can say which pictures belong together, and nothing else"
    assert said in capsys.readouterr().err


def test_notes_and_a_draft_by_hand(planted: Planted, candidates: Path, tmp_path: Path) -> None:
    sae = saev.load(planted.sae)
    notes = {
        "format": "saev-notes", "version": 1, "sae": weights_digest(sae)[:16], "title": "x",
        "notes": [{"latent": 3, "star": True, "text": "sky"}, {"latent": 5, "star": True, "text": ""}],
    }  # fmt: skip
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    codes = f"--codes={candidates / 'codes'}"
    found = freeze(planted, tmp_path / "a.json", f"--notes={tmp_path / 'notes.json'}", codes, "--pooling=count")
    assert [(one["id"], one["pooling"]) for one in found["hypotheses"]] == [("latent-3", "count")]

    run_sae = tmp_path / "run" / "saes" / "mine"  # where `saev view` puts notes
    shutil.copytree(planted.sae, run_sae)
    in_run = replace(planted, sae=run_sae)
    assert main(command(in_run, tmp_path / "run.json", codes)) == 1
    (tmp_path / "run" / "notes").mkdir()
    claim = {"latent": 3, "claim": "clouds", "tags": ["sky"], "text": "sky", "more": 1}
    (tmp_path / "run" / "notes" / "mine.json").write_text(json.dumps(notes | {"version": 2, "notes": [claim]}))
    assert freeze(in_run, tmp_path / "run.json", codes)["latent-3"]["text"] == "clouds"

    (tmp_path / "draft.yaml").write_text(
        "format: saev-hypotheses\nversion: 1\nhypotheses:\n"
        "  - {latent: 0, attribute: {source: label, name: zebra}}\n"
        "  - {latents: {any: [1, 2], unless: [7]}, text: stripes, pooling: mean}\n"
    )
    found = freeze(planted, tmp_path / "b.json", f"--file={tmp_path / 'draft.yaml'}", codes)
    assert np.shape(found["latent-1-2-without-7"]["thresholds"]) == (3,)
    assert found["latent-0"]["thresholds"][0] > 1


def test_latents_that_a_gallery_may_have_chosen_are_warned_of(
    planted: Planted, tmp_path: Path, capsys: Capture
) -> None:
    notes = {"format": "saev-notes", "version": 1, "sae": weights_digest(saev.load(planted.sae))[:16], "title": "x",
             "notes": [{"latent": ZEBRA, "star": True, "text": "zebras"}]}  # fmt: skip
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    said = "without --proposal_half a gallery shows and counts pictures of both halves"
    for number, (options, is_warned) in enumerate((
        ([f"--notes={tmp_path / 'notes.json'}"], True),
        ([f"--latents=[{ZEBRA}]", "--attribute=label:zebra"], True),
        ([f"--latents=[{ZEBRA}]", "--claim=zebras"], False),
        (["--join=2", "--attribute=label:zebra"], False),
    )):  # fmt: skip
        freeze(planted, tmp_path / f"{number}.json", *options)
        assert (said in capsys.readouterr().err) == is_warned, options


def test_notes_of_a_gallery_of_one_half_say_how_pictures_are_divided(
    planted: Planted, tmp_path: Path, capsys: Capture
) -> None:
    notes = {"format": "saev-notes", "version": 1, "sae": weights_digest(saev.load(planted.sae))[:16], "title": "x",
             "half": {"seed": 3, "group": ["site"]},
             "notes": [{"latent": ZEBRA, "star": True, "text": "zebras"}]}  # fmt: skip
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    given, table = f"--notes={tmp_path / 'notes.json'}", f"--metadata={planted.table}"
    for number, options in enumerate(([], ["--seed=3", "--group=[site]"])):
        freeze(planted, tmp_path / f"{number}.json", given, table, *options)
        assert "without --proposal_half" not in capsys.readouterr().err
        halves = json.loads((tmp_path / f"{number}.json").read_text())["halves"]
        assert (halves["seed"], halves["columns"]) == (3, ["site"])
    for options in (["--seed=0"], ["--group=[]"]):
        assert main(command(planted, tmp_path / "none.json", given, table, *options)) == 1
        said = one_line(capsys.readouterr().err)
        assert "they are from a gallery of the proposal half of seed 3, group ['site']" in said
    assert not (tmp_path / "none.json").exists()


def test_refusals(planted: Planted, candidates: Path, tmp_path: Path, capsys: Capture) -> None:
    frozen = tmp_path / "frozen.json"
    freeze(planted, frozen, "--latents=[0]", "--claim=stripes", "--thresholds=[1]")
    edited = tmp_path / "edited.json"
    edited.write_text(frozen.read_text().replace("stripes", "spots"))
    one_class = tmp_path / "one.csv"
    one_class.write_text("\n".join(["path,rare", *(f"{name},{i == 7}" for i, name in enumerate(planted.names))]))
    sae = saev.ReLU(12, 12)
    saev.save(sae, tmp_path / "other")
    original = write_original(tmp_path / "saev/shards/0a1b2c3d", np.zeros((4, 2, 7, 12), np.float32), layers=[3, 7])
    candidate, words = f"--candidates={candidates}", ["--latents=[0]", "--claim=stripes"]
    for options, said in (
        ([], "give one of notes, names, candidates, file, latents, join: none is given"),
        ([candidate, "--join=3", "--latents=[0]"], "latents and join is given"),
        ([candidate, "--latents=[0]", "--seed=1"], "seed with candidates: the draft says it, leave it out"),
        ([candidate, "--claim=x"], "claim with candidates: it goes with latents or join, leave it out"),
        ([candidate, "--seed=0"], "seed with candidates: the draft says it, leave it out"),
        ([candidate, "--count_above=0"], "count_above with candidates: the draft says it, leave it out"),
        ([candidate, "--pooling=mean"], "pooling with candidates: the draft says it, leave it out"),
        ([candidate, "--only=nothing"], "there is no hypothesis 'nothing': there are label-"),
        ([candidate, f"--sae={tmp_path / 'other'}"], "the hypotheses are on the SAE"),
        (["--latents=[0]"], "say what the latents fire on"),
        (["--latents=[12]", "--claim=x"], "latent 12: the SAE has latents 0 to 11"),
        (["--latents=[0]", "--attribute=zebra"], "write SOURCE:NAME"),
        (
            ["--latents=[0]", "--attribute=label:zebr"],
            "no attribute 'zebr' of label: there are 'cow', 'horse', 'zebra'",
        ),
        (["--latents=[0]", "--attribute=metadata:striped"], "nothing is known of metadata 'striped'"),
        (["--latents=[0]", "--attribute=metadata:rare", f"--metadata={one_class}"], "2 are needed"),
        ([*words, f"--shards={original}"], "neither names nor digests of its pictures, so that no set could be built"),
        ([*words, "--shards=nowhere"], "nowhere: no such directory"),
        (["--join=3"], "join needs an attribute"),
        ([f"--file={frozen}"], "is frozen already"),
        ([f"--file={edited}"], "was edited after it was frozen"),
        ([*words, "--smallest_effect=1"], "smallest_effect 1.0: give an MCC above 0 and below 1"),
        ([*words, "--alpha=1"], "alpha 1.0"),
        ([*words, "--thresholds=[1, 2]"], "2 thresholds for 1 latents"),
        ([*words, f"--out={tmp_path}"], "is there already"),
    ):
        out = tmp_path / "out.json"
        assert main(command(planted, out, *options)) == 1, options
        assert said in one_line(capsys.readouterr().err)
        assert not out.exists()


def test_strata_are_frozen_and_must_be_known_and_something_else(
    planted: Planted, tmp_path: Path, capsys: Capture
) -> None:
    of = [f"--latents=[{ADULT}]", "--attribute=metadata:juvenile", f"--metadata={planted.table}"]
    found = freeze(planted, tmp_path / "a.json", *of, "--strata=label")
    assert found["strata"] == "label"
    draft = {key: one for key, one in read_frozen(tmp_path / "a.json").to_dict().items() if key not in ("date", "hash")}
    (tmp_path / "draft.json").write_text(json.dumps(draft))
    again = freeze(planted, tmp_path / "b.json", f"--file={tmp_path / 'draft.json'}")
    assert (again["strata"], again["hypotheses"]) == ("label", found["hypotheses"])
    for strata, said in (("juvenile", "is the same for all pictures of a stratum"), ("none", "none")):
        capsys.readouterr()
        assert main(command(planted, tmp_path / "c.json", *of, f"--strata={strata}")) == 1
        assert said in one_line(capsys.readouterr().err)
        assert not (tmp_path / "c.json").exists()
