"""How much of a gallery there is room for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.browsing import Open
from tests.gallery.detail_galleries import codes, overview, page
from tests.gallery.galleries import given_pictures

from saev.gallery.data import N_SMALL, LatentExample, LatentPage
from saev.gallery.fitting import Budget, Pictures
from saev.gallery.scripts import read_script
from saev.gallery.write import write_gallery
from saev.latents.pictures import Picture

N_PICTURES, LATENTS = 30, [20, 7, 33, 12, 25, 39, 6, 18, 30, 11, 27, 4]
"""In the order of preference, which is not that of their numbers."""


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Pictures of noise: they take as many bytes as thumbnails can."""
    rng = np.random.default_rng(0)
    views = [Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).resize((300, 200)) for _ in range(N_PICTURES)]
    named = [Picture(i, f"noise/{i}" * (i + 1), "noise", None if i == 3 else view) for i, view in enumerate(views)]
    return given_pictures([(picture, codes(range(4, 40))) for picture in named])


def page_of(latent: int, is_small: bool) -> LatentPage:
    """A page of twelve pictures, of which others show some."""
    top = [LatentExample((latent + 2 * i) % N_PICTURES, 20.0 - i) for i in range(12)]
    levels = page(latent).heatmaps[0]
    whole = page(latent, top={"patch": top, "img": top[::-1]}, heatmaps={one.image_id: levels for one in top})
    return whole.small() if is_small else whole


def write(out: Path, pictures: Pictures, n_bytes: int | None, n_ready: int = len(LATENTS)) -> Path:
    """A gallery of at most so many bytes, of whose pages so many are made whole."""
    pages = [page_of(latent, i >= n_ready) for i, latent in enumerate(LATENTS)]
    images = {example.image_id for one in pages for example in one.small().best}
    budget = None if n_bytes is None else Budget.of(n_bytes, len(pages), images, pictures)
    return write_gallery(out, overview(), pages, pictures, budget=budget)


def size_of(index: Path) -> int:
    return sum(path.stat().st_size for path in index.parent.rglob("*") if path.is_file())


def pages_in(index: Path) -> tuple[set[int], list[int]]:
    """Latents with whole pages and with small ones, as the overview says; and both are where it says."""
    said = read_script((index.parent / "data" / "overview.js").read_text(encoding="ascii"))
    full, small = set(said["pages"]), said.get("small", {"latents": []})["latents"]
    for latent in full:
        raw = read_script((index.parent / "data" / "latents" / f"{latent:06d}.js").read_text(encoding="ascii"))
        assert len(raw["heat"]["images"]) == 12
    for start in range(0, len(small), 64):
        raws = read_script((index.parent / "data" / "small" / f"{start // 64:06d}.js").read_text(encoding="ascii"))
        assert [raw["index"] for raw in raws] == small[start : start + 64]
        assert all(list(raw["top"]) == ["patch"] and len(raw["heat"]["images"]) == N_SMALL for raw in raws)
    thumbnails = {int(path.stem) for path in (index.parent / "images").iterdir()}
    assert thumbnails == {image for image, _name, _label, width, _height in said["pictures"] if width}
    return full, small


@settings(max_examples=15, deadline=None)
@given(n_bytes=st.integers(0, 1_200_000), n_ready=st.integers(0, len(LATENTS)))
def test_a_gallery_keeps_to_its_size(
    tmp_path_factory: pytest.TempPathFactory, pictures: Pictures, n_bytes: int, n_ready: int
) -> None:
    root = tmp_path_factory.mktemp("sizes")
    index = write(root / "g", pictures, n_bytes, n_ready)
    full, small = pages_in(index)
    assert full == set(LATENTS[: len(full)])
    assert small == LATENTS[len(full) :][: len(small)]
    if full or small:
        assert size_of(index) <= n_bytes
    else:  # the numbers of all latents are there in any case
        assert not list((index.parent / "images").iterdir())


def test_what_there_is_room_for(tmp_path: Path, pictures: Pictures) -> None:
    whole = write(tmp_path / "whole", pictures, None)
    assert pages_in(whole) == (set(LATENTS), [])
    assert len(list((whole.parent / "data" / "pictures").iterdir())) == N_PICTURES
    same = write(tmp_path / "same", pictures, size_of(whole) + 20_000)
    assert pages_in(same) == (set(LATENTS), []), "room for all is used"
    assert len(list((same.parent / "data" / "pictures").iterdir())) == N_PICTURES
    full, small = pages_in(write(tmp_path / "less", pictures, size_of(whole) - 100_000))
    assert full and len(full) + len(small) == len(LATENTS), "before pages become small, none is left out"


@pytest.mark.browser
def test_a_small_page_says_what_it_lacks(tmp_path: Path, pictures: Pictures, open_page: Open) -> None:
    index = write(tmp_path / "g", pictures, None, n_ready=3)
    opened = open_page(index, "#latent=18")
    opened.wait_for_selector("#latent .examples figure .picture canvas")
    assert opened.locator("#latent .examples figure").count() == N_SMALL
    said = opened.locator("#latent .latent-pictures > .note").inner_text()
    assert "saev render --run_dir RUN --visualizer.include_latents '[18]'" in said
    panels = opened.locator("#latent .panel h2").all_inner_texts()
    assert {"Values", "Labels of its images", "Nearest decoder directions", "Fires together with"} <= set(panels)
    opened.goto(f"{index.as_uri()}#latent=33")
    opened.wait_for_selector("#latent .samples")
    assert opened.locator("#latent .latent-pictures > .note").count() == 0
    opened.goto(f"{index.as_uri()}#")
    opened.wait_for_selector("#cards li[data-latent='18'] .thumbs canvas")
    assert "12 with pictures, 9 of these with nine at most" in opened.locator("#counts").inner_text()
