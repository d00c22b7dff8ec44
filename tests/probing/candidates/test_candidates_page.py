"""The page of candidates in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import expect_text

from saev.probing.candidates.page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser
N = 450
FACTS = {"Recording": "shards-\u202e</script>", "Latents": "4,096", "In the draft": "3"}


def columns() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    latent = np.arange(N, dtype=np.int32)
    names = [HOSTILE[i % len(HOSTILE)] for i in range(N)]
    found: dict[str, Any] = {
        name: rng.random(N)
        for name in (
            "threshold", "f1", "average_precision", "prevalence", "auroc", "frequency", "p_best", "iou", "class_mcc",
        )
    }  # fmt: skip
    found["p_best"][1:] = np.nan
    found["iou"][:] = np.nan
    mcc = np.linspace(-0.9, -0.1, N)
    mcc[-50:] = np.linspace(0.09, 0.01, 50)
    is_low = mcc < 0
    return found | {
        "latent": latent,
        "source": ["label" if i % 2 else "metadata" for i in range(N)],
        "family": names,
        "attribute": names,
        "kind": ["binary"] * N,
        "claim": ["does not fire on" if one else "fires on" for one in is_low],
        "best_of_attribute": latent < 5,
        "mcc": mcc,
        "correlation": mcc,
        "q": np.where(latent < 20, 1e-9, 0.5),
        "note": ["not more than its class says" if i == 3 else "" for i in range(N)],
    }


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candidates") / "index.html"
    write_page(path, columns(), FACTS, 4096 * len(HOSTILE))
    return path


def latents(page: "Page") -> list[int]:
    return [int(cell.replace(",", "")) for cell in page.locator("#rows td:first-child").all_text_contents()]


def test_rows_are_sorted_by_the_size_of_an_effect_and_by_any_column(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_text(page, "#found", "450 of 450 pairs")
    assert latents(page) == list(range(200))  # the most negative MCC first
    assert page.locator("th[aria-sort]").all_text_contents() == ["MCC"]
    page.click("th >> text=Latent")
    assert latents(page)[:3] == [0, 1, 2]
    page.click("th >> text=Latent")
    assert latents(page)[:3] == [449, 448, 447]
    page.click("th >> text=p of the best")
    assert latents(page)[0] == 0
    page.click("th >> text=p of the best")
    assert latents(page)[0] == 0  # without a value: last either way
    assert page.locator("th").filter(has_text="IoU").count() == 0
    page.click("text=Show more")
    page.click("text=Show more")
    assert len(latents(page)) == N
    assert page.locator("#more").is_hidden()


def test_filters(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.check("#small-q")
    expect_text(page, "#found", "20 of 450 pairs")
    page.select_option("#source", "label")
    assert latents(page) == list(range(1, 20, 2))
    page.check("#only-best")
    assert latents(page) == [1, 3]
    page.fill("#search", "3")
    assert latents(page) == [3]
    assert page.locator("td.proxy").get_attribute("title") == "not more than its class says"
    page.fill("#search", "no such thing")
    assert page.locator("#nothing").is_visible()


def small() -> dict[str, Any]:
    """Three best latents with controls, of which one is of a claim that a latent does not fire, and a number."""
    nan = np.nan
    names = [*HOSTILE[:3], HOSTILE[3]]
    return {
        "latent": np.arange(4, dtype=np.int32),
        "source": ["label", "label", "metadata", "metadata"],
        "family": names,
        "attribute": names,
        "kind": ["binary"] * 3 + ["numeric"],
        "claim": ["fires on", "fires on", "does not fire on", "does not fire on"],
        "best_of_attribute": np.ones(4, dtype=np.bool_),
        "mcc": np.array([0.9, 0.8, -0.7, nan]),
        "correlation": np.array([0.1, 0.1, -0.1, -0.6]),
        "q": np.array([0.5, 1e-9, 1e-9, 1e-9]),
        "left_out_mcc": np.array([0.2, 0.6, -0.5, nan]),
        "neuron_mcc": np.array([0.5, 0.57, -0.1, nan]),
        "linear_mcc": np.array([0.6, 0.7, -0.2, nan]),
        "above_neuron": np.array([0.01, 0.6, 0.98, nan]),
        "above_linear": np.array([0.0, 0.05, 1.0, nan]),
        "means_mcc": np.array([0.1, 0.2, -0.3, nan]),
        "note": [""] * 4,
    }


def test_the_best_latents_stand_beside_controls(tmp_path: Path, open_page: Open) -> None:
    write_page(tmp_path / "index.html", small(), FACTS, 4096 * len(HOSTILE))
    page = open_page(tmp_path / "index.html")
    words = page.locator("td.beside").all_text_contents()
    assert words == [
        "0.20: below neuron and probe",
        "0.60: like neuron, below probe",
        "0.50: above neuron and probe",
    ]
    assert "difference of class means 0.30" in (page.locator("td.beside").nth(2).get_attribute("title") or "")
    page.click("th >> text=Latent beside controls")
    assert latents(page) == [2, 1, 0, 3]
    page.check("#above-neuron")
    assert latents(page) == [2]
    assert page.locator("th >> text=Linear probe").count() == 0
    page.check("#all-controls")
    page.click("th >> text=Linear probe")
    page.uncheck("#above-neuron")
    assert latents(page) == [1, 0, 2, 3]


def test_numbers_have_a_filter_and_are_sorted_by_correlation(tmp_path: Path, open_page: Open) -> None:
    write_page(tmp_path / "index.html", small(), FACTS, 4096 * len(HOSTILE))
    page = open_page(tmp_path / "index.html")
    assert latents(page)[-1] == 3
    page.select_option("#kind", "1")
    assert latents(page) == [3]
    assert page.locator("th[aria-sort]").all_text_contents() == ["r"]
    assert page.locator("th").all_text_contents() == ["Latent", "Attribute", "r", "q"]
    assert page.locator("#rows td.text").text_content() == f"metadata{HOSTILE[3]}"  # less of it is not its opposite
    assert set(page.locator("#rows bdi").all_text_contents()) == {HOSTILE[3]}
    page.select_option("#kind", "0")
    assert latents(page) == [0, 1, 2]


def test_without_controls_or_numbers_nothing_is_said_of_them(index: Path, open_page: Open) -> None:
    page = open_page(index)
    for hidden in ("#kinds", "#above-neuron", "#all-controls", "p.legend"):
        assert page.locator(hidden).is_hidden()


def test_names_are_texts_and_nothing_is_asked_for(index: Path, open_page: Open) -> None:
    page = open_page(index)
    shown = set(page.locator("#rows bdi").all_text_contents())
    assert shown == set(HOSTILE)
    assert page.locator("#rows td.text").first.text_content() == f"metadatanot {HOSTILE[0]}"
    assert "Exploratory" in (page.locator("#warning").text_content() or "")
    assert "Benjamini" in (page.locator("#warning").text_content() or "")
    assert "in the draft it lies halfway" in (page.locator("#warning").text_content() or "")
    assert b"\\u202e" in index.read_bytes()
