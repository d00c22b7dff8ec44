"""Synthetic galleries: forty latents, the first four dead; latent i fires on patch i % 15 of a 3 x 5 grid."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from saev.gallery.data import Gallery, LatentExample, LatentPage, ShownName
from saev.gallery.fitting import Pictures
from saev.gallery.label_counts import BestLabels, LabelCount
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import PatchCodes
from saev.latents.pictures import Picture

GRID = (3, 5)
N_LATENTS = 40
N_PICTURES = 6
PAGES = (6, 17, 25, 33)

HOSTILE = [
    '"><img src=x onerror=alert(1)>.png',
    "</script><script>alert(1)</script>",
    "../x emoji \U0001f99c/日本.png",
    "two\nlines\u2028three.png",
    "&lt;b&gt; ${1} \\u003c",
    "broken \udcff name",
]
"""Texts of users that must stay texts."""


def make_pictures(names: Sequence[str] = ()) -> list[Picture]:
    """Six plain grey pictures of 100 x 60; `names` are their names and labels."""
    view = Image.new("RGB", (100, 60), (90,) * 3)
    texts = [(name, name) for name in names] or [(f"birds/{i}.png", "birds") for i in range(N_PICTURES)]
    return [Picture(i, name, label, view) for i, (name, label) in enumerate(texts)]


def make_gallery(**changes: object) -> Gallery:
    """Frequencies rise with the number of the latent, mean and largest values fall."""
    frequency = np.geomspace(1e-4, 0.2, N_LATENTS)
    frequency[:4] = 0
    mean = np.linspace(9, 1, N_LATENTS) * (frequency > 0)
    gallery = Gallery(
        title="A gallery",
        sae_id="sae-a",
        facts={"Model": "ViT-B-32/openai"},
        frequency=frequency,
        image_frequency=np.where(frequency > 0, (1 + np.arange(N_LATENTS) * 7 % N_LATENTS) / 50, 0),  # another order
        mean_value=mean,
        max_value=2 * mean,
        grid=GRID,
        labels=[best("patches", {6: ("birds", 0.4), 17: ("fish", 0.9), 25: ("birds", 0.6), 30: ("cars", 0.7)})],
        names={17: ShownName("stripes", 0.8, [("zebra", 0.5)]), 33: ShownName("sky", 0.9)},
        top_ratio=np.where(frequency > 0, 1 + np.arange(N_LATENTS) * 3 % N_LATENTS / 10, 0),  # 25 > 33 > 6 > 17
        spread=np.where(frequency > 0, 1.0 + np.arange(N_LATENTS) * 9 % N_LATENTS, 0),  # 17 > 25 > 33 > 6
    )
    return replace(gallery, **changes)  # type: ignore[arg-type]


def best(kind: str, labels: Mapping[int, tuple[str, float]]) -> BestLabels:
    """Labels and purities of latents, each of 40 pictures, twice as frequent as everywhere; low latents rank best."""
    return BestLabels(
        kind,
        {
            i: LabelCount(label, 40, purity, 2.0, 0.001, 0.9 - i / 100, 0.2, 0.1)
            for i, (label, purity) in labels.items()
        },
    )


def make_page(latent: int) -> LatentPage:
    """A latent that fires on all pictures."""
    levels = np.zeros(GRID, dtype=np.uint8)
    levels.flat[latent % 15] = 255
    top = [LatentExample(image, 20.0 - image) for image in range(N_PICTURES)]
    return LatentPage(latent, {"patch": top}, dict.fromkeys(range(N_PICTURES), levels))


def make_codes() -> PatchCodes:
    """Each patch with the latents that fire on it."""
    latents = [[i for i in range(4, N_LATENTS) if i % 15 == patch] for patch in range(15)]
    offsets = np.cumsum([0, *map(len, latents)])
    return PatchCodes(offsets, np.concatenate(latents), np.full(offsets[-1], 255, np.uint8))


def write(
    out: Path,
    gallery: Gallery | None = None,
    pages: Iterable[int] = PAGES,
    pictures: Sequence[Picture] | None = None,
) -> Path:
    """Write a gallery; gives the path of its `index.html`."""
    given = given_pictures([(picture, make_codes()) for picture in (make_pictures() if pictures is None else pictures)])
    return write_gallery(out, gallery or make_gallery(), map(make_page, pages), given)


def given_pictures(pictures: Iterable[tuple[Picture, PatchCodes | None]]) -> Pictures:
    """Pictures, and codes of those that can be opened; what is not among them is missing."""
    found = {picture.image_id: (picture, codes) for picture, codes in pictures}

    def get(image: int) -> Picture:
        return found[image][0] if image in found else Picture(image, f"picture {image}", None, None)

    def codes_of(images: Sequence[int]) -> Iterator[tuple[int, PatchCodes]]:
        for image in images:
            if image in found and (codes := found[image][1]) is not None:
                yield image, codes

    return Pictures(get, codes_of, n_opened=len(found))
