"""Notes that the gallery exports become hypotheses in words."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saev.errors import InputError
from saev.gallery.image_sets import sae_id
from saev.nn import TopK
from saev.probing.hypotheses.file import Halves
from saev.probing.hypotheses.from_gallery import read_notes
from saev.probing.hypotheses.hypothesis import AttributeName, Latents

SAE = TopK(d_in=4, d_sae=50, k=2)


def note(latent: int, text: str) -> dict[str, object]:
    return {"latent": latent, "star": True, "text": text}


def write(directory: Path, *notes: object, **facts: object) -> Path:
    value = {"format": "saev-notes", "version": 1, "sae": sae_id(SAE), "title": "g", "notes": notes} | facts
    path = directory / "notes.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_each_note_with_a_text_is_a_claim_in_words(tmp_path: Path) -> None:
    draft, half = read_notes(
        write(tmp_path, note(17, " stripes\nof zebras "), note(3, ""), note(4, "wheels")), pooling="mean"
    )
    assert half is None
    first, second = draft.hypotheses
    assert (first.id, second.id) == ("latent-17", "latent-4")
    assert (first.text, first.attribute) == ("stripes\nof zebras", AttributeName("words", "stripes\nof zebras"))
    assert (first.latents, first.pooling, first.tokens) == (Latents((17,)), "mean", "content")


JUDGED = {
    "text": "stripes", "claim": "does not fire on", "attribute": {"source": "label", "name": "zebra"},
    "threshold": 1.25, "pooling": "max", "counts": {"tp": 1, "fp": 2, "fn": 3, "tn": 4},
}  # fmt: skip


def test_hypotheses_of_the_page_come_with_their_thresholds(tmp_path: Path) -> None:
    starred = JUDGED | {"text": "mine", "attribute": None, "set": "held_out", "threshold": 0}
    draft, _ = read_notes(write(tmp_path, {"latent": 1, "hypotheses": [JUDGED, starred]}, version=2), pooling="mean")
    first, second = draft.hypotheses
    assert (first.id, first.claim, first.pooling) == ("latent-1-1", "does not fire on", "max")
    assert (first.latents, first.attribute) == (Latents((1,), (), (1.25,)), AttributeName("label", "zebra"))
    assert (second.id, second.attribute, second.latents.thresholds) == (
        "latent-1-2",
        AttributeName("words", "mine"),
        (0,),
    )


def test_a_claim_comes_before_its_text_and_what_is_refuted_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = [
        {"latent": 1, "text": "or bars?", "claim": "stripes", "verdict": "supported", "other": [1]},
        {"latent": 2, "claim": "eyes", "verdict": "refuted"},
        {"latent": 3, "tags": ["later"]},
    ]
    draft, _ = read_notes(write(tmp_path, *notes, version=2))
    assert [(one.id, one.text) for one in draft.hypotheses] == [("latent-1", "stripes")]
    assert "its notes call 1 refuted, which are left out: latents 2" in capsys.readouterr().err


def test_they_are_frozen_for_their_sae_alone(tmp_path: Path) -> None:
    draft, half = read_notes(write(tmp_path, note(17, "stripes"), half={"seed": 3, "group": ["site"]}))
    assert half == Halves(3, ("site",))
    chosen = type(draft)(tuple(one.with_thresholds((1.0,)) for one in draft.hypotheses), weights=draft.weights)
    assert chosen.frozen(SAE, "5" * 64, datetime.now(UTC)).hypotheses[0].latents.thresholds == (1.0,)
    with pytest.raises(InputError, match=rf"an SAE whose weights have a SHA-256 of {sae_id(SAE)}\.\.\., not"):
        chosen.frozen(TopK(d_in=4, d_sae=50, k=2), "5" * 64, datetime.now(UTC))


@pytest.mark.parametrize(
    ("notes", "facts", "message"),
    [
        ([note(1, "a")], {"format": "saev-note"}, "no file of notes of version 1 or 2"),
        ([note(1, "a")], {"version": 3}, "no file of notes of version 1 or 2"),
        ([note(1, "a")], {"sae": 3}, "'sae' must be a string"),
        ([note(1, "a")], {"more": 3}, "unknown keys"),
        ([note(1, "a")], {"half": {"seed": -1, "group": []}}, "'seed' must be an integer"),
        ([note(1, "a")], {"half": 0}, "'half' must be an object"),
        ([note(1, "a"), note(1, "")], {}, r"notes\[1\] is a second one of latent 1"),
        ([note(-1, "a")], {}, "'latent' must be an integer"),
        ([{"latent": 1, "text": "a"}], {}, r"notes\[0\]: missing keys"),
        ([note(1, "a" * 10_001)], {}, "text has 10001 characters"),
        ([note(1, " ")], {}, "none of its 1 notes has a claim or a text"),
        ([{"latent": 1, "claim": "a", "confidence": 101}], {"version": 2}, "confidence is 101"),
        ([{"latent": 1, "verdict": "yes"}], {"version": 2}, "'verdict' must be one of open, supported, refuted"),
        ([{"latent": 1, "evidence": [{"picture": 1}]}], {"version": 2}, r"evidence: missing keys \['name'\]"),
        ([{"latent": 1, "claim": "a"}], {}, "missing keys"),
        ([{"latent": 1, "claim": "a", "verdict": "refuted"}], {"version": 2}, r"that is not refuted \(1 are\)"),
        ([], {}, "none of its 0 notes has a claim or a text"),
        ([{"latent": 1, "hypotheses": 3}], {"version": 2}, "hypotheses of latent 1: expected a list of at most 20"),
        ([{"latent": 1, "hypotheses": [JUDGED] * 21}], {"version": 2}, "expected a list of at most 20"),
        ([{"latent": 1, "hypotheses": [{"text": "a"}]}], {"version": 2}, "hypotheses of latent 1: missing keys"),
        ([{"latent": 1, "hypotheses": [JUDGED | {"threshold": -1}]}], {"version": 2}, "threshold"),
        ([{"latent": 1, "hypotheses": [JUDGED | {"claim": "is"}]}], {"version": 2}, "'claim' must be one of"),
        ([{"latent": 1, "hypotheses": [JUDGED | {"attribute": {"name": "a"}}]}], {"version": 2}, "attribute: missing"),
    ],
)
def test_notes_with_a_mistake_are_refused(
    tmp_path: Path, notes: list[object], facts: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_notes(write(tmp_path, *notes, **facts))
