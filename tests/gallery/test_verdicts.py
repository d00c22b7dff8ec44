"""Reports of tests, as far as galleries show them."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import MakeShards
from tests.probing.verdicts.test_verdict_files import RESULT, VERDICTS

import saev
from saev.errors import InputError
from saev.gallery.data import Verdict
from saev.gallery.verdicts import check_reports, read_report, verdicts_for
from saev.latents.encoding import sae_digest
from saev.nn import TopK
from saev.probing.report.section import anchor
from saev.probing.verdicts.files import Verdicts, write_verdicts


@pytest.fixture
def sae() -> TopK:
    torch.manual_seed(0)
    return TopK(8, 24, k=2)


def verdicts(sae: TopK) -> Verdicts:
    """An exploratory one on latent 7, and a confirmed one on latents 7 and 9 unless 3."""
    confirmed = replace(
        RESULT,
        id="coalition",
        text="stripes",
        verdict="confirmed",
        exploratory=False,
        latents={"any": [7, 9], "unless": [3]},
    )
    return replace(VERDICTS, sae=sae_digest(sae), results=(RESULT, confirmed))


def report(out: Path, sae: TopK) -> Path:
    write_verdicts(out, verdicts(sae), b"page", nullcontext())
    return out


def test_a_report_of_the_test_is_read(sae: TopK, tmp_path: Path) -> None:
    where = report(tmp_path / "reports" / "a b#1", sae)
    found = verdicts_for(sae, [read_report(where)], tmp_path / "features" / "mine")
    assert [one.standing for one in found] == ["confirmed", "exploratory"]
    assert found[0] == Verdict(
        standing="confirmed",
        claim="fires on: stripes",
        any=(7, 9),
        unless=(3,),
        effect=0.25,
        interval=(-0.1, 0.5),
        p=0.02,
        n=4,
        reason="Exploratory.",
        circular=True,
        link="../../reports/a%20b%231/index.html#hypothesis-coalition",
    )
    assert found[1].link == f"../../reports/a%20b%231/index.html#{anchor(RESULT)}"
    assert verdicts_for(TopK(8, 24, k=3), [read_report(where)], tmp_path) == []
    (where / "index.html").unlink()
    found = verdicts_for(sae, [read_report(where)], tmp_path / "features" / "mine")
    assert [one.link for one in found] == [None, None]


def test_reports_of_other_saes_are_refused(sae: TopK, tmp_path: Path) -> None:
    found = read_report(report(tmp_path / "report", sae))
    check_reports([found], {"other": TopK(8, 24, k=3), "mine": sae})
    with pytest.raises(InputError, match=r"is a report on the SAE .*, which is none of these"):
        check_reports([found], {"other": TopK(8, 24, k=3)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format="x"), "holds no verdicts of version 1"),
        (lambda v: v.update(version=2), "holds no verdicts of version 1"),
        (lambda v: v.pop("sae"), r"missing keys \['sae'\]"),
        (lambda v: v["hypotheses"][0].pop("reason"), r"hypotheses\[0\]: missing keys \['reason'\]"),
        (lambda v: v["hypotheses"][1].update(verdict="true"), "must be one of confirmed, rejected, undecided, found"),
        (lambda v: v["hypotheses"][1].update(verdict="exploratory"), "must be one of confirmed, rejected, undecided,"),
        (lambda v: v["hypotheses"][1].update(interval=[0.1]), "'interval' must be two numbers, found 1"),
        (lambda v: v["hypotheses"][1]["latents"].update(any=[-1]), "a list of 1 integers of at least 0"),
        (lambda v: v["hypotheses"][1]["latents"].update(unless=[24]), "is on latent 24: the SAE has latents 0 to 23"),
    ],
)
def test_what_is_no_report_is_refused(
    sae: TopK, change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    value: dict[str, Any] = json.loads(json.dumps(verdicts(sae).to_dict()))
    change(value)
    (tmp_path / "verdicts.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        check_reports([read_report(tmp_path)], {"mine": sae})


def test_what_is_not_shown_is_not_looked_at(sae: TopK, tmp_path: Path) -> None:
    value = verdicts(sae).to_dict() | {"new": 1}
    (tmp_path / "verdicts.json").write_text(json.dumps(value), encoding="utf-8")
    assert len(read_report(tmp_path).verdicts) == 2
    with pytest.raises(InputError, match="nowhere"):
        read_report(tmp_path / "nowhere")


def test_galleries_show_reports(sae: TopK, make_shards: MakeShards, tmp_path: Path) -> None:
    shards, where = make_shards(9)[0], report(tmp_path / "report", sae)
    saes = {"a": sae, "b": TopK(8, 24, k=3)}
    pages = saev.render(saes, shards, tmp_path / "out", verdicts=[where], n_latents=3)
    a, b = ((page.parent / "data" / "overview.js").read_text(encoding="ascii") for page in pages.values())
    assert '"link":"../../report/index.html#hypothesis-coalition"' in a
    assert '"verdicts"' not in b
    with pytest.raises(InputError, match="which is none of these SAEs"):
        saev.render({"b": saes["b"]}, shards, tmp_path / "none", verdicts=[where])
    assert not (tmp_path / "none").exists()
