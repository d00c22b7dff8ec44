"""verdicts.json is read strictly."""

import csv
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saev.errors import InputError
from saev.latents.naming.names_file import ClipId
from saev.probing.controls.control import Control
from saev.probing.hypotheses.ledger import LedgerEntry
from saev.probing.sets.labelling import Labelling
from saev.probing.statistics.sanity import Sanity
from saev.probing.statistics.scores import scores
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.files import Verdicts, read_verdicts, write_verdicts
from saev.probing.verdicts.inputs import Input
from saev.probing.verdicts.result import Confounder, HardNegatives, Matched, Result

EDIT = EditEffect(
    name="grey", expected="removes", n=20, before=2.0, after=0.5, placebo=1.5, fires_before=1.0, fires_after=0.25,
    fires_placebo=0.75, effect=-1.0, low=-1.5, high=-0.5, share_as_claimed=0.75, p=0.01, p_corrected=0.02,
    reference=2.0, strength=30.5, placebo_strength=30.0, finding="as claimed",
)  # fmt: skip
RESULT = Result(
    id="latent-7",
    text="=spots, \u202e and more",
    claim="fires on",
    attribute={"source": "words", "name": "spots"},
    latents={"any": [7], "unless": []},
    threshold=0.5,
    smallest_effect=0.2,
    verdict="undecided",
    exploratory=True,
    reason="Exploratory.",
    effect=0.25,
    interval=(-0.1, 0.5),
    p=0.01,
    p_corrected=0.02,
    n=4,
    n_positive=2,
    n_unsure=1,
    n_unanswered=2,
    n_unrecorded=0,
    n_earlier=1,
    n_no_stratum=3,
    n_needed=None,
    scores=scores([0, 0, 1, 2], [0, 1, 0, 1], 0.5),
    sanity=Sanity(0.5, 0.25, 0.125, 1.0, 0.75),
    matched=Matched(100, 0.1, 0.05, 0.06),
    roles=(HardNegatives("hard-near", 12, 0.25, 0.5, -0.25, 0.75),),
    controls=(Control("linear probe", 0.5, 0.25, 0.75, 0.9, 0.8, "on 4 neurons"),),
    confounders=(Confounder("class only", 0.125, "note"),),
    edits=(EDIT, replace(EDIT, name="mirrored", expected="keeps", p=None, p_corrected=None)),
    tried=(LedgerEntry("2026-01-01", "1" * 64, "latent-7", "2" * 64, "confirmed", exploratory=False),),
    set_digest="2" * 64,
    labeller=Labelling(
        ClipId("ViT-B-32/openai", "6" * 64), "7" * 64, ("a photo of a red", "red"), "8" * 64, 2.0, 0.25, 0.125, 90, 0.1,
        80, 0.2,
    ),
    circular="the pictures were labelled by the CLIP that gave the name",
)  # fmt: skip
ANSWERS = Input("answers", "a.csv", "5" * 64)
VERDICTS = Verdicts("2026-01-02", "1" * 64, "3" * 64, "4" * 64, 0.05, 2, 999, 2000, "label", 0, (ANSWERS,), (RESULT,))


def test_verdicts_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_verdicts(tmp_path / "report", VERDICTS, b"page", nullcontext())
    assert read_verdicts(tmp_path / "report") == VERDICTS
    none = replace(
        RESULT,
        sanity=None,
        matched=None,
        n_needed=70,
        roles=(),
        controls=(),
        edits=(),
        tried=(),
        labeller=None,
        circular=None,
        scores=scores([0, 1], [0, 0], 0.5),
    )
    write_verdicts(tmp_path / "other", replace(VERDICTS, results=(none,), strata=None), b"page", nullcontext())
    (found,) = read_verdicts(tmp_path / "other").results
    assert math.isnan(found.scores.auroc)
    assert found.to_dict() == none.to_dict()


def edited(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(VERDICTS.to_dict()))
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: value.update(version=2), "holds no verdicts of version 1"),
        (lambda value: value.pop("seed"), r"missing keys \['seed'\]"),
        (lambda value: value["inputs"][0].update(what="sets"), r"inputs\[0\]: 'what' must be one of"),
        (lambda value: value["hypotheses"][0].update(verdict="proved"), r"hypotheses\[0\]: 'verdict' must be one of"),
        (lambda value: value["hypotheses"][0].update(more=1), r"unknown keys \['more'\]"),
        (lambda value: value["hypotheses"][0].update(interval=[0.1]), "'interval' must be two ascending numbers"),
        (lambda value: value["hypotheses"][0].update(interval=[0.5, 0.1]), "'interval' must be two ascending numbers"),
        (lambda value: value["hypotheses"][0]["matched"].update(n="1"), "matched: 'n' must be an integer"),
        (lambda value: value["hypotheses"][0]["matched"].update(quantile=None), "'quantile' must be a number"),
        (lambda value: value["hypotheses"][0]["roles"][0].update(n=0.5), r"roles\[0\]: 'n' must be an integer"),
        (lambda value: value["hypotheses"][0]["edits"][0].update(p="1"), r"edits\[0\]: 'p' must be a number"),
        (lambda value: value["hypotheses"][0]["tried"][0].pop("date"), r"tried\[0\]: missing keys"),
        (lambda value: value["hypotheses"][0].update(attribute={}), "attribute: missing keys"),
    ],
)
def test_verdicts_with_a_mistake_are_refused(change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Verdicts.from_json(edited(change), "verdicts.json")


def test_nothing_is_there_before_the_test_is_noted(tmp_path: Path) -> None:
    @contextmanager
    def fails() -> Iterator[None]:
        raise InputError("no ledger")
        yield

    with pytest.raises(InputError, match="no ledger"):
        write_verdicts(tmp_path / "report", VERDICTS, b"page", fails())
    assert not list(tmp_path.iterdir())
    seen: list[bool] = []

    @contextmanager
    def looks() -> Iterator[None]:
        seen.append((tmp_path / "report").exists())
        yield
        seen.append((tmp_path / "report").exists())

    write_verdicts(tmp_path / "report", VERDICTS, b"page", looks())
    assert seen == [False, True]
    with pytest.raises(InputError, match="is there already, and is not overwritten"):
        write_verdicts(tmp_path / "report", VERDICTS, b"page", nullcontext())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_takes_no_claim_for_a_formula(tmp_path: Path, text: str) -> None:
    verdicts = replace(VERDICTS, results=(replace(RESULT, text=text),))
    write_verdicts(tmp_path / "report", verdicts, b"page", nullcontext())
    with (tmp_path / "report/verdicts.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["text"] == f"'{text}"
    assert read_verdicts(tmp_path / "report") == verdicts
