"""`saev probe propose` finds what was planted, says nothing of the other half, and refuses what makes no sense."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cli.fitting import one_line
from tests.cli.proposing import best, command, rows
from tests.probing.planted import ADULT, EITHER, OTHER, PROXY, SITE, SKY, WING, ZEBRA, Planted, plant

import saev
import saev.probing.proposing as proposing
from saev.cli.main import main
from saev.latents.codes import open_codes
from saev.probing.hypotheses.file import Draft
from saev.probing.hypotheses.reading import read_hypotheses
from saev.probing.pictures.units import Units

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def found(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sources at once."""
    out = tmp_path_factory.mktemp("found") / "out"
    assert main(command(planted, out, f"--metadata={planted.table}", "--labels=image", "--labels=patch")) == 0
    return out


@pytest.mark.parametrize(
    ("source", "attribute", "latent", "claim"),
    [
        ("label", "zebra", ZEBRA, "fires on"),
        ("label", "cow", PROXY, "fires on"),
        ("metadata", "juvenile", ADULT, "does not fire on"),
        ("metadata", "wing", WING, "fires on"),
        ("metadata", "grazing", PROXY, "fires on"),
    ],
)
def test_what_was_planted_is_the_best_of_its_attribute(
    found: Path, source: str, attribute: str, latent: int, claim: str
) -> None:
    one = best(found, source, attribute)
    assert (one["latent"], one["claim"], one["rank"]) == (latent, claim, 1)
    assert one["q"] < 1e-4
    assert one["best_of_latent"] == (attribute != "grazing")
    if attribute == "wing":
        assert (one["kind"], one["mcc"], one["prevalence"], one["p_best"]) == ("numeric", None, None, None)
        assert one["correlation"] > 0.99
    else:
        assert (one["mcc"] > 0.6) == (claim == "fires on")
        assert one["p_best"] == pytest.approx(1 / 201)
        assert (one["f1"] is None) == (claim != "fires on")


def test_a_proxy_of_the_class_is_noted(found: Path) -> None:
    assert best(found, "metadata", "grazing")["note"] == "not more than its class says"
    assert best(found, "metadata", "striped")["note"] == ""
    assert best(found, "metadata", "striped")["class_mcc"] < 0.4
    assert best(found, "label", "cow")["class_mcc"] is None


def test_patches_are_compared_with_masks(found: Path) -> None:
    sky = best(found, "patch", "label 1")
    assert (sky["latent"], sky["iou"]) == (SKY, pytest.approx(1))
    assert all((one["iou"] is None) == (one["source"] != "patch") for one in rows(found))


def test_controls_stand_beside_the_best_latents(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    """Neurons are the latents, so that both do as well; of luck neither knows anything."""
    zebra, juvenile = best(found, "label", "zebra"), best(found, "metadata", "juvenile")
    assert zebra["left_out_mcc"] > 0.85
    assert zebra["neuron_mcc"] == pytest.approx(zebra["left_out_mcc"], abs=0.1)
    assert zebra["direction_mcc"] < zebra["linear_mcc"] - 0.1
    assert zebra["matched_mcc"] < 0.6
    assert juvenile["left_out_mcc"] < -0.8
    assert juvenile["linear_mcc"] < -0.6
    names = [name for name in zebra if name.endswith("_mcc") and name != "class_mcc"]
    assert len(names) == 9
    assert zebra["above_linear"] > 0.7
    assert 0.05 < zebra["above_neuron"] < 0.95
    names += ["above_neuron", "above_linear"]
    assert {one[name] for one in rows(found) for name in names if not one["best_of_attribute"]} == {None}
    assert {best(found, "metadata", "wing")[name] for name in names} == {None}
    out, codes = tmp_path / "out", f"--codes={found / 'codes'}"
    options = [codes, f"--metadata={planted.table}", "--labels=image", "--labels=patch", "--no_controls"]
    assert main(command(planted, out, *options)) == 0
    kept = [{key: value for key, value in one.items() if key not in names} for one in rows(found)]
    assert rows(out) == kept


def test_each_latent_has_its_best_attribute_once(found: Path) -> None:
    own = [one["latent"] for one in rows(found) if one["best_of_latent"]]
    assert sorted(own) == list(range(12))
    noise = {one["latent"] for one in rows(found) if one["q"] <= 0.05} - {ZEBRA, EITHER, OTHER, SKY, PROXY, ADULT, WING}
    assert len(noise) <= 1  # one in twenty discoveries may be false


def test_the_draft_has_the_best_latents_and_those_that_are_better_together(found: Path) -> None:
    draft = read_hypotheses(found / "hypotheses.json")
    assert isinstance(draft, Draft)
    latents = {one.id: one.latents for one in draft.hypotheses}
    assert latents["label-zebra"].any == (ZEBRA,)
    assert set(latents["metadata-striped-joined"].any) == {EITHER, OTHER}
    assert latents["metadata-striped"].any[0] in (EITHER, OTHER)
    assert all(one.thresholds is not None for one in latents.values())
    assert {one.claim for one in draft.hypotheses if one.id == "metadata-juvenile"} == {"does not fire on"}
    assert draft.sae == open_codes(found / "codes").origin.sae


def test_saved_codes_give_the_same_and_the_other_half_says_nothing(
    planted: Planted, found: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Labels of the test half may be shuffled: no score changes."""
    options = [f"--codes={found / 'codes'}", "--labels=image", "--labels=patch"]
    again = tmp_path / "again"
    assert main(command(planted, again, *options, f"--metadata={planted.table}")) == 0
    assert capsys.readouterr().out == f"{again}\n"
    assert sorted(path.name for path in again.iterdir()) == ["candidates.parquet", "hypotheses.json", "index.html"]
    for name in ("candidates.parquet", "hypotheses.json", "index.html"):
        assert (again / name).read_bytes() == (found / name).read_bytes()

    from saev.shards.reading.open import open_shards

    is_test = Units.of(open_shards(planted.shards).examples()).halves(0)
    head, *lines = planted.table.read_text().splitlines()
    cells = np.array([line.split(",") for line in lines])
    cells[is_test, 1:] = cells[is_test, 1:][np.random.default_rng(0).permutation(is_test.sum())]
    (tmp_path / "shuffled.csv").write_text("\n".join([head, *map(",".join, cells)]))
    shuffled = tmp_path / "shuffled"
    assert main(command(planted, shuffled, *options, f"--metadata={tmp_path / 'shuffled.csv'}")) == 0
    assert (shuffled / "candidates.parquet").read_bytes() == (found / "candidates.parquet").read_bytes()


def test_what_hangs_on_the_site_alone_counts_sites(planted: Planted, found: Path, tmp_path: Path) -> None:
    """A column that is constant within sites: with --group=site there are 60 observations, not 240."""
    lines = planted.table.read_text().splitlines()
    wet = [f"{line},{i // 4 % 2 == 0}" for i, line in enumerate(lines[1:])]
    (tmp_path / "wet.csv").write_text("\n".join([f"{lines[0]},wet", *wet]))
    options = [f"--codes={found / 'codes'}", "--labels=image", f"--metadata={tmp_path / 'wet.csv'}"]
    p = {}
    for group in ([], ["--group=site"]):
        out = tmp_path / f"out{len(group)}"
        assert main(command(planted, out, *options, *group)) == 0
        one = best(out, "metadata", "wet")
        assert one["latent"] == SITE
        p[len(group)] = one["p"]
        draft = json.loads((out / "hypotheses.json").read_bytes())
        assert draft["halves"]["columns"] == [name.partition("=")[2] for name in group]
    assert p[0] < p[1] ** 2 < 1e-9


def test_folders_of_tasks(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    for side, is_own in (("positive", True), ("negative", False)):
        folder = tmp_path / "tasks" / f"riding-{side}"
        folder.mkdir(parents=True)
        for number, name in enumerate(planted.names):
            if number % 3 and name.startswith("horse") == is_own:
                (folder / f"{number}.png").write_text(name)
    options = [f"--codes={found / 'codes'}", f"--labels={tmp_path / 'tasks'}"]
    assert main(command(planted, tmp_path / "out", *options)) == 0
    one = best(tmp_path / "out", "folders", "riding")
    assert (one["n"] < 120, one["prevalence"] < 0.5) == (True, True)
    assert {one["source"] for one in rows(tmp_path / "out")} == {"folders"}

    (folder / "twice.png").write_text(next(name for name in planted.names[1:] if name.startswith("horse")))
    capsys.readouterr()
    assert main(command(planted, tmp_path / "other", *options)) == 1
    assert "are the same picture: remove one of them" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "other").exists()


def test_seeds_are_matched_one_to_one(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    other = saev.load(planted.sae)
    with torch.no_grad():
        other.W_dec[OTHER] = other.W_dec[ZEBRA]  # Two are nearest to one, which matches one of them.
        other.W_dec[ZEBRA] = other.W_dec[ZEBRA] + 0.5 * other.W_dec[SKY]
        other.W_dec[SKY] = other.W_dec[PROXY]
    saev.save(other, tmp_path / "other")
    options = [f"--codes={found / 'codes'}", f"--seeds={tmp_path / 'other'}", f"--seeds={tmp_path / 'other'}"]
    assert main(command(planted, tmp_path / "out", *options)) == 0
    again = {one["latent"]: one["seeds"] for one in rows(tmp_path / "out")}
    assert [again[latent] for latent in (ZEBRA, OTHER, SKY, PROXY, EITHER)] == [1, 0, 0, 1, 1]
    assert "seeds" not in rows(found)[0]
    assert -0.5 < best(tmp_path / "out", "label", "zebra")["seeds_mcc"] < 1
    saev.save(saev.ReLU(12, 24), tmp_path / "larger")
    for seeds, said in ((planted.sae, "is the SAE itself"), (tmp_path / "larger", "differs in more than its seed")):
        capsys.readouterr()
        assert main(command(planted, tmp_path / "none", f"--seeds={seeds}")) == 1
        assert said in one_line(capsys.readouterr().err)


def test_after_an_interruption_the_same_command_goes_on(
    planted: Planted, found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    out, codes = tmp_path / "out", f"--codes={found / 'codes'}"
    with monkeypatch.context() as patched:
        patched.setattr(proposing, "write_page", stopped)
        with suppress(KeyboardInterrupt):
            main(command(planted, out, codes))
    assert not list(out.iterdir())
    assert main(command(planted, out, codes)) == 0
    assert sorted(path.name for path in out.iterdir()) == ["candidates.parquet", "hypotheses.json", "index.html"]


def test_nothing_is_drafted_where_nothing_is(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,luck", *(f"{name},{'yes' if rng.random() < 0.5 else 'no'}" for name in planted.names)]
    (tmp_path / "luck.csv").write_text("\n".join(lines))
    # No labels were asked for but the table's: an empty list of them.
    options = [f"--codes={found / 'codes'}", "--labels=[]", f"--metadata={tmp_path / 'luck.csv'}"]
    assert main(command(planted, tmp_path / "out", *options)) == 0
    assert "no latent has a q of at most .05" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["candidates.parquet", "index.html"]
    assert {one["p_best"] for one in rows(tmp_path / "out")} == {None}
    lucky = best(tmp_path / "out", "metadata", "luck")
    assert abs(lucky["left_out_mcc"]) < 0.25 <= abs(lucky["mcc"]) + 0.1


def test_the_class_may_be_a_column(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    """Without recorded labels: what is the same for all pictures of a species says no more than the species."""
    lines = ["path,species,striped,flank,note"]
    for number, (name, row) in enumerate(zip(planted.names, planted.table.read_text().splitlines()[1:], strict=True)):
        species = name.split("/")[0]
        lines.append(f"{name},{species},{row.split(',')[1]},{'yes' if species == 'zebra' else 'no'},{number}.5")
    (tmp_path / "species.csv").write_text("\n".join(lines))
    options = [f"--codes={found / 'codes'}", "--labels=[]", f"--metadata={tmp_path / 'species.csv'}"]
    assert main(command(planted, tmp_path / "out", *options, "--class_column=species")) == 0
    found_of = {name: best(tmp_path / "out", "metadata", name) for name in ("flank", "striped", "species=zebra")}
    assert (found_of["flank"]["latent"], found_of["flank"]["note"]) == (ZEBRA, "not more than its class says")
    assert found_of["striped"]["class_mcc"] < 0.4
    assert found_of["species=zebra"]["class_mcc"] is None
    capsys.readouterr()
    for column, said in (("note", "has numbers"), ("kind", "no column 'kind'")):
        assert main(command(planted, tmp_path / "none", *options, f"--class_column={column}")) == 1
        assert said in one_line(capsys.readouterr().err)


def test_refusals(planted: Planted, found: Path, tmp_path: Path, capsys: Capture) -> None:
    rare = tmp_path / "rare.csv"
    rare.write_text("\n".join(["path,rare", *(f"{name},{i == 7}" for i, name in enumerate(planted.names))]))
    other = plant(tmp_path / "other", seed=1)
    out = tmp_path / "out"
    for options, said in (
        ([f"--metadata={rare}", "--labels=[]"], "half has 1 units with it, 2 are needed"),
        (["--labels=nowhere"], "nowhere: cannot be read"),
        (["--group=site"], "column 'site' groups pictures, and there is no table"),
        ([f"--metadata={planted.table}", "--group=zoo"], "no column 'zoo': it has 'striped'"),
        ([f"--codes={found / 'codes'}", f"--shards={other.shards}"], "the codes are of shards"),
        (["--n_candidates=0"], "must be 1 or more"),
        (["--smallest_effect=0"], "smallest_effect 0.0: give an MCC above 0"),
        (["--smallest_effect=1"], "smallest_effect 1.0: give an MCC above 0 and below 1"),
        ([f"--out={found}"], "candidates.parquet is there already"),
        (["--pooling=median"], "--pooling"),
        (["--sae=nowhere"], "nowhere"),
    ):
        assert main(command(planted, out, *options)) != 0
        assert said in one_line(capsys.readouterr().err)
        assert not out.exists()
