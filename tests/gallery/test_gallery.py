"""The gallery's files."""

import base64
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.gallery.galleries import HOSTILE, best, given_pictures, make_gallery, make_page, make_pictures, write

from saev.errors import InputError
from saev.gallery.data import LatentExample, LatentPage
from saev.gallery.fitting import Pictures
from saev.gallery.overview import read_overview
from saev.gallery.scripts import (
    MAX_LATENTS_A_PATCH,
    PictureEntry,
    latent_value,
    overview_script,
    packed_script,
    picture_script,
    read_script,
)
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import PatchCodes
from saev.latents.pictures import Picture
from saev.pages.shared import DRAWING, LOOK


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_are_named_by_ids_alone(tmp_path: Path) -> None:
    hostile = [replace(picture, name="../../x<>.png") for picture in make_pictures()]
    index = write(tmp_path / "g", pages=[7, 12], pictures=hostile)
    assert index == tmp_path / "g" / "index.html"
    written = {name for name in files_of(tmp_path) if not name.startswith("g/assets/")}
    thumbnails = {f"g/images/{i:08d}.jpg" for i in range(6)}
    codes = {f"g/data/pictures/{i:08d}.js" for i in range(6)}
    data = {
        "g/data/overview.js",
        "g/data/search.js",
        "g/data/sets.js",
        "g/data/latents/000007.js",
        "g/data/latents/000012.js",
    }
    assert written == {"g/index.html"} | thumbnails | codes | data


def test_pictures_are_stored_small(tmp_path: Path) -> None:
    given = [
        (Picture(0, "large.png", None, Image.new("RGB", (1000, 600))), None),
        (Picture(3, "gone.png", None, None), None),
    ]
    write_gallery(tmp_path / "g", make_gallery(), map(make_page, [7, 8]), given_pictures(given))
    assert [path.name for path in (tmp_path / "g" / "images").iterdir()] == ["00000000.jpg"]
    with Image.open(tmp_path / "g" / "images" / "00000000.jpg") as thumbnail:
        assert thumbnail.size == (288, 173)


def test_an_older_gallery_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "features" / "relu"
    write(out, pages=[7, 8])
    write(out, pages=[9])
    assert [path.name for path in (out / "data" / "latents").iterdir()] == ["000009.js"]
    assert [path.name for path in out.parent.iterdir()] == ["relu"]


def test_a_failure_leaves_the_older_gallery_and_nothing_half_written(tmp_path: Path) -> None:
    def fail(image: int) -> Picture:
        if image == 0:
            return make_pictures()[0]
        raise OSError("disk gone")

    with pytest.raises(InputError, match=r"g cannot be written \(disk gone\)"):
        write_gallery(tmp_path / "g", make_gallery(), [make_page(9)], Pictures(fail))
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "g", pages=[7])
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"g cannot be written \(disk gone\)"):
        write_gallery(tmp_path / "g", make_gallery(), [make_page(9)], Pictures(fail))
    assert files_of(tmp_path) == before


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is not a gallery"):
        write(tmp_path)
    assert files_of(tmp_path) == {"thesis.txt"}


@given(
    name=st.text(st.characters()) | st.sampled_from(HOSTILE),
    label=st.none() | st.sampled_from(["</script>", "<!--", "\u2028", "\udcff"]),
)
def test_any_text_survives_as_plain_ascii_without_tags(name: str, label: str | None) -> None:
    gallery = make_gallery(title=name, facts={name: name}, labels=[best("patches", {5: (name, 0.5)})])
    script = overview_script(gallery, [5], {3: PictureEntry(name, label, (4, 2))})
    assert script.isascii()
    assert "<" not in script
    assert len(script.splitlines()) == 1
    value = read_script(script)
    assert (value["title"], value["facts"]) == (name, [[name, name]])
    assert value["topLabels"] == [["patches", [[5, name, 40, 0.5, 2.0, 0.001, 0.85, 0.2, 0.1]]]]
    assert "metadata" not in value
    assert value["pictures"] == [[3, name, -1 if label is None else 0, 4, 2]]
    assert value["labels"] == ([] if label is None else [label])
    read = read_overview(script)
    assert (read.sae_id, read.thumbnails) == (gallery.sae_id, {3: name})
    assert np.array_equal(read.max_value, gallery.max_value.astype(np.float32))


@given(
    grid=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_heatmaps_are_stored_by_places(grid: tuple[int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = (rng.integers(1, 256, grid) * (rng.random(grid) < share)).astype(np.uint8)
    page = LatentPage(3, {"patch": [LatentExample(5, 1.5)]}, {5: levels, 6: levels})
    stored = read_script(packed_script(latent_value(page)))["heat"]
    counts, places, above = (
        np.frombuffer(base64.b64decode(stored[name]), kind)
        for name, kind in {"counts": "<u2", "places": "u1" if levels.size <= 256 else "<u2", "levels": "u1"}.items()
    )
    assert (stored["images"], counts.tolist()) == ([5, 6], [len(places) // 2] * 2)
    read = np.zeros((2, levels.size), np.uint8)
    read[np.repeat([0, 1], counts), places] = above
    assert np.array_equal(read.reshape(2, *grid), [levels, levels])


def test_codes_of_a_picture_keep_the_strongest_of_each_patch() -> None:
    counts = [3, 0, MAX_LATENTS_A_PATCH + 5]
    latents = np.concatenate([np.arange(n) + 70_000 for n in counts])
    levels = np.concatenate([255 - np.arange(n) for n in counts]).astype(np.uint8)
    value = read_script(picture_script(PatchCodes(np.cumsum([0, *counts]), latents, levels)))
    read = {
        name: np.frombuffer(base64.b64decode(str(value[name])), kind)
        for name, kind in {"latents": "<u4", "offsets": "<u4", "entries": "<u2", "levels": "u1"}.items()
    }
    assert read["offsets"].tolist() == [0, 3, 3, 3 + MAX_LATENTS_A_PATCH]
    expected = [*range(3), *range(MAX_LATENTS_A_PATCH)]
    assert (read["latents"][read["entries"]] - 70_000).tolist() == expected
    assert read["levels"].tolist() == [255 - i for i in expected]
    assert (value["most"], value["nCut"]) == (MAX_LATENTS_A_PATCH, 1)
    whole = PatchCodes(np.array([0, MAX_LATENTS_A_PATCH]), latents[:MAX_LATENTS_A_PATCH], levels[:MAX_LATENTS_A_PATCH])
    assert read_script(picture_script(whole))["nCut"] == 0


def test_only_pictures_with_thumbnails_are_read_back() -> None:
    pictures = {3: PictureEntry("a", None, (4, 2)), 4: PictureEntry("gone", None, None)}
    assert read_overview(overview_script(make_gallery(), [], pictures)).thumbnails == {3: "a"}


@pytest.mark.parametrize(
    "script", ["", "saevTake({});", "saevTake({});\n", "saevTake([]);\n", "saevTake({);\n", "alert(1);\n"]
)
def test_what_is_no_overview_is_refused(script: str) -> None:
    with pytest.raises(ValueError):
        read_overview(script)


def test_inconsistent_arrays_are_refused(tmp_path: Path) -> None:
    gallery = make_gallery()
    with pytest.raises(AssertionError, match="two pages"):
        write(tmp_path / "g", pages=[7, 7])
    with pytest.raises(AssertionError, match="which there is not"):
        write(tmp_path / "g", pages=[40])
    with pytest.raises(AssertionError, match="above zero"):
        replace(gallery, mean_value=np.zeros_like(gallery.mean_value))
    with pytest.raises(AssertionError, match="a name of no latent"):
        replace(gallery, labels=[best("patches", {40: ("birds", 1.0)})])


def test_all_scripts_are_loaded() -> None:
    assets = files("saev.gallery") / "assets"
    listed = re.findall(r'src="assets/(\w+\.js)"', (assets / "index.html").read_text(encoding="utf-8"))
    own = [path.name for path in assets.iterdir() if path.name.endswith(".js")]
    both = [name for name in (*LOOK, *DRAWING) if name.endswith(".js")]
    live = re.findall(r'"(\w+\.js)"', (assets / "main.js").read_text(encoding="utf-8"))
    assert sorted([*listed, *live]) == sorted([*own, *both])
