"""A folder of static files that shows what the latents of an SAE mean; `index.html` opens without a server.

    index.html               the page; the same in every gallery
    assets/                  its style and scripts
    data/overview.js         title, facts and the numbers of all latents
    data/latents/000017.js   top pictures and patch values of one latent, loaded when it is looked at
    images/00000042.jpg      each picture once, named by its id

A page from the file system may not fetch files, so data come as small classic scripts. See `gallery_scripts`.
"""

import shutil
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

from PIL import Image

from saev.errors import InputError
from saev.viz.gallery_data import Gallery, LatentExample, LatentPage, Picture
from saev.viz.gallery_scripts import PictureEntry, latent_script, overview_script

__all__ = ["Gallery", "LatentExample", "LatentPage", "Picture", "write_gallery"]

# Galleries get mailed and zipped; this is sharp enough at the size in which a page shows a picture.
_LONGEST_SIDE = 288
_JPEG_QUALITY = 85


def write_gallery(out: Path, gallery: Gallery, pictures: Iterable[Picture]) -> Path:
    """Write a gallery into the directory `out`, replacing an older gallery there in one step.

    Pictures are taken one at a time, so that any number of them fits in memory; those that no page shows are
    left out, and a page shows a grey tile for a picture that does not come.

    Returns:
        The path of `index.html`.

    Raises:
        InputError: `out` is there already and is not a gallery.
    """
    _check_replaceable(out)
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir(parents=True)
    try:
        _write(partial, gallery, pictures)
        _swap(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / "index.html"


def _write(root: Path, gallery: Gallery, pictures: Iterable[Picture]) -> None:
    with as_file(files("saev.viz") / "assets") as assets:
        shutil.copytree(assets, root / "assets")
    (root / "assets" / "index.html").rename(root / "index.html")
    for folder in ("images", "data", "data/latents"):
        (root / folder).mkdir()
    shown = {example.image_id for page in gallery.pages for example in page.examples}
    entries: dict[int, PictureEntry] = {}
    for picture in pictures:
        if picture.image_id in shown and picture.image_id not in entries:
            size = _save(picture.view, root / "images" / f"{picture.image_id:08d}.jpg")
            entries[picture.image_id] = PictureEntry(picture.name, picture.label, size)
    for page in gallery.pages:
        text = latent_script(page, float(gallery.max_value[page.index]), entries)
        (root / "data" / "latents" / f"{page.index:06d}.js").write_text(text, encoding="utf-8")
    (root / "data" / "overview.js").write_text(overview_script(gallery), encoding="utf-8")


def _save(view: Image.Image, path: Path) -> tuple[int, int]:
    picture = view.convert("RGB")
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    picture.save(path, quality=_JPEG_QUALITY, optimize=True)
    return picture.size


def _check_replaceable(out: Path) -> None:
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not (out / "data" / "overview.js").is_file():
        raise InputError(f"{out} is there already and is not a gallery: move it away or name another directory")


def _swap(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    old = out.parent / f".{out.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    out.rename(old)
    partial.rename(out)
    shutil.rmtree(old)
