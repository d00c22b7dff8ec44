"""Pages that a gallery lacks, made by the server: the same as in a gallery that has all."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.browsing import FILES, Tabs
from tests.scene_folder import scene
from tests.serving.conftest import CPU, ask, error, serve
from tests.serving.served import Served

import saev
from saev.artifacts import RunDirectory
from saev.errors import InputError
from saev.gallery import near_misses
from saev.gallery.recipe import Recipe
from saev.gallery.scripts import read_script
from saev.serving.missing_pages import MissingPages
from saev.serving.open_pages import missing_pages
from saev.serving.open_run import encoding_of, open_saes
from saev.serving.server import GalleryServer
from saev.serving.turn import Ended, Left
from saev.shards.reading.open import open_shards

if TYPE_CHECKING:
    from playwright.sync_api import Route

SETS = {"": "", "more": "sets/more", "val": "sets/val"}
"""Image sets: some pictures, others of the same recording, and those of another one."""


@pytest.fixture(scope="module")
def others(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second recording of the same ViT."""
    root = tmp_path_factory.mktemp("others")
    for index in range(20, 26):
        path = root / "pictures" / ("one" if index % 2 else "two") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene(index).save(path)
    backbone = saev.load_backbone("timm", "test_vit", weights="random")
    (found,) = saev.record(root / "pictures", backbone, [-2], root / "shards", device="cpu")
    return found


@pytest.fixture(scope="module")
def galleries(run_dir: Path, shards: Path, others: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A gallery of all latents, and the run with one of two, and without pages of pictures; of three image sets."""
    root = tmp_path_factory.mktemp("missing")
    (sae,) = (run_dir / "saes").iterdir()
    shutil.copytree(run_dir / "saes", root / "run" / "saes")
    shutil.copy(run_dir / "config.yaml", root / "run")
    options = {"n_images": 9, "seed": 3, "top_k": 4, "sort_by": "img", "device": "cpu"}
    found = []
    for out, few in (("whole", {}), ("run/features", {"n_latents": 2, "n_picture_pages": 0})):
        given = options | few
        found.append(saev.render({sae.name: sae}, shards, root / out, **given)[sae.name].parent)
        saev.render({sae.name: sae}, shards, root / out, images=range(4, 12), image_set="more", **given)
        saev.render({sae.name: sae}, others, root / out, image_set="val", **given)
    return found[0], found[1]


@pytest.fixture(scope="module")
def server(galleries: tuple[Path, Path], shards: Path, others: Path) -> Iterator[GalleryServer]:
    features = galleries[1].parent
    opened = open_saes(RunDirectory(features.parent))
    for found in serve(features, dict.fromkeys(opened, "no ViT")):
        found.pages = missing_pages(opened, [open_shards(shards), open_shards(others)], CPU)
        yield found


def script_in(gallery: Path, name: str) -> Any:
    return read_script((gallery / "data" / name).read_text(encoding="ascii"))


def page_from(server: GalleryServer, folder: str, latent: int) -> dict[str, Any]:
    """What the server answers at last."""
    while True:
        response, content = ask(server, "GET", f"/{folder}/live/latents/{latent}")
        assert response.status == 200, content
        answer: dict[str, Any] = json.loads(content)
        if "page" in answer:
            return answer
        assert 0 <= answer["done"] <= answer["of"] <= 9


def without_steps(page: dict[str, Any]) -> tuple[dict[str, Any], list[float], NDArray[np.int64]]:
    """A page without near misses, and these, whose last bits depend on how many latents are looked at together."""
    rest, near = {**page["judged"]}, {**(page["judged"]["silent"] or {"range": [], "levels": ""})}
    rest["silent"] = {key: one for key, one in near.items() if key not in ("range", "levels")}
    levels = np.frombuffer(base64.b64decode(near["levels"]), np.uint8).astype(np.int64)
    return {**page, "judged": rest}, near["range"], levels


@pytest.mark.parametrize("image_set", SETS)
def test_they_are_what_a_gallery_of_all_has(
    server: GalleryServer, galleries: tuple[Path, Path], image_set: str
) -> None:
    whole, few = (gallery / SETS[image_set] for gallery in galleries)
    folder = f"{galleries[1].name}/{SETS[image_set]}".rstrip("/")
    assert len(script_in(few, "overview.js")["pages"]) == 2
    said = script_in(whole, "overview.js")
    n_pictures = np.frombuffer(base64.b64decode(said["imageFrequency"]), "<f4")
    latents = [latent for latent in said["pages"] if n_pictures[latent] > 0]  # in the first set all are, maybe not here
    assert len(latents) > 20
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda latent: page_from(server, folder, latent), latents))
    names, n_near = {image: name for image, name, *_ in said["pictures"]}, 0
    for latent, answer in zip(latents, answers, strict=True):
        page, bounds, levels = without_steps(answer["page"])
        expected, expected_bounds, expected_levels = without_steps(script_in(whole, f"latents/{latent:06d}.js"))
        assert page == expected
        assert bounds == pytest.approx(expected_bounds, rel=1e-4, abs=1e-5)
        assert np.abs(levels - expected_levels).max(initial=0) <= 1
        n_near += len(levels)
        assert all(names[image] == name for image, name, _label in answer["pictures"])
    assert n_near > 20
    for image, *_ in said["pictures"]:
        for path in (f"images/{image:08d}.jpg", f"data/pictures/{image:08d}.js"):
            response, content = ask(server, "GET", f"/{folder}/{path}")
            assert (response.status, content) == (200, (whole / path).read_bytes()), path


def test_what_cannot_be_made_has_a_reason(server: GalleryServer, galleries: tuple[Path, Path], shards: Path) -> None:
    whole, few = galleries
    _, content = ask(server, "GET", f"/{few.name}/live/state")
    state = json.loads(content)
    assert (state["reason"], state["pages"]) == ("no ViT", dict.fromkeys(SETS))
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
    changed = replace(one, overview=one.overview._replace(recipe=None))
    found = missing_pages({"one": changed, "gone": "it is gone"}, [open_shards(shards), InputError("x is gone")], CPU)
    assert found["gone"] == "it is gone"
    assert isinstance(found["one"], dict)
    assert "does not say what it was made from" in found["one"][""]
    assert isinstance(found["one"]["more"], MissingPages)
    assert found["one"]["val"] == (
        f"x is gone; the image set shows other pictures than those of {shards}; --shards names others"
    )


def test_what_is_no_recipe_is_refused(galleries: tuple[Path, Path]) -> None:
    raw = script_in(galleries[0], "overview.js")["recipe"]
    assert Recipe.from_json(raw).to_json() == raw
    for changes in ({"images": "AAAA"}, {"images": "?"}, {"sortBy": "size"}, {"topK": "many"}):
        with pytest.raises(ValueError):
            Recipe.from_json(raw | changes)


def test_a_page_waits_for_another_set_and_is_given_up_at_each_batch(
    galleries: tuple[Path, Path], shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_misses, "images_at_once", lambda *_: 1)
    (one,) = open_saes(RunDirectory(galleries[1].parents[1])).values()
    assert not isinstance(one, str)
    assert one.overview.recipe is not None
    encoding, surveying = encoding_of(one, open_shards(shards), CPU), Lock()
    making = MissingPages(one.sae, encoding, encoding.tokens, one.overview.recipe, one.overview.scale, surveying)
    latents = script_in(galleries[0], "overview.js")["pages"]
    n_silent = {one: len(without_steps(script_in(galleries[0], f"latents/{one:06d}.js"))[2]) for one in latents}
    first, second = [str(latent) for latent, n in n_silent.items() if 2 < n < 7][:2]
    n = n_silent[int(second)]
    with surveying:
        assert making.latent(first) == {"done": 0, "of": 9, "waits": True}
    while "page" not in making.latent(first):
        pass

    def wanted(n_times: int) -> Callable[[], bool]:
        answers = iter([True] * n_times + [False])
        return lambda: next(answers)

    def ends() -> bool:
        making.stop()
        return True

    for n_times in (0, 2, 1 + n, 2 + n):  # before its turn, among near misses, at the first heatmap, and the second
        with pytest.raises(Left):
            making.latent(second, wanted(n_times))
    with pytest.raises(Ended):
        making.latent(second, ends)


@pytest.mark.browser
def test_a_browser_sees_no_difference(tabs: Tabs, server: GalleryServer, galleries: tuple[Path, Path]) -> None:
    whole, few = galleries
    said, more = script_in(whole, "overview.js"), script_in(whole / "sets" / "more", "overview.js")
    fires = np.frombuffer(base64.b64decode(more["imageFrequency"]), "<f4") > 0
    have = script_in(few, "overview.js")["pages"]
    # One that is silent on some pictures of both sets.
    shares = [np.frombuffer(base64.b64decode(one["imageFrequency"]), "<f4") for one in (said, more)]
    missing = next(one for one in said["pages"] if one not in have and fires[one] and max(x[one] for x in shares) < 1)
    found = Served(tabs.take(), server, few.name)
    tabs.complaints, tabs.allowed = found.complaints, (server.url, "blob:")
    page, asked = found.page, list[int]()

    def later(route: "Route") -> None:
        asked.append(int(route.request.url.rpartition("/")[2]))
        route.fulfill(json={"done": 3, "of": 9, "waits": False})

    other_latent = next(one for one in said["pages"] if one not in {*have, missing})
    page.route("**/live/latents/*", later)
    page.goto(f"{server.url}{few.name}/#latent={missing}")
    found.says("#latent .empty", "3 of 9 recorded pictures looked at")
    with page.expect_request(f"**/latents/{other_latent}"):
        page.evaluate(f"location.hash = 'latent={other_latent}'")
    with page.expect_request(f"**/latents/{other_latent}"):  # asked again a while later, which the other one is not
        pass
    assert missing not in asked[asked.index(other_latent) :]
    with page.expect_request(f"**/latents/{missing}"):
        page.go_back()
    page.unroute("**/live/latents/*")
    page.goto(f"{server.url}{few.name}/")
    found.says("#counts", f"{len(said['pages'])} with pictures")
    page.wait_for_selector("#cards .thumbs img")
    found.count("#cards li:not(:has(.thumbs))", 0)
    for image_set, other in (("", 1), ("&set=more", 0)):
        page.goto(f"{server.url}{few.name}/?{other}#latent={missing}{image_set}")  # another address, loaded anew
        page.wait_for_selector("#latent .samples .picture img")
        found.count("#latent .latent-pictures > .note", 0)
        found.count("#latent .set-row", 3)
        row = page.locator("#latent .set-row").nth(other)
        row.locator("button").click()  # another set is looked at when the user says so
        row.locator(".picture img").first.wait_for()
        page.wait_for_selector("#latent .against-figures tr:has-text('more')")
        page.click("#latent .examples a.example >> nth=0")
        page.wait_for_selector("#picture .fire-list")
        assert page.evaluate("document.querySelector('#picture img').complete")
    tabs.allowed = (server.url, *FILES)
    tabs.empty()
    tabs.allowed = FILES
    assert found.complaints == []
