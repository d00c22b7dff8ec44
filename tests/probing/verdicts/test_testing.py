"""Frozen hypotheses on their sets, from files to verdicts, through the command line."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from tests.probing.verdicts.planted import PROXY, TRUE, UNRELATED, Study, make_study

from saev.cli.main import main
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.ledger import LEDGER_FILE, read_ledger
from saev.probing.sets.files import read_set
from saev.probing.verdicts.files import read_verdicts
from saev.probing.verdicts.result import Result

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


def ready(
    study: Study, *latents: int, claim: str = "fires on", strata: str | None = None, **answers: int
) -> tuple[Frozen, list[str]]:
    """Frozen hypotheses with sets that are answered, and the command that tests them."""
    frozen = study.freeze(*latents, claim=claim, strata=strata)
    frozen.write(study.root / "frozen.json")
    sets = study.build(frozen)
    files = [study.answer(read_set(sets / one.id), one.id, **answers) for one in frozen.hypotheses]
    command = [
        "probe", "test", f"--hypotheses={study.root / 'frozen.json'}", f"--sae={study.sae}",
        f"--shards={study.shards}", f"--sets={sets}", "--device=cpu", "--n_permutations=999", "--no_controls",
        *(f"--answers={file}" for file in files),
    ]  # fmt: skip
    return frozen, command


def verdicts_of(command: list[str], out: Path, capsys: Capture) -> list[Result]:
    """Run a test that must go well."""
    capsys.readouterr()
    status = main([*command, f"--out={out}"])
    printed, err = capsys.readouterr()
    assert status == 0, err
    assert printed.splitlines()[-1] == str(out)
    return list(read_verdicts(out).results)


def refused(command: list[str], out: Path, capsys: Capture, said: str) -> None:
    """Run a test that must fail with one line, and leave nothing that looks like a verdict."""
    sets = Path(next(one for one in command if one.startswith("--sets=")).partition("=")[2])
    ledgers = {path: path.read_bytes() for path in sets.glob(f"*/{LEDGER_FILE}")}
    capsys.readouterr()
    assert main([*command, f"--out={out}"]) == 1
    printed, err = capsys.readouterr()
    assert printed == ""
    assert said in err.splitlines()[-1]
    assert "confirmed" not in err
    assert not out.exists()
    assert not out.with_name(f".{out.name}.partial").exists()
    assert ledgers == {path: path.read_bytes() for path in sets.glob(f"*/{LEDGER_FILE}")}


def test_a_true_claim_is_confirmed_and_one_on_an_unrelated_latent_is_not(study: Study, capsys: Capture) -> None:
    frozen, command = ready(study, TRUE, UNRELATED)
    out = study.root / "report"
    true, unrelated = verdicts_of(command, out, capsys)
    assert (true.id, true.verdict, true.exploratory) == ("latent-0", "confirmed", False)
    assert true.reason.startswith("Confirmed: the latent and the label agree by 0.")
    assert true.interval[0] > 0.4
    assert true.p_corrected == 2 * true.p == 0.002
    assert true.matched is not None
    assert (true.matched.n, true.matched.quantile < true.effect) == (47, True)
    assert true.matched.own_frequency / 1.5 <= true.matched.frequency <= true.matched.own_frequency
    assert (true.n, true.n_unsure, true.n_unanswered, true.n_unrecorded) == (60, 0, 0, 0)
    assert 0.6 < true.effect == pytest.approx(true.scores.mcc)
    assert true.sanity is not None
    assert true.sanity.passes
    assert [one.name for one in true.confounders] == ["class only"]
    assert 0.3 < true.confounders[0].mcc < true.effect
    assert unrelated.verdict in ("rejected", "undecided")
    assert [one.verdict for one in read_ledger(study.root / "sets/latent-0")] == ["confirmed"]
    assert read_ledger(study.root / "sets/latent-1")[0].hypotheses == frozen.hash

    inputs = {Path(one.path).name: one.sha256 for one in read_verdicts(out).inputs}
    files = [study.root / name for name in ("latent-0.csv", "latent-1.csv")]
    assert inputs == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    rows = list(csv.DictReader((out / "verdicts.csv").read_text().splitlines()))
    assert [(row["id"], row["verdict"]) for row in rows] == [(one.id, one.verdict) for one in (true, unrelated)]
    assert float(rows[0]["effect"]) == true.effect
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out)).Reload()
    assert events.Scalars("effect/latent-0")[0].value == pytest.approx(true.effect)


def test_a_second_test_of_a_set_is_exploratory(study: Study, capsys: Capture) -> None:
    _, command = ready(study, TRUE)
    first = verdicts_of(command, study.root / "first", capsys)[0]
    second = verdicts_of(command, study.root / "second", capsys)[0]
    assert (second.verdict, second.exploratory) == ("undecided", True)
    assert second.reason.startswith("Exploratory, so that nothing is decided")
    assert second.reason.endswith(first.reason)
    assert [(one.verdict, one.exploratory) for one in second.tried] == [("confirmed", False)]
    assert (second.effect, second.interval, second.p) == (first.effect, first.interval, first.p)
    verdicts_of(command, study.root / "third", capsys)
    assert [one.exploratory for one in read_ledger(study.root / "sets/latent-0")] == [False, True, True]


@pytest.mark.parametrize("strata", [None, "label"])
def test_pictures_that_were_tested_stay_so_in_sets_that_are_built_anew(
    strata: str | None, study: Study, capsys: Capture
) -> None:
    """Whatever latents are frozen then, and whatever strata."""
    _, command = ready(study, TRUE)
    verdicts_of(command, study.root / "first", capsys)
    for name in ("sets", "frozen.json"):
        (study.root / name).rename(study.root / f"old-{name}")
    _, command = ready(study, PROXY, strata=strata)
    (second,) = verdicts_of(command, study.root / "second", capsys)
    assert (second.verdict, second.exploratory) == ("undecided", True)
    assert [one.hypothesis for one in second.tried] == ["latent-0"]


def test_a_class_proxy_is_not_confirmed_as_a_trait_within_classes(study: Study, capsys: Capture) -> None:
    _, command = ready(study, PROXY, strata="label")
    proxy = verdicts_of(command, study.root / "within", capsys)[0]
    assert proxy.verdict != "confirmed"
    assert proxy.p > 0.05
    assert proxy.confounders[0].mcc == pytest.approx(0)  # within the class nothing is known from the class
    assert proxy.sanity is not None
    assert proxy.sanity.score == pytest.approx(proxy.effect)
    assert proxy.scores.mcc > 0.4 > abs(proxy.effect)
    assert "among pictures of the same label the latent and the label agree by" in proxy.reason
    assert json.loads((study.root / "within/verdicts.json").read_bytes())["strata"] == "label"
    page = (study.root / "within/index.html").read_text()
    assert "each among pictures of the same <bdi>label</bdi>; AUROC among all of them" in page
    assert "of all pictures together, not within values of <bdi>label</bdi>" in page


def test_pictures_of_no_known_stratum_are_left_out_and_counted(study: Study, capsys: Capture) -> None:
    _, command = ready(study, PROXY, strata="species")
    made, table = read_set(study.root / "sets/latent-2"), study.root / "table.csv"
    rows = [(one.path, one.label if number % 2 else "") for number, one in enumerate(study.records)]
    table.write_text("\n".join(["path,species", *(f"{path},{species}" for path, species in rows)]) + "\n")
    within = [*command, f"--metadata={table}"]
    refused(command, study.root / "within", capsys, "give the table that has this column")
    proxy = verdicts_of([*within, "--strata=species"], study.root / "within", capsys)[0]
    n_unknown = sum(not dict(rows)[one.path] for one in made.pictures)
    assert (proxy.n_no_stratum, proxy.n) == (n_unknown, 60 - n_unknown)
    # The class must not come back as a trait through those of which it is not known.
    assert proxy.p > 0.05
    assert abs(proxy.effect) < 0.4
    assert "In no known stratum, left out" in (study.root / "within/index.html").read_text()


def test_strata_that_were_not_frozen_are_refused_before_a_set_is_spent(study: Study, capsys: Capture) -> None:
    _, command = ready(study, PROXY)
    refused([*command, "--strata=label"], study.root / "within", capsys, "frozen to be tested among all pictures, lest")


def test_unsure_and_missing_answers_are_left_out_and_counted(study: Study, capsys: Capture) -> None:
    _, command = ready(study, TRUE, unsure=7, left_out=10)
    found = verdicts_of(command, study.root / "report", capsys)[0]
    assert (found.n, found.n_unsure, found.n_unanswered) == (43, 7, 10)
    assert found.verdict == "confirmed"


def test_a_claim_that_a_latent_does_not_fire_turns_the_effect(study: Study, capsys: Capture) -> None:
    _, command = ready(study, TRUE, claim="does not fire on")
    found = verdicts_of(command, study.root / "report", capsys)[0]
    assert found.verdict == "rejected"
    assert found.effect == pytest.approx(-found.scores.mcc)
    assert found.effect < -0.6


def test_all_hypotheses_of_the_file_count_whether_they_have_a_set_or_not(study: Study, capsys: Capture) -> None:
    _, command = ready(study, TRUE, UNRELATED)
    (study.root / "sets/latent-1").rename(study.root / "elsewhere")
    command = [one for one in command if "latent-1.csv" not in one]
    found = verdicts_of(command, study.root / "report", capsys)
    assert [one.id for one in found] == ["latent-0"]
    assert found[0].p_corrected == 2 * found[0].p


def test_nothing_that_looks_like_a_verdict_is_written_for_bad_input(study: Study, capsys: Capture) -> None:
    _, command = ready(study, TRUE, UNRELATED)
    out, frozen, sets = study.root / "report", study.root / "frozen.json", study.root / "sets"
    without = [one for one in command if not one.startswith("--answers")]
    answers = study.root / "latent-0.csv"
    refused(without, out, capsys, f"{sets / 'latent-0'} has no labels: open {sets / 'latent-0/label.html'}")
    refused([*without, f"--answers={answers}", f"--answers={answers}"], out, capsys, "give the answers of one person")
    other = study.root / "other.csv"
    other.write_text(answers.read_text().replace(read_set(sets / "latent-0").digest, "0" * 64))
    refused([*command, f"--answers={other}"], out, capsys, "no answers to any of the sets")
    refused([*command, "--n_permutations=38"], out, capsys, "n_permutations=38 is too few for 2 hypotheses")
    edited = study.root / "edited.json"
    edited.write_text(frozen.read_text().replace("0.5", "0.4"))
    refused([*command, f"--hypotheses={edited}"], out, capsys, "the file was edited after it was frozen")
    study.freeze(TRUE, smallest_effect=0.1).write(study.root / "others.json")
    refused([*command, f"--hypotheses={study.root / 'others.json'}"], out, capsys, "the set is for the hypotheses with")
    refused([*command, f"--sets={study.root}"], out, capsys, "holds no set of latent-0")
    out.mkdir()
    assert main([*command, f"--out={out}"]) == 1
    assert not list(out.iterdir())
    out.rmdir()
    text = (sets / "latent-0/set.json").read_text()
    (sets / "latent-0/set.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    refused(command, out, capsys, "set.json was edited after it was built")
