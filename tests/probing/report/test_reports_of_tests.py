"""The page that `saev probe test` writes."""

import base64
import html
import io
import logging
import re
import shlex

import numpy as np
import pytest
from PIL import Image
from tests.probing.report.reports import make_result, make_values
from tests.probing.verdicts.planted import TRUE, UNRELATED, Study, make_study

import saev
import saev.probing
from saev.cli.main import main
from saev.probing.report.gather import Gatherer
from saev.probing.report.tables import hard_negatives
from saev.probing.sets.files import read_set
from saev.probing.verdicts.files import PAGE_FILE, read_verdicts
from saev.probing.verdicts.result import HardNegatives


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"), n=200)


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    """The page of a test of two latents, of whose sets one has lost its pictures."""
    frozen = study.freeze(TRUE, UNRELATED)
    sets = study.build(frozen, n=40)
    answers = [study.answer(read_set(sets / one.id), one.id) for one in frozen.hypotheses]
    for one in read_set(sets / "latent-1").pictures:
        (sets / "latent-1" / "pictures" / one.file).unlink()
    frozen.write(study.root / "frozen hypotheses.json")
    out = saev.probing.test(
        study.root / "frozen hypotheses.json", study.sae, study.shards, sets, study.root / "report", answers=answers,
        controls=False, n_permutations=99, device="cpu",
    )  # fmt: skip
    return (out / PAGE_FILE).read_text(encoding="ascii")


def test_pictures_are_as_the_vit_saw_them_under_their_heatmaps(page: str) -> None:
    true, unrelated = page.split("<article ")[1:]
    n = true.count('class="picture"')
    assert n >= 15
    assert true.count('src="data:image/jpeg;base64,') == n
    assert true.count('class="heat" src="data:image/png;base64,') == n
    assert "Hits: it fires, and should" in true
    assert 'alt="a/' in true
    n = unrelated.count('class="picture"')
    assert unrelated.count("gone, or another picture by now") == n > 0
    assert "image/jpeg" not in unrelated


def test_heatmaps_are_brightest_where_the_latent_fires(study: Study, page: str) -> None:
    codes = saev.encode(study.sae, study.shards, tokens="content", device="cpu")
    image_of = {record.path: image for image, record in enumerate(study.records)}
    hits = page[page.index("Hits: it fires") : page.index("Misses: it does not fire")]
    found = re.findall(r'alt="([^"]+)"><img class="heat" src="data:image/png;base64,([^"]+)"', hits)
    assert len(found) >= 5
    for name, content in found:
        alpha_hw = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))[..., 3]
        values_p = codes.of_images([image_of[name]]).dense()[0, :, TRUE]
        assert alpha_hw.shape == (2, 3)
        assert alpha_hw.argmax() == values_p.argmax()
        assert (alpha_hw > alpha_hw.min()).sum() == (values_p > 0).sum() == 1


def test_the_page_says_how_to_run_it_again(study: Study, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = html.unescape(page[page.index("<pre") : page.index("</pre>")])
    words = shlex.split(re.sub("<.*?>", "", said))
    assert words[:3] == ["saev", "probe", "test"]
    assert words[-2:] == ["--out", str(study.root / "report")]
    assert main([*words[1:-1], str(study.root / "again")]) == 0, capsys.readouterr().err
    first, second = (read_verdicts(study.root / name).results for name in ("report", "again"))
    assert [one.effect for one in second] == [one.effect for one in first]
    assert [one.p for one in second] == [one.p for one in first]
    again = (study.root / "again" / PAGE_FILE).read_text(encoding="ascii")
    assert 'data-standing="exploratory"' in again
    assert "Tests on these pictures before" in again


def test_pictures_that_are_gone_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    faults = ["p001.png: no such file", "p002.png: no such file"]
    with caplog.at_level(logging.WARNING):
        Gatherer(None, None, faults).warn_of_faults()  # type: ignore[arg-type]
    assert [record.message for record in caplog.records] == [
        "2 pictures are shown as grey tiles; the first: p001.png: no such file"
    ]


def test_hard_pictures_that_are_too_few_are_told_from_those_that_speak_against() -> None:
    few, against = (HardNegatives("hard-near", 12, 0.0, *ends) for ends in ((0.2, -0.02, 0.3), (-0.1, -0.3, 0.1)))
    assert "too few to say" in hard_negatives(make_result(make_values(), roles=(few,)))
    assert "<strong>yes</strong>" in hard_negatives(make_result(make_values(), roles=(against,)))
