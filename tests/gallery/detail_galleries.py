"""Galleries for the pages of latents, pictures and pairs: a latent fires on patches that are known.

Latent i > 3 has level 255 on patch i % 15 of the 3 x 5 grid and 128 on the patch after it, in every picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tests.gallery.galleries import given_pictures

from saev.gallery.data import Gallery, LatentExample, LatentPage, OtherSae, SampleGroup, ShownName
from saev.gallery.image_sets import Place
from saev.gallery.label_counts import LabelCount
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import PatchCodes
from saev.latents.pictures import Picture

GRID = (3, 5)
N_PATCHES = 15
N_LATENTS = 40
N_PICTURES = 8
GREY = 90
EDGES = np.geomspace(0.5, 32, 13)

HOSTILE = [
    '"><img src=x onerror=alert(1)>.png',
    "../x",
    "</script><script>alert(1)</script>",
    "emoji 🦜/日本.png",
    "two\nlines\u2028three.png",
    "&lt;b&gt; ${1} \\u003c",
    "\u202etxt.exe",
    "broken \udcff name",
]
"""Texts of users that must stay texts."""


def levels(latent: int) -> np.ndarray:
    """Levels (3, 5) of a latent, in every picture."""
    patches = np.zeros(GRID, dtype=np.uint8)
    patches.flat[latent % N_PATCHES] = 255
    patches.flat[(latent + 1) % N_PATCHES] = 128
    return patches


def pictures(names: Sequence[str] | None = None) -> list[Picture]:
    """Grey pictures of 100 x 60 and, every second one, 90 x 96: their patches are not square."""
    sizes = [(100, 60), (90, 96)]
    views = [Image.new("RGB", sizes[i % 2], (GREY,) * 3) for i in range(N_PICTURES)]
    named = names or [f"birds/{i}.png" for i in range(N_PICTURES)]
    return [Picture(i, named[i], named[i] if names else "birds", view) for i, view in enumerate(views)]


def codes(latents: Iterable[int]) -> PatchCodes:
    """Where `latents` fire in each picture."""
    table = np.stack([levels(latent).ravel() for latent in latents])
    numbers = np.array(list(latents))
    lists = [sorted(np.flatnonzero(column), key=lambda i, c=column: -int(c[i])) for column in table.T]
    return PatchCodes(
        offsets=np.cumsum([0, *map(len, lists)]),
        latents=numbers[np.concatenate(lists).astype(int)],
        levels=np.concatenate([table[rows, patch] for patch, rows in enumerate(lists)]),
    )


def page(latent: int, **changes: object) -> LatentPage:
    """A page with everything on it; pictures by sum are those by patch from the last to the first."""
    top = [LatentExample(image, 20 - image) for image in range(N_PICTURES)]
    made = LatentPage(
        latent,
        top={"patch": top, "img": [LatentExample(e.image_id, 100 + e.image_id) for e in top[::-1]]},
        heatmaps={image: levels(latent) for image in range(N_PICTURES)},
        samples=[SampleGroup((low / 4, (low + 1) / 4), [LatentExample(low, low + 0.5)]) for low in range(4)],
        histogram=np.array([0, 0, 1, 4, 16, 64, 32, 8, 2, 0, 0, 0]),
        percentiles={10: 2.0, 50: 5.0, 99: 12.0},
        labels=[
            LabelCount("birds", 40, 0.8, 4.0, 1e-5, 0.625, 0.31, 0.2),
            LabelCount("fish", 10, 0.2, 0.5, 0.94, None, 0.22, 0),
        ],
        patch_labels=[LabelCount("beak", 7, 0.14, 12.5, 0.032, 1.0, 0.1, 0.05)],
        peaks={0: "beak", 2: "\u202etxt"},
        neighbours=[(6 if latent != 6 else 17, 0.83), (20, 0.5)],
        coactive=[(25, 0.31)],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def overview(title: str = "A gallery", names: Mapping[int, ShownName] | None = None) -> Gallery:
    """Forty latents, the first four dead; the largest value of latent i is i + 1."""
    frequency = np.geomspace(1e-4, 0.2, N_LATENTS)
    frequency[:4] = 0
    top = np.arange(N_LATENTS) + 1.0
    return Gallery(
        title=title,
        sae_id=title,
        facts={"Model": "ViT-B-32/openai"},
        frequency=frequency,
        image_frequency=np.sqrt(frequency),
        mean_value=top / 2,
        max_value=top,
        grid=GRID,
        bin_edges=EDGES,
        names=names or {17: ShownName("stripes", 4.25, [("zebra", 3.5), ("grid", 2.0)])},
    )


def other_sae(folder: str, title: str = "The other one") -> OtherSae:
    """Latent i matches latent 39 - i of the other SAE, the dead ones none; the cosine grows with i."""
    matched = np.arange(N_LATENTS)[::-1].copy()
    matched[:4] = -1
    return OtherSae(folder, title, matched, np.linspace(-0.2, 1, N_LATENTS))


def write(
    out: Path,
    gallery: Gallery | None = None,
    pages: Iterable[LatentPage] | None = None,
    shown: Sequence[Picture] | None = None,
    without_codes: Sequence[int] = (),
    place: Place | None = None,
) -> Path:
    """Write a gallery; the path of its `index.html`."""
    own = list(pages or [page(i) for i in (6, 17, 25, 33)])
    on_pages = set().union(*(one.shown for one in own))
    fires = codes(range(4, N_LATENTS))
    given = [
        (picture, None if picture.image_id in without_codes else fires)
        for picture in (pictures() if shown is None else shown)
        if picture.image_id in on_pages
    ]
    return write_gallery(out, gallery or overview(), own, given_pictures(given), place=place)
