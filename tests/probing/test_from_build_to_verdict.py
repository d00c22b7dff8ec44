"""From frozen hypotheses over sets to verdicts, by the commands alone."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.probing.studies import IN_WORDS, STRIPED, Study, make_study

from saev.cli.main import main
from saev.probing.hypotheses.hypothesis import Latents
from saev.probing.hypotheses.ledger import TESTED_FILE, LedgerEntry
from saev.probing.sets.files import read_set
from saev.probing.verdicts.files import read_verdicts


def answer(study: Study, directory: Path, path: Path) -> Path:
    """The answers of somebody who sees the stripes."""
    made, rows = read_set(directory), ["picture,answer,seconds,set"]
    for one in made.pictures:
        assert one.image is not None
        rows.append(f"{one.id},{'yes' if study.is_striped_i[one.image] else 'no'},2,{made.digest}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_claims_on_labels_and_in_words_get_their_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path)
    other = replace(STRIPED, id="other", latents=Latents((5,), (), (0.5,)))
    hypotheses = study.freeze(tmp_path / "frozen.json", [STRIPED, other, IN_WORDS], ["site"])
    table = f"--metadata={study.table}"
    assert main(study.command(hypotheses, tmp_path / "sets", table)) == 0
    answers = answer(study, tmp_path / "sets/in-words", tmp_path / "answers.csv")
    command = [
        "probe", "test", f"--hypotheses={hypotheses}", f"--sae={study.sae}", f"--shards={study.shards}",
        f"--sets={tmp_path / 'sets'}", f"--answers={answers}", "--n_permutations=999", "--no_controls",
        f"--out={tmp_path / 'report'}", "--device=cpu",
    ]  # fmt: skip
    capsys.readouterr()
    assert main(command) == 1
    assert "column 'site' groups pictures, and there is no table" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
    assert main([*command, table]) == 0
    striped, unrelated, in_words = read_verdicts(tmp_path / "report").results
    assert (striped.verdict, in_words.verdict) == ("confirmed", "confirmed")
    assert unrelated.verdict != "confirmed"
    assert {one.role for one in striped.roles} >= {"hard-near", "same-class"}
    assert all(one.low > 0 for one in striped.roles)
    assert in_words.roles == ()
    assert striped.p_corrected >= 2 * striped.p


def test_another_set_has_pictures_that_were_not_tested_on_where_enough_are_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path)
    hypotheses = study.freeze(tmp_path / "frozen.json", [IN_WORDS])
    used: set[int | None] = set()
    # A test of the same claim on another recording is none of these pictures.
    other = LedgerEntry("2026-01-01T00:00:00+00:00", "0" * 64, "in-words", "1" * 64, "undecided", exploratory=False)
    line = asdict(other) | {"attribute": IN_WORDS.attribute.words, "pictures": ["0" * 12]}
    (study.shards.parent / TESTED_FILE).write_text(f"{json.dumps(line)}\n")
    for name, n, n_left_out in (("first", 20, 0), ("second", 20, 20), ("third", 60, 0)):
        assert main(study.command(hypotheses, tmp_path / name, f"--n_pictures={n}")) == 0
        said, made = capsys.readouterr().err, read_set(tmp_path / name / "in-words")
        own = {one.image for one in made.pictures}
        n_fires = sum(study.is_striped_i[one.image] for one in made.pictures)
        page = tmp_path / name / "in-words" / "label.html"
        assert f"{n_fires} of {n} fire at the threshold; label them on {page}, then export the answers" in said
        assert made.recipe["tested"] == n_left_out
        assert (f"{n_left_out} pictures are left out, which were tested on for it before" in said) == (n_left_out > 0)
        # Of 60 some must have been tested on, because fewer are left.
        assert bool(own & used) == (name == "third") == ("its test will be exploratory" in said)
        answers = answer(study, tmp_path / name / "in-words", tmp_path / f"{name}.csv")
        command = [
            "probe", "test", f"--hypotheses={hypotheses}", f"--sae={study.sae}", f"--shards={study.shards}",
            f"--sets={tmp_path / name}", f"--answers={answers}", "--n_permutations=99", "--no_controls",
            f"--out={tmp_path / f'report-{name}'}", "--device=cpu",
        ]  # fmt: skip
        if name == "second":  # 20 permutations are enough for a first test alone
            assert main([*command, "--n_permutations=20"]) == 1
            assert "and for earlier tests of a claim, is 0.095, above alpha 0.05: give 40" in capsys.readouterr().err
        assert main(command) == 0
        (found,) = read_verdicts(tmp_path / f"report-{name}").results
        assert found.exploratory == (name == "third")
        # The second test of a claim is no first one, though it is on pictures of its own.
        assert found.n_earlier == (name == "second")
        assert found.p_corrected == pytest.approx(found.p * (2 if name == "second" else 1))
        used |= own
