"""What `saev probe build` refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.probing.set_building import built, refused
from tests.probing.studies import IN_WORDS, STRIPED, Study, make_study

import saev
from saev.artifacts.provenance import RecordedLayer
from saev.cli.main import main
from saev.probing.hypotheses.hypothesis import AttributeName

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"))


def test_what_does_not_belong_together_is_refused(study: Study, tmp_path: Path, capsys: Capture) -> None:
    frozen, out = study.freeze(tmp_path / "frozen.json", [STRIPED]), tmp_path / "sets"
    table = f"--metadata={study.table}"
    edited = tmp_path / "edited.json"
    edited.write_text(frozen.read_text().replace("0.5", "0.6"))
    assert "the file was edited after it was frozen" in refused(study, edited, out, capsys, table)
    other = saev.load(study.sae)
    saev.save(saev.ReLU(12, 12), tmp_path / "other")
    assert "on the SAE" in refused(study, frozen, out, capsys, table, f"--sae={tmp_path / 'other'}")
    other.provenance = saev.Provenance([replace(RecordedLayer.of(study.reader.recording), layer=3)])
    saev.save(other, tmp_path / "of layer 3")
    assert "trained on layer 3" in refused(study, frozen, out, capsys, table, f"--sae={tmp_path / 'of layer 3'}")
    elsewhere = make_study(tmp_path / "elsewhere", seed=1)
    message = refused(study, frozen, out, capsys, table, f"--shards={elsewhere.shards}")
    assert "on the recording" in message
    saev.encode(elsewhere.sae, elsewhere.shards, tmp_path / "codes", device="cpu")
    assert "the codes are of" in refused(study, frozen, out, capsys, table, f"--codes={tmp_path / 'codes'}")


def test_labels_and_pictures_that_are_missing_are_named(study: Study, tmp_path: Path, capsys: Capture) -> None:
    frozen, out = study.freeze(tmp_path / "frozen.json", [IN_WORDS, STRIPED]), tmp_path / "sets"
    assert "hypothesis striped: no attribute 'striped' of metadata: there are none" in refused(
        study, frozen, out, capsys
    )
    few = tmp_path / "few.csv"
    few.write_text("\n".join(study.table.read_text().splitlines()[:8]))
    assert "hypothesis striped: metadata 'striped': the proposal half has" in refused(
        study, frozen, out, capsys, f"--metadata={few}"
    )
    assert "of fewer than 10 pictures" in refused(study, frozen, out, capsys, "--n_pictures=9")
    grouped = study.freeze(tmp_path / "grouped.json", [IN_WORDS], ["site"])
    assert "column 'site' groups pictures, and there is no table" in refused(study, grouped, out, capsys)
    unknown = replace(STRIPED, attribute=AttributeName("label", "d"))
    frozen = study.freeze(tmp_path / "unknown.json", [unknown])
    assert "no attribute 'd' of label: there are 'a', 'b', 'c'" in refused(study, frozen, out, capsys)


def test_a_picture_that_is_gone_leaves_no_set_and_none_is_overwritten(tmp_path: Path, capsys: Capture) -> None:
    study, out = make_study(tmp_path / "study"), tmp_path / "sets"
    frozen = study.freeze(tmp_path / "frozen.json", [IN_WORDS, replace(IN_WORDS, id="again")])
    (made, _) = built(study, frozen, out, capsys)
    assert main(study.command(frozen, out)) == 1
    assert "is there already: a set is not overwritten" in capsys.readouterr().err
    lone = next(one for one in made.pictures if one.image not in {*study.copies, *study.copies.values()})
    (study.root / "pictures" / lone.path).unlink()
    assert f"'{lone.path}' is not in" in refused(study, frozen, tmp_path / "more", capsys)


def test_a_table_that_moves_pictures_to_the_other_half_is_refused(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    given, frozen, table = [f"--sae={study.sae}", f"--shards={study.shards}"], tmp_path / "frozen.json", "table.csv"
    edited = tmp_path / table
    edited.write_text(study.table.read_text())
    options = ["--latents=[0]", "--claim=x", "--thresholds=[1]", "--group=[site]", f"--metadata={edited}"]
    assert main(["probe", "freeze", *given, f"--out={frozen}", *options]) == 0
    header, *rows = study.table.read_text().splitlines()
    place = header.split(",").index("site")
    moved = [",".join(f"new-{one}" if at == place else one for at, one in enumerate(row.split(","))) for row in rows]
    edited.write_text("\n".join([header, *moved]) + "\n")
    capsys.readouterr()
    for command in (
        study.command(frozen, tmp_path / "sets", f"--metadata={edited}"),
        ["probe", "test", f"--hypotheses={frozen}", *given, "--sets=sets", f"--out={tmp_path / 'report'}",
         f"--metadata={edited}"],
    ):  # fmt: skip
        assert main(command) == 1
        assert "the pictures are divided otherwise than when the hypotheses were made" in capsys.readouterr().err
    assert main(study.command(frozen, tmp_path / "sets", f"--metadata={study.table}")) == 0
