"""The gallery's files."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saev.errors import InputError
from saev.viz.gallery import Gallery, LatentExample, LatentPage, Picture, write_gallery
from saev.viz.gallery_scripts import PictureEntry, latent_script

Make = Callable[[Sequence[int]], Gallery]


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_are_named_by_ids_alone(tmp_path: Path, make_gallery: Make, pictures: list[Picture]) -> None:
    hostile = [replace(picture, name="../../x<>.png") for picture in pictures]
    index = write_gallery(tmp_path / "g", make_gallery([7, 12]), hostile)
    assert index == tmp_path / "g" / "index.html"
    written = {name for name in files_of(tmp_path) if not name.startswith("g/assets/")}
    thumbnails = {f"g/images/{i:08d}.jpg" for i in range(6)}
    data = {"g/data/overview.js", "g/data/latents/000007.js", "g/data/latents/000012.js"}
    assert written == {"g/index.html"} | thumbnails | data


def test_pictures_are_written_once_and_only_if_shown(
    tmp_path: Path, make_gallery: Make, pictures: list[Picture]
) -> None:
    extra = Picture(99, "unseen.png", None, Image.new("RGB", (4, 4)))
    large = replace(pictures[0], view=Image.new("RGB", (1000, 600)))
    write_gallery(tmp_path / "g", make_gallery([7]), [extra, large, *pictures])
    assert len(list((tmp_path / "g" / "images").iterdir())) == 6
    with Image.open(tmp_path / "g" / "images" / "00000000.jpg") as thumbnail:
        assert thumbnail.size == (288, 173)


def test_an_older_gallery_is_replaced_whole(tmp_path: Path, make_gallery: Make, pictures: list[Picture]) -> None:
    out = tmp_path / "features" / "relu"
    write_gallery(out, make_gallery([7, 8]), pictures)
    write_gallery(out, make_gallery([9]), pictures)
    assert [path.name for path in (out / "data" / "latents").iterdir()] == ["000009.js"]
    assert [path.name for path in out.parent.iterdir()] == ["relu"]


def test_a_failure_leaves_the_older_gallery_and_nothing_half_written(
    tmp_path: Path, make_gallery: Make, pictures: list[Picture]
) -> None:
    def failing() -> Iterator[Picture]:
        yield pictures[0]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        write_gallery(tmp_path / "g", make_gallery([9]), failing())
    assert list(tmp_path.iterdir()) == []
    write_gallery(tmp_path / "g", make_gallery([7]), pictures)
    before = files_of(tmp_path)
    with pytest.raises(OSError, match="disk gone"):
        write_gallery(tmp_path / "g", make_gallery([9]), failing())
    assert files_of(tmp_path) == before


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, make_gallery: Make) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="is not a gallery"):
        write_gallery(tmp_path, make_gallery([7]), [])
    assert files_of(tmp_path) == {"thesis.txt"}


@given(
    name=st.text(st.characters()),
    label=st.none() | st.sampled_from(["</script>", "<!--", "\u2028", "\udcff"]),
)
def test_any_name_survives_as_plain_ascii_without_tags(name: str, label: str | None) -> None:
    page = LatentPage(3, [LatentExample(5, 1.5, np.ones((1, 2), dtype=np.float32))])
    script = latent_script(page, 1.0, {5: PictureEntry(name, label, (4, 2))})
    assert script.isascii()
    assert "<" not in script
    assert len(script.splitlines()) == 1
    (example,) = json.loads(script.split(" = ", 1)[1].rstrip(";\n"))
    assert (example["name"], example["label"], example["patches"]) == (name, label, "//8=")


def test_inconsistent_arrays_are_refused(make_gallery: Make) -> None:
    gallery = make_gallery([7])
    with pytest.raises(AssertionError, match="two pages"):
        replace(gallery, pages=[gallery.pages[0]] * 2)
    with pytest.raises(AssertionError, match="are not"):
        replace(gallery, grid=(5, 3))
    with pytest.raises(AssertionError, match="above zero"):
        replace(gallery, mean_value=np.zeros_like(gallery.mean_value))
