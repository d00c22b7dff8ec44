"""The page of candidates in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import expect_text

from saev.probing.candidates.page import Facts, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser
N = 450
FACTS = Facts("shards-\u202e</script>", 100, 90, 100, 4096, len(HOSTILE), 3, 0, "max")


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
    write_page(path, columns(), FACTS)
    return path


def latents(page: "Page") -> list[int]:
    return [int(cell.replace(",", "")) for cell in page.locator("#rows td:first-child").all_text_contents()]


def test_rows_are_sorted_by_the_size_of_an_effect_and_by_any_column(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_text(page, "#found", "450 of 450 pairs")
    assert latents(page) == list(range(200))  # the most negative MCC first
    assert page.locator("th[aria-sort]").all_text_contents() == ["MCC"]
    page.click("text=Show more")
    page.click("text=Show more")
    assert len(latents(page)) == N
    assert page.locator("#more").is_hidden()
    page.click("th >> text=Latent")
    assert latents(page)[:3] == [0, 1, 2]
    page.click("th >> text=Latent")
    assert latents(page)[:3] == [449, 448, 447]
    page.click("th >> text=p of the best")
    assert latents(page)[0] == 0
    page.click("th >> text=p of the best")
    assert latents(page)[0] == 0  # without a value: last either way
    assert page.locator("th").filter(has_text="IoU").count() == 0


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


def test_names_are_texts_and_nothing_is_asked_for(index: Path, open_page: Open) -> None:
    page = open_page(index)
    shown = set(page.locator("#rows bdi").all_text_contents())
    assert shown == set(HOSTILE)
    assert page.locator("#rows td.text").first.text_content() == f"metadatanot {HOSTILE[0]}"
    assert "Exploratory" in (page.locator("#warning").text_content() or "")
    assert "Benjamini" in (page.locator("#warning").text_content() or "")
    assert b"\\u202e" in index.read_bytes()
