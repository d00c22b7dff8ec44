"""Reports of tests that were never done."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tests.probing.sets.small_sets import weights_of

from saev.pages.embedding import jpeg
from saev.probing.controls.control import Control
from saev.probing.hypotheses.hypothesis import AttributeName, Claim, Hypothesis, Latents
from saev.probing.hypotheses.ledger import LedgerEntry
from saev.probing.report.gather import png
from saev.probing.report.page import report_page
from saev.probing.report.reported import Kind, Reported, ShownPicture, kinds_of
from saev.probing.sets.image_set import ImageSet, Role, SetPicture
from saev.probing.sets.sampling import Stratum
from saev.probing.statistics.sanity import Sanity
from saev.probing.statistics.scores import scores
from saev.probing.verdicts.files import Verdicts
from saev.probing.verdicts.inputs import Input
from saev.probing.verdicts.result import Confounder, HardNegatives, Matched, Result
from saev.probing.verdicts.values import SetValues

N_SAMPLE, N_HARD = 40, 12
TRIED = LedgerEntry("2026-01-01T10:00:00+00:00", "5" * 64, "latent-3", "2" * 64, "confirmed", exploratory=False)
JPEG = jpeg(Image.new("RGB", (40, 30), (200, 120, 40)), 40)[0]
HEAT = png(np.arange(6.0).reshape(2, 3), 5.0)


def make_values(claim: Claim = "fires on", text: str = "stripes", attribute: str = "stripes") -> SetValues:
    """A latent that fires on most pictures with the attribute and on few others, and on half of the hard ones."""
    rng = np.random.default_rng(0)
    n = N_SAMPLE + N_HARD
    y_k = (np.arange(n) < N_SAMPLE // 2).astype(np.int8)
    fires_k = np.where(y_k == 1, rng.random(n) < 0.8, rng.random(n) < 0.2)
    fires_k[N_SAMPLE:] = np.arange(N_HARD) % 2
    a_k = np.where(fires_k, rng.uniform(1.1, 4, n), rng.uniform(0, 1, n) * (rng.random(n) < 0.5))
    pictures = tuple(_picture(k, bool(y_k[k])) for k in range(n))
    strata = (Stratum(0.0, 4.0, 200, N_SAMPLE),)
    made = ImageSet("latent-7", "1" * 64, "3" * 64, "4" * 64, text, {"kind": "labelled"}, 3, strata, pictures)
    hypothesis = Hypothesis(
        "latent-7", AttributeName("label", attribute), Latents((7,), (), (1.0,)), claim=claim, text=text
    )
    return SetValues(hypothesis, made, a_k, y_k, weights_of(made), np.zeros(n, np.int64), np.arange(n))


def _picture(k: int, label: bool) -> SetPicture:
    roles: tuple[Role, ...] = ("sample",) if k < N_SAMPLE else ("hard-near",)
    stratum = 0 if k < N_SAMPLE else None
    return SetPicture(f"p{k:03d}.png", k, f"zebra/{k}.png", "a" * 64, f"site={k}", roles, stratum, label)


def make_result(values: SetValues, **changes: object) -> Result:
    """What a test might have said."""
    used_k, hypothesis = values.used_k, values.hypothesis
    found = Result(
        id=hypothesis.id, text=hypothesis.text, claim=hypothesis.claim,
        attribute={"source": hypothesis.attribute.source, "name": hypothesis.attribute.name},
        latents={"any": [7], "unless": []}, threshold=1.0, smallest_effect=0.2, verdict="confirmed", exploratory=False,
        reason="Confirmed: the latent and the label agree by 0.62.", effect=0.62, interval=(0.41, 0.8), p=0.0001,
        p_corrected=0.0003, n=N_SAMPLE, n_positive=20, n_unsure=2, n_unanswered=0, n_unrecorded=0, n_earlier=0,
        n_no_stratum=0,
        n_needed=None,
        scores=scores(values.a_k[used_k], values.y_k[used_k], 1.0), sanity=Sanity(0.62, 0.4, 0.35, 1.0, 1.0),
        matched=Matched(100, 0.21, 0.05, 0.06), roles=(HardNegatives("hard-near", N_HARD, 0.5, 0.3, 0.05, 0.6),),
        controls=(Control("linear probe", 0.7, 0.5, 0.85, 0.9, 0.8, "on 768 neurons"),),
        confounders=(Confounder("class only", 0.15, "firing that is guessed from the class alone"),), edits=(),
        tried=(), set_digest="2" * 64,
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def make_reported(values: SetValues | None = None, names: Sequence[str] = (), **changes: object) -> Reported:
    """A hypothesis with three pictures of each kind that there is, the last of each gone."""
    values = values or make_values()
    names = names or ("zebra/1.png", "zebra/2.png", "zebra/3.png")
    pictures = tuple(ShownPicture(name, 2.5, ("sample",), JPEG, HEAT) for name in names[:-1])
    pictures += (ShownPicture(names[-1], 0.5, ("hard-near",), None, None),)
    kinds = tuple(
        Kind(title, max(int(mask_k.sum()), len(names)), pictures) for title, mask_k in kinds_of(values).items()
    )
    return Reported(make_result(values, **changes), values, kinds)


def write_report(path: Path, *reported: Reported, sae: str | Path = "RUN/saes/a b") -> Path:
    """The page of some hypotheses."""
    results = tuple(one.result for one in reported)
    verdicts = Verdicts(
        "2026-01-02T03:04:05+00:00",
        "1" * 64,
        "3" * 64,
        "4" * 64,
        0.05,
        len(results),
        999,
        2000,
        "site",
        0,
        (Input("answers", "a.csv", "6" * 64),),
        results,
    )
    options = {"sae": sae, "answers": ["a.csv", "b.csv"], "out": path.parent}
    path.write_bytes(report_page(verdicts, reported, options))
    return path


def four_standings() -> list[Reported]:
    """A hypothesis that is confirmed, one that is rejected, one undecided, and one look too many."""
    return [
        make_reported(id="latent-1"),
        make_reported(id="latent-2", text="dots", verdict="rejected", effect=0.02, interval=(-0.1, 0.15), matched=None),
        make_reported(id="latent-3", text="spots", verdict="undecided", n_needed=1234, roles=(), sanity=None),
        make_reported(
            make_values("does not fire on"), id="latent-4", verdict="undecided", exploratory=True, tried=(TRIED,)
        ),
    ]
