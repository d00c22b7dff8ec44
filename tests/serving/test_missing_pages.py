"""Pages that a gallery lacks, made by the server: the same as in a gallery that has all."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.browsing import FILES, Tabs
from tests.serving.conftest import CPU, ask, error, serve
from tests.serving.served import Served

import saev
from saev.artifacts import RunDirectory
from saev.gallery.recipe import Recipe
from saev.gallery.scripts import read_script
from saev.serving.open_run import missing_pages, open_saes
from saev.serving.server import GalleryServer
from saev.shards.reading.open import open_shards


@pytest.fixture(scope="module")
def galleries(run_dir: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A gallery of all latents, and the run with one of two, and without pages of pictures."""
    root = tmp_path_factory.mktemp("missing")
    (sae,) = (run_dir / "saes").iterdir()
    shutil.copytree(run_dir / "saes", root / "run" / "saes")
    shutil.copy(run_dir / "config.yaml", root / "run")
    options = {"n_images": 9, "seed": 3, "top_k": 4, "sort_by": "img", "device": "cpu"}
    whole = saev.render({sae.name: sae}, shards, root / "whole", **options)[sae.name].parent
    few = {"n_latents": 2, "n_picture_pages": 0}
    return whole, saev.render({sae.name: sae}, shards, root / "run" / "features", **options, **few)[sae.name].parent


@pytest.fixture(scope="module")
def server(galleries: tuple[Path, Path], shards: Path) -> Iterator[GalleryServer]:
    features = galleries[1].parent
    opened = open_saes(RunDirectory(features.parent))
    for found in serve(features, dict.fromkeys(opened, "no ViT")):
        found.pages = missing_pages(opened, open_shards(shards), CPU)
        yield found


def script_in(gallery: Path, name: str) -> Any:
    return read_script((gallery / "data" / name).read_text(encoding="ascii"))


def page_from(server: GalleryServer, name: str, latent: int) -> dict[str, Any]:
    """What the server answers at last."""
    while True:
        response, content = ask(server, "GET", f"/{name}/live/latents/{latent}")
        assert response.status == 200, content
        answer: dict[str, Any] = json.loads(content)
        if "page" in answer:
            return answer
        assert 0 <= answer["done"] <= answer["of"] == 9


def test_they_are_what_a_gallery_of_all_has(server: GalleryServer, galleries: tuple[Path, Path]) -> None:
    whole, few = galleries
    assert len(script_in(few, "overview.js")["pages"]) == 2
    said = script_in(whole, "overview.js")
    latents = said["pages"]
    assert len(latents) > 20
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda latent: page_from(server, few.name, latent), latents))
    unlike = {"judged"}  # near misses are not looked for
    for latent, answer in zip(latents, answers, strict=True):
        expected = script_in(whole, f"latents/{latent:06d}.js")
        assert {k: v for k, v in answer["page"].items() if k not in unlike} == {
            k: v for k, v in expected.items() if k not in unlike
        }
        names = {image: name for image, name, *_ in said["pictures"]}
        assert all(names[image] == name for image, name, _label in answer["pictures"])
    for image, *_ in said["pictures"]:
        for path in (f"images/{image:08d}.jpg", f"data/pictures/{image:08d}.js"):
            response, content = ask(server, "GET", f"/{few.name}/{path}")
            assert (response.status, content) == (200, (whole / path).read_bytes()), path


def test_what_cannot_be_made_has_a_reason(server: GalleryServer, galleries: tuple[Path, Path], shards: Path) -> None:
    whole, few = galleries
    _, content = ask(server, "GET", f"/{few.name}/live/state")
    state = json.loads(content)
    assert (state["reason"], state["pages"]) == ("no ViT", None)
    dead = min({*range(48)} - set(script_in(whole, "overview.js")["pages"]))
    page_from(server, few.name, script_in(whole, "overview.js")["pages"][0])
    for asked, why in [(48, "latents are numbers from 0 to 47"), ("x", "latents are numbers"), (dead, "never fired")]:
        response, content = ask(server, "GET", f"/{few.name}/live/latents/{asked}")
        assert response.status == 400
        assert why in error(content)
    unseen = min({*range(12)} - {image for image, *_ in script_in(whole, "overview.js")["pictures"]})
    for path in ("images/00000099.jpg", f"images/{unseen:08d}.jpg", "images/1.jpg", "data/pictures/00000099.js"):
        assert ask(server, "GET", f"/{few.name}/{path}")[0].status == 404, path
    (one,) = open_saes(RunDirectory(few.parents[1])).values()
    assert not isinstance(one, str)
    assert one.overview.recipe is not None
    for recipe, why in [
        (None, "does not say what it was made from"),
        (replace(one.overview.recipe, shards="another"), "shows other pictures than those of"),
    ]:
        changed = replace(one, overview=one.overview._replace(recipe=recipe))
        found = missing_pages({"one": changed, "gone": "it is gone"}, open_shards(shards), CPU)
        assert isinstance(found["one"], str)
        assert why in found["one"]
        assert found["gone"] == "it is gone"


def test_what_is_no_recipe_is_refused(galleries: tuple[Path, Path]) -> None:
    raw = script_in(galleries[0], "overview.js")["recipe"]
    assert Recipe.from_json(raw).to_json() == raw
    for changes in ({"images": "AAAA"}, {"images": "?"}, {"sortBy": "size"}, {"topK": "many"}):
        with pytest.raises(ValueError):
            Recipe.from_json(raw | changes)


@pytest.mark.browser
def test_a_browser_sees_no_difference(tabs: Tabs, server: GalleryServer, galleries: tuple[Path, Path]) -> None:
    whole, few = galleries
    latents = script_in(whole, "overview.js")["pages"]
    missing = next(latent for latent in latents if latent not in script_in(few, "overview.js")["pages"])
    found = Served(tabs.take(), server, few.name)
    tabs.complaints, tabs.allowed = found.complaints, (server.url, "blob:")
    page = found.page
    page.goto(f"{server.url}{few.name}/")
    found.says("#counts", f"{len(latents)} with pictures")
    page.wait_for_selector("#cards .thumbs img")
    found.count("#cards li:not(:has(.thumbs))", 0)
    page.goto(f"{server.url}{few.name}/#latent={missing}")
    page.wait_for_selector("#latent .samples .picture img")
    found.count("#latent .latent-pictures > .note", 0)
    page.click("#latent .examples a.example >> nth=0")
    page.wait_for_selector("#picture .fire-list")
    assert page.evaluate("document.querySelector('#picture img').complete")
    tabs.allowed = (server.url, *FILES)
    tabs.empty()
    tabs.allowed = FILES
    assert found.complaints == []
