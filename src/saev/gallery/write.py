"""A folder of static files that shows what the latents of an SAE mean; `index.html` opens without a server.

    index.html               the page; the same in every gallery
    assets/                  its style and scripts
    data/sets.js             the image sets: what is below for the first one, and in sets/NAME/ for each further one
    data/overview.js         title, facts, the numbers of all latents, names of the pictures
    data/latents/000017.js   pictures, heatmaps and statistics of one latent, loaded when it is looked at
    data/small/000003.js     the same of 64 latents for which there is less room, with nine pictures of each
    data/pictures/00000042.js  which latents fire where in one picture
    data/search.js           file names and labels by which latents are found, loaded when somebody searches
    data/known.js            labels of all pictures that latents are judged by
    data/masks/000001.js     labels of the patches of 256 pictures
    data/levels/000001.js    which latents fire in each of 256 pictures, and how strongly at most
    images/00000042.jpg      each picture once, named by its id
    names.json               names of latents and what gave them, where names were looked for
    crops.safetensors        what the namer saw of the latents, likewise
    latents.csv, .parquet    the numbers of all latents as a table

A page from the file system may not fetch files, so data come as small classic scripts. See `saev.gallery.scripts`, and
`saev.gallery.fitting` for what there is room for.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.files import bring_to_disk, unwritable, write_whole
from saev.gallery.annotating import annotated
from saev.gallery.by_picture import level_bytes, level_scripts, mask_scripts
from saev.gallery.data import Gallery, LatentPage
from saev.gallery.fitting import Budget, PageWriter, Pictures
from saev.gallery.image_sets import (
    OVERVIEW,
    SETS_FILE,
    SETS_FOLDER,
    ImageSet,
    Place,
    folder_of,
    restore,
    sets_script,
)
from saev.gallery.judging_scripts import known_script
from saev.gallery.scripts import overview_script
from saev.gallery.search_script import SearchIndex
from saev.gallery.table import Table, table_files
from saev.latents.naming.crop_means import CROPS_FILE, CropMeans
from saev.latents.naming.names_file import NAMES_FILE, Names
from saev.pages.shared import DRAWING, LOOK, copy_shared

ONLY: Final = ImageSet("pictures", "pictures")
"""What is shown where nobody says what it is."""


def write_gallery(
    out: Path,
    gallery: Gallery,
    pages: Iterable[LatentPage],
    pictures: Pictures,
    names: Names | None = None,
    budget: Budget | None = None,
    table: Table | None = None,
    crops: CropMeans | None = None,
    place: Place | None = None,
) -> Path:
    """Write a gallery into the directory `out`, or an image set of it, replacing what is there when it is whole.

    Pages are taken one at a time, and pictures as pages show them, so that any number of them fits in memory. The other
    image sets stay as they are, but for what is known of the SAE from elsewhere, which is of all of them.

    Args:
        out: The directory; its parent is made where it is missing.
        pages: Each latent at most once, those first that are wanted most where there is no room for all.
        names: Those that were found for latents, with what found them, for programs.
        budget: How large the gallery may become; by default as large as it gets. The numbers of all latents are there
            in any case.
        table: What is known of each latent, for programs.
        crops: What the namer saw of the latents, for texts that are searched.
        place: The image set that this is, and those beside it; by default the only one.

    Returns:
        The path of `index.html`.

    Raises:
        InputError: `out` is there already and is not a gallery, or the disk does not take it: an older one stays.
    """
    if place is None:
        place = Place(ONLY, [ONLY])
    partial = out.parent / f".{out.name}.partial"
    try:
        restore(out)
        _check_replaceable(out)
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        own = partial / place.folder
        own.mkdir(parents=True)
        if names is not None:
            _put(own / NAMES_FILE, f"{json.dumps(names.to_dict(), indent=1)}\n")
        if table is not None:
            for name, content in table_files(table).items():
                (own / name).write_bytes(content)
        if crops is not None:
            (own / CROPS_FILE).write_bytes(crops.to_bytes())
        if place.is_first:
            _copy_assets(partial)  # part of its size
        _write(own, gallery, pages, pictures, budget, {} if place.first is None else place.first.of_sae)
        if not place.is_first:
            _copy_assets(partial)
        _keep_others(out, partial, place, gallery)
        _put(partial / SETS_FILE, sets_script(place.sets))
        for path in (partial, *partial.rglob("*")):
            if path.is_dir() or path.stat().st_nlink == 1:  # a second link to a file that was there is on the disk
                bring_to_disk(path)
        _swap(partial, out)
    except OSError as error:  # what is read, and cannot be, is an InputError
        n_bytes = 512 * sum(path.stat().st_blocks for path in partial.rglob("*"))
        shutil.rmtree(partial, ignore_errors=True)  # before the free space is reported
        raise InputError(unwritable(out, error, n_bytes)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / "index.html"


def _copy_assets(root: Path) -> None:
    (root / "assets").mkdir()
    for asset in (files("saev.gallery") / "assets").iterdir():
        place = root if asset.name == "index.html" else root / "assets"
        (place / asset.name).write_bytes(asset.read_bytes())
    copy_shared((*LOOK, *DRAWING), root / "assets")


def _keep_others(out: Path, partial: Path, place: Place, gallery: Gallery) -> None:
    """Take the sets over that stay: their files are linked, so that nothing is moved before all is whole."""
    others = [one for one in place.sets if one != place.image_set]
    if not others:
        return

    def written_anew(folder: str, names: Sequence[str]) -> list[str]:
        return [name for name in names if _is_new(Path(folder).relative_to(out) / name, place)]

    shutil.copytree(out, partial, symlinks=True, ignore=written_anew, copy_function=_link, dirs_exist_ok=True)
    for one in others:
        folder = partial / ("" if one == place.sets[0] else folder_of(one))
        for path, content in annotated(folder, gallery.verdicts, gallery.interventions, gallery.seeds).items():
            write_whole(path, content)


def _is_new(path: Path, place: Place) -> bool:
    """Whether a path of a gallery is written anew with a set, instead of staying with the others."""
    if path in (Path("index.html"), Path("assets"), SETS_FILE):
        return True
    return path.parts[0] != SETS_FOLDER if place.is_first else path == place.folder


def _link(source: str, target: str) -> None:
    """A second name of a file, or a copy where the file system has no such."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _write(
    root: Path,
    gallery: Gallery,
    pages: Iterable[LatentPage],
    pictures: Pictures,
    budget: Budget | None,
    of_sae: Mapping[str, object],
) -> None:
    """The data and images of a set; what is known `of_sae` until now stays unless the gallery says it anew."""
    for folder in ("images", "data/latents", "data/small", "data/pictures"):
        (root / folder).mkdir(parents=True)
    if gallery.known is not None:
        _put(root / "data" / "known.js", known_script(gallery.known))
    there = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    there += len(overview_script(gallery, [], {}, [0], of_sae)) + len(SearchIndex().script([]))
    if gallery.levels is not None:
        there += level_bytes(gallery.levels, gallery.d_sae)
    writer = PageWriter(root, gallery, pictures, budget, there)
    written: set[int] = set()
    for page in pages:
        assert 0 <= page.index < gallery.d_sae, f"a page of latent {page.index}, which there is not"
        assert page.index not in written, f"latent {page.index} has two pages"
        written.add(page.index)
        writer.add(page)
    writer.finish()
    entries = dict(sorted(writer.entries.items()))
    if gallery.masks is not None:
        _put_all(root / "data" / "masks", mask_scripts(gallery.masks, list(entries)))
    if gallery.levels is not None:
        _put_all(root / "data" / "levels", level_scripts(gallery.levels, list(entries), gallery.d_sae))
    _put(root / "data" / "search.js", writer.searched.script(list(entries)))
    _put(root / OVERVIEW, overview_script(gallery, sorted(writer.full), entries, writer.small, of_sae))


def _put_all(folder: Path, scripts: Iterable[str]) -> None:
    """Write scripts that hold many pictures each."""
    folder.mkdir()
    for number, script in enumerate(scripts):
        _put(folder / f"{number:06d}.js", script)


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def _check_replaceable(out: Path) -> None:
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not (out / OVERVIEW).is_file():
        raise InputError(f"{out} is there already and is not a gallery: move it away or name another directory")


def _swap(partial: Path, out: Path) -> None:
    old = out.parent / f".{out.name}.old"
    if out.exists():
        shutil.rmtree(old, ignore_errors=True)
        out.rename(old)
    partial.rename(out)
    bring_to_disk(out.parent)
    shutil.rmtree(old, ignore_errors=True)
