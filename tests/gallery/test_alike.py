"""Pictures that are nearly the same: planted backgrounds are found again, and folded on the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.browsing import Open
from tests.gallery import detail_galleries
from tests.gallery.pages import expect_count

from saev.gallery import alike
from saev.gallery.alike import SeenCodes, groups_of
from saev.latents.encoding import ImageCodes
from saev.latents.sparse import SparseCodes, Spots
from saev.nn import TopK

N, T, D_SAE = 120, 9, 64


class Given(ImageCodes):
    """Codes that are there, three images at a time."""

    def __init__(self, f_nts: torch.Tensor) -> None:
        super().__init__(D_SAE, Spots(T, range(T)), (3, 3))
        self.f_nts = f_nts

    def batches(self, images, what):  # type: ignore[no-untyped-def]
        for start in range(0, len(images), 3):
            ids = np.asarray(images[start : start + 3])
            yield ids, SparseCodes.of(self.f_nts[ids])


def planted() -> torch.Tensor:
    """Images i with i % 4 < 3 have background i % 3 of the first 30; objects, and a common brightness, vary freely."""
    rng = np.random.default_rng(0)
    backgrounds, f = rng.random((3, D_SAE)) * (rng.random((3, D_SAE)) < 0.3), np.zeros((N, T, D_SAE))
    bright = rng.random(D_SAE)
    for i in range(N):
        own = rng.random(D_SAE) * (rng.random(D_SAE) < 0.3)
        f[i] += backgrounds[i % 3] if i < 30 else own
        f[i, rng.integers(0, T)] = rng.random(D_SAE) * (rng.random(D_SAE) < 0.3)  # an object
        f[i] += 3 * rng.random() * bright
    return torch.from_numpy(f).float()


def test_planted_backgrounds_are_found_whatever_is_in_front() -> None:
    sae = TopK(d_in=32, d_sae=D_SAE, k=4)
    with torch.no_grad():
        sae.W_dec.copy_(
            torch.nn.functional.normalize(torch.randn(D_SAE, 32, generator=torch.Generator().manual_seed(1)), dim=1)
        )
    codes = SeenCodes(Given(planted()), sae, seed=0)
    assert codes.alike(range(N)) == []  # nobody asked for them
    seen = [image for ids, _ in codes.batches(np.arange(N), None) for image in ids.tolist()]
    assert seen == list(range(N))
    list(codes.batches(np.arange(7), None))  # seen twice, remembered once
    found = codes.alike(range(N))
    assert found[:3] == [list(range(i, 30, 3)) for i in range(3)]
    assert sum(map(len, found[3:])) <= 4  # others may meet by chance
    assert codes.alike(range(alike.FEWEST - 1)) == []


@given(st.integers(1, 30), st.integers(0, 10**6), st.sampled_from([1, 4, 1024]), st.sampled_from([-0.5, 0.3, 0.9, 1.1]))
def test_groups_equal_brute_force(n: int, seed: int, block: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.integers(-2, 3, (n, 3)) + 0.1 * rng.random((n, 3))).astype(np.float32)
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    expected: list[int] = []
    for i in range(n):
        firsts = [j for j in range(i) if expected[j] == j]
        nearest = max(firsts, key=lambda j: float(units[i] @ units[j]), default=None)
        joins = nearest is not None and units[i] @ units[nearest] >= least
        expected.append(nearest if joins and nearest is not None else i)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike, "BLOCK", block)
        assert groups_of(points, least).tolist() == expected


@pytest.mark.browser
def test_rows_fold_what_is_alike_and_what_has_one_label(tmp_path: Path, open_page: Open) -> None:
    shown = detail_galleries.pictures()
    shown = [replace(one, label="fish" if one.image_id == 5 else "birds") for one in shown]
    gallery = replace(detail_galleries.overview(), alike=lambda images: [[0, 2, 3], [1, 6]])
    page = open_page(detail_galleries.write(tmp_path / "g", gallery, shown=shown), "#latent=6", width=1440)

    def ranks() -> list[str]:
        return page.locator(".examples .value span").all_inner_texts()

    expect_count(page, ".examples figure", 5)
    assert ranks() == ["1", "2", "5", "6", "8"]  # the first of each group keeps its place
    assert page.locator(".folded").all_inner_texts() == ["\u00d73", "\u00d72"]
    page.locator(".folded").first.click()
    assert ranks() == ["1", "3", "4", "2", "5", "6", "8"]
    page.locator(".folded").first.click()
    assert ranks() == ["1", "2", "5", "6", "8"]
    page.select_option("#fold-by", "label")
    assert ranks() == ["1", "6"]
    page.reload()  # the choice is kept
    expect_count(page, ".examples figure", 2)
    page.select_option("#fold-by", "")
    assert len(ranks()) == 8
    assert page.locator(".folded").count() == 0
    page.select_option("#fold-by", "alike")
    page.goto(page.url.split("#")[0])
    first = page.locator("[data-latent='6'] .thumbs img")
    expect_count(page, "[data-latent='6'] .thumbs img", 4)
    assert [one.get_attribute("src") for one in first.all()] == [f"images/{i:08d}.jpg" for i in (0, 1, 4, 5)]
