"""Image sets of one gallery: which goes where, on one scale, and what a kill leaves."""

import base64
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards
from tests.gallery.galleries import given_pictures, make_codes, make_gallery, make_page, make_pictures

import saev
from saev.errors import InputError
from saev.gallery.data import Gallery, LatentPage, Verdict
from saev.gallery.image_sets import ImageSet, Place, read_sets
from saev.gallery.scripts import read_script
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import quantise
from saev.nn import TopK
from saev.shards.reading.open import open_shards

TRAINING, HELD_OUT, MORE = (ImageSet(name, name, "shards", name) for name in ("training", "held_out", "more"))
VERDICT = Verdict("confirmed", "fires: birds", [6], [], 0.5, (0.4, 0.6), 0.01, 90, "It does.")


def add(out: Path, image_set: ImageSet, gallery: Gallery | None = None, pages: tuple[int, ...] = (7,)) -> Place:
    gallery = gallery or make_gallery()
    place = Place.find(out, gallery.sae_id, image_set)
    drawn = given_pictures([(picture, make_codes()) for picture in make_pictures()])
    write_gallery(out, gallery, map(make_page, pages), drawn, place=place)
    return place


def state(out: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a directory: which it is, and its content."""
    files = (path for path in out.parent.rglob("*") if path.is_file())
    return {path.relative_to(out.parent).as_posix(): (path.stat().st_ino, path.read_bytes()) for path in files}


def names(out: Path) -> list[str]:
    return [one.name for one in read_sets(out)]


def overview(folder: Path) -> Any:
    return read_script((folder / "data" / "overview.js").read_text(encoding="ascii"))


def test_a_set_is_added_or_replaced_and_the_others_stay_the_same_files(tmp_path: Path) -> None:
    out = tmp_path / "g"
    assert add(out, TRAINING).is_first
    first = state(out)
    place = add(out, HELD_OUT)
    assert (place.is_first, place.folder, place.before) == (False, Path("sets/held_out"), None)
    add(out, MORE)
    three = state(out)
    fresh = ("g/index.html", "g/assets/", "g/data/sets.js")
    assert {name: one for name, one in three.items() if name in first and not name.startswith(fresh)} == {
        name: one for name, one in first.items() if not name.startswith(fresh)
    }
    assert names(out) == ["training", "held_out", "more"]
    add(out, HELD_OUT, pages=(9, 12))
    add(out, TRAINING, pages=(11,))
    latents = {name for name in state(out) if "/latents/" in name}
    assert latents == {f"g/{name}.js" for name in (
        "data/latents/000011", "sets/held_out/data/latents/000009", "sets/held_out/data/latents/000012",
        "sets/more/data/latents/000007",
    )}  # fmt: skip
    assert {name: one for name, one in state(out).items() if name.startswith("g/sets/more/")} == {
        name: one for name, one in three.items() if name.startswith("g/sets/more/")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
    assert add(out, replace(MORE, images="others")).image_set.name == "more_2"
    with pytest.raises(InputError, match=r"g has an image set more of other images: give another --visualizer"):
        Place.find(out, "sae-a", replace(MORE, images="others"), is_named=True)
    assert len(add(out, MORE, make_gallery(sae_id="another")).lost) == 4
    assert names(out) == ["more"]


def test_what_is_known_of_the_sae_is_of_all_sets(tmp_path: Path) -> None:
    out = tmp_path / "g"
    add(out, TRAINING, make_gallery(verdicts=[VERDICT]))
    add(out, HELD_OUT)
    assert overview(out / "sets" / "held_out")["verdicts"] == overview(out)["verdicts"]
    add(out, MORE, make_gallery(verdicts=[VERDICT, replace(VERDICT, standing="rejected")]))
    for folder in (out, out / "sets" / "held_out", out / "sets" / "more"):
        assert [one["standing"] for one in overview(folder)["verdicts"]] == ["confirmed", "rejected"]
    add(out, TRAINING)  # without saying anything of it
    assert len(overview(out)["verdicts"]) == 2


@pytest.mark.parametrize("image_set", [HELD_OUT, TRAINING])
def test_a_kill_leaves_all_sets_as_they_were(image_set: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "g"
    for one in (TRAINING, HELD_OUT):
        add(out, one)
    before = state(out)

    def killed() -> None:
        def pages() -> Iterator[LatentPage]:
            yield make_page(8)
            os.kill(os.getpid(), signal.SIGKILL)

        place = Place.find(out, "sae-a", image_set)
        write_gallery(out, make_gallery(), pages(), given_pictures([]), place=place)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list((tmp_path / ".g.partial").rglob("000008.js"))  # it was killed in the middle
    assert {name: one for name, one in state(out).items() if not name.startswith(".")} == before
    add(out, image_set, pages=(8,))
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
    assert names(out) == ["training", "held_out"]


def test_a_kill_between_two_renames(tmp_path: Path) -> None:
    out = tmp_path / "g"
    add(out, TRAINING)
    out.rename(tmp_path / ".g.old")
    assert not add(out, HELD_OUT).is_first
    assert names(out) == ["training", "held_out"]


def test_a_gallery_of_an_earlier_version_takes_a_set(tmp_path: Path) -> None:
    out = tmp_path / "g"
    add(out, TRAINING)
    (out / "data" / "sets.js").unlink()
    (out / "index.html").write_text("of an earlier version", encoding="utf-8")
    add(out, HELD_OUT)
    assert names(out) == ["earlier", "held_out"]
    assert 'id="sets"' in (out / "index.html").read_text(encoding="utf-8")
    (out / "data" / "overview.js").write_text("saevTake({});\n", encoding="ascii")  # one that cannot be read any more
    assert [one.name for one in Place.find(out, "sae-a", MORE).lost] == ["earlier", "held_out"]
    assert add(out, MORE).is_first


def test_levels_of_all_sets_are_shares_of_the_first_ones_largest_values(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n, grid = 24, (2, 3)
    shards = make_shards(n, grid=grid)[0]
    torch.manual_seed(1)
    sae = TopK(8, 24, k=2)
    f_nps = sae.encode(open_shards(shards).read(0, n)[:, 1:]).detach().numpy()
    fires_ns = f_nps.max(1) > 0
    dead = int(np.abs(fires_ns.mean(0) - 0.5).argmin())  # on the first images, which are those on which it is silent
    first, others = np.flatnonzero(~fires_ns[:, dead]), np.flatnonzero(fires_ns[:, dead])
    own_s, most_s = f_nps[first].max((0, 1)), f_nps[others].max((0, 1))
    assert (most_s > own_s).any() and (most_s < own_s).any()
    options: dict[str, Any] = {"top_k": 5, "n_latents": 12, "tokens": "content", "device": "cpu"}
    saev.render({"a": sae}, shards, tmp_path, images=first, image_set="first", **options)
    saev.render({"a": sae}, shards, tmp_path, images=others, include_latents=[dead], **options)
    gallery = tmp_path / "a"
    name = read_sets(gallery)[1].name
    assert f"{gallery}: image set {name} beside first, of the same " in capsys.readouterr().err
    mine, theirs = overview(gallery), overview(gallery / "sets" / name)
    assert theirs["pages"] == sorted({*mine["pages"], dead})
    for latent in theirs["pages"]:
        page = read_script((gallery / f"sets/{name}/data/latents/{latent:06d}.js").read_text(encoding="ascii"))
        scale = float(own_s[latent] or most_s[latent])
        for image, levels in heatmaps_of(page["heat"], 6).items():
            assert np.array_equal(levels, quantise(f_nps[image, :, latent], scale))
    assert ("scale" in mine, "scale" in theirs) == (False, True)


def heatmaps_of(stored: dict[str, Any], n: int) -> dict[int, np.ndarray]:
    """Levels (n,) by image."""
    counts, places, levels = (
        np.frombuffer(base64.b64decode(stored[name]), kind)
        for name, kind in {"counts": "<u2", "places": "u1", "levels": "u1"}.items()
    )
    found = np.zeros((len(counts), n), np.uint8)
    found[np.repeat(np.arange(len(counts)), counts), places] = levels
    return dict(zip(stored["images"], found, strict=True))
