"""From frozen hypotheses over sets to verdicts, by the commands alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.probing.studies import IN_WORDS, STRIPED, make_study

from saev.cli.main import main
from saev.probing.hypotheses.hypothesis import Latents
from saev.probing.sets.files import read_set
from saev.probing.verdicts.files import read_verdicts


def test_claims_on_labels_and_in_words_get_their_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path)
    other = replace(STRIPED, id="other", latents=Latents((5,), (), (0.5,)))
    hypotheses = study.freeze(tmp_path / "frozen.json", [STRIPED, other, IN_WORDS], ["site"])
    table = f"--metadata={study.table}"
    assert main(study.command(hypotheses, tmp_path / "sets", table)) == 0
    made = read_set(tmp_path / "sets/in-words")
    rows = ["picture,answer,seconds,set"]
    for one in made.pictures:
        assert one.image is not None
        rows.append(f"{one.id},{'yes' if study.is_striped_i[one.image] else 'no'},2,{made.digest}")
    (tmp_path / "answers.csv").write_text("\n".join(rows) + "\n")
    command = [
        "probe", "test", f"--hypotheses={hypotheses}", f"--sae={study.sae}", f"--shards={study.shards}",
        f"--sets={tmp_path / 'sets'}", f"--answers={tmp_path / 'answers.csv'}", "--n_permutations=999", "--no_controls",
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
