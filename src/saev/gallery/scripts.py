"""The data of a gallery as classic scripts, the only form in which a page from the file system gets data.

A script calls one function with one JSON value, see `saev.pages.embedding`. The value of a script that is one of many
is packed: base64 of its JSON, deflated, takes two thirds.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from saev.gallery.data import ORDER_NAMES, Gallery, LatentExample, LatentPage, Seeds, Verdict
from saev.gallery.judging_scripts import judged_value
from saev.gallery.label_counts import LabelCount
from saev.gallery.places import mean_map, profile_value
from saev.latents.heatmaps import Levels, PatchCodes
from saev.latents.metadata import Column
from saev.pages.embedding import ascii_json, data_script
from saev.pages.heatmap import COLOUR_MAPS, overlay_table

SMALL_A_FILE = 64
"""Small pages in one file: so many files of their own would be slow to copy."""
MAX_LATENTS_A_PATCH = 64
"""Latents listed for a patch of a picture, the strongest ones."""


LEFT_OUT = (-1, 0)


class PictureEntry(NamedTuple):
    """What a page says of a picture; `size` = (width, height) of its thumbnail, None where there is none.

    `LEFT_OUT` is the size of pictures of which there might be one.
    """

    name: str
    label: str | None
    size: tuple[int, int] | None


def overview_script(
    gallery: Gallery,
    pages: Sequence[int],
    pictures: Mapping[int, PictureEntry],
    small: Sequence[int] = (),
    kept: Mapping[str, object] | None = None,
) -> str:
    """Everything that the page needs before a latent or a picture is looked at.

    Args:
        small: Those that have a small one, `SMALL_A_FILE` after the other in each file.
        kept: What was known of the SAE until now, by key as in `facts_of_sae`, and stays unless the gallery says it
            anew.
    """
    labels = sorted({entry.label for entry in pictures.values() if entry.label is not None})
    number = {label: i for i, label in enumerate(labels)}
    return data_script(
        {
            "title": gallery.title,
            "saeId": gallery.sae_id,
            "facts": list(gallery.facts.items()),
            "grid": gallery.grid,
            "orders": list(ORDER_NAMES.items()),
            "pages": list(pages),
            "frequency": _floats(gallery.frequency),
            "imageFrequency": _floats(gallery.image_frequency),
            "meanValue": _floats(gallery.mean_value),
            "maxValue": _floats(gallery.max_value),
            "binEdges": _floats(gallery.bin_edges),
            "rareBelow": gallery.rare_below,
            # by kind, each with the latent and then as in the script of a latent
            "topLabels": [
                [one.kind, [[latent, *_label(label)] for latent, label in one.labels.items()]] for one in gallery.labels
            ],
            "names": [
                [latent, one.name, one.score, list(map(list, one.runners_up))] for latent, one in gallery.names.items()
            ],
            "others": [
                {
                    "folder": other.folder,
                    "title": other.title,
                    "matched": other.matched.astype("<i4"),
                    "cosine": _floats(other.cosine),
                }
                for other in gallery.others
            ],
            "labels": labels,
            # id, name, number of the label or -1, width (0: missing, -1: left out) and height of the thumbnail
            "pictures": [
                [image, entry.name, -1 if entry.label is None else number[entry.label], *(entry.size or (0, 0))]
                for image, entry in pictures.items()
            ],
            "colourMaps": {name: overlay_table(name) for name in COLOUR_MAPS},
            "judges": gallery.known is not None,
            "searches": True,  # earlier versions have no data/search.js
            **_there(
                {
                    "small": {"perFile": SMALL_A_FILE, "latents": list(small)} if small else None,
                    "scale": _floats(gallery.scale),
                    "p99": _floats(gallery.p99),
                    "metadata": [_column(column, list(pictures)) for column in gallery.metadata],
                    "decoderNorms": _floats(gallery.decoder_norm),
                    "levels": gallery.levels and {"most": gallery.levels.most},
                    "maskNames": gallery.masks and list(gallery.masks.names),
                    "recipe": gallery.recipe and gallery.recipe.to_json(),
                    "half": gallery.half and asdict(gallery.half),
                    "alike": gallery.alike and gallery.alike(list(pictures)),
                    "families": gallery.families and gallery.families.value(),
                    "places": gallery.places and profile_value(gallery.places),
                    "topRatio": _floats(gallery.top_ratio),
                    "spread": _floats(gallery.spread),
                }
            ),
            **(kept or {}),
            **facts_of_sae(gallery.verdicts, gallery.interventions, gallery.seeds),
        }
    )


def facts_of_sae(
    verdicts: Sequence[Verdict], interventions: Sequence[Mapping[str, Any]], seeds: Seeds | None
) -> dict[str, object]:
    """The part of an overview that is of the SAE, by key of `overview.OF_SAE`; without what is not known."""
    return _there(
        {
            "verdicts": [asdict(one) for one in verdicts],
            "interventions": interventions,
            "seeds": seeds and _seeds(seeds),
        }
    )


def latent_value(page: LatentPage) -> dict[str, Any]:
    """The page of one latent, as `assets/data.js` reads it."""
    return {
        "index": page.index,
        "top": {order: _examples(examples) for order, examples in page.top.items()},
        "samples": [{"quantiles": group.quantiles, "examples": _examples(group.examples)} for group in page.samples],
        "heat": _heatmaps(page.heatmaps),
        "histogram": None if page.histogram is None else page.histogram.tolist(),
        "percentiles": {str(p): float(f"{value:.6g}") for p, value in page.percentiles.items()},
        "labels": _labels(page.labels),
        "patchLabels": _labels(page.patch_labels),
        "columns": [[name, _labels(counts)] for name, counts in page.columns.items()],
        "neighbours": _pairs(page.neighbours),
        "coactive": _pairs(page.coactive),
        "directions": [[word, round(score, 2)] for word, score in page.directions],
        **_there(
            {
                "peaks": _peaks(page),
                "meanMap": None if page.mean_p is None else mean_map(page.mean_p),
                "judged": page.judged and judged_value(page.judged),
            }
        ),
    }


def packed_script(value: object) -> str:
    """A script of one of many pages, packed."""
    return data_script(base64.b64encode(zlib.compress(ascii_json(value).encode("ascii"))).decode("ascii"))


def read_script(script: str) -> Any:
    """The value of a script, packed or not.

    Raises:
        ValueError: If it is no data script.
    """
    start, end = "saevTake(", ");\n"
    if not (script.startswith(start) and script.endswith(end)):
        raise ValueError("it is no data script")
    value = json.loads(script[len(start) : -len(end)])
    if not isinstance(value, str):
        return value
    try:
        return json.loads(zlib.decompress(base64.b64decode(value, validate=True)))
    except zlib.error as error:
        raise ValueError("it is no data script") from error


def picture_script(codes: PatchCodes) -> str:
    """Which latents fire where in one picture, at most `MAX_LATENTS_A_PATCH` of them on a patch."""
    return packed_script(picture_value(codes, MAX_LATENTS_A_PATCH))


def picture_value(codes: PatchCodes, most: int) -> dict[str, Any]:
    """Which latents fire where in one picture, at most so many of them on a patch, as `assets/data.js` reads it."""
    counts = np.diff(codes.offsets)
    place_n = np.arange(len(codes.latents)) - np.repeat(codes.offsets[:-1], counts)
    kept = place_n < most
    distinct, number_n = np.unique(codes.latents[kept], return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, most))])
    return {
        "latents": distinct.astype("<u4"),
        "offsets": offsets.astype("<u4"),
        "entries": number_n.astype("<u2" if len(distinct) < 2**16 else "<u4"),
        "levels": codes.levels[kept],
        "most": most,
        "nCut": int((counts > most).sum()),  # patches on which more latents fire; all others are listed whole
    }


def _there(parts: Mapping[str, object]) -> dict[str, object]:
    """Those parts of a script that say something."""
    return {name: value for name, value in parts.items() if isinstance(value, np.ndarray) or value}


def _seeds(seeds: Seeds) -> dict[str, object]:
    found = seeds.found.astype("<u2")
    return {"n": seeds.n, "least": seeds.least, "found": found, "cosine": _floats(seeds.cosine)}


def _peaks(page: LatentPage) -> dict[str, object] | None:
    """Labels, and the place among them of the own one of each picture with a heatmap, pictures ascending; one past the
    last for none.
    """
    labels = sorted(set(page.peaks.values()))
    place = {label: number for number, label in enumerate(labels)}
    numbers = [place[page.peaks[image]] if image in page.peaks else len(labels) for image in sorted(page.heatmaps)]
    return {"labels": labels, "numbers": np.array(numbers, dtype="<u2")} if labels else None


def _column(column: Column, images: Sequence[int]) -> dict[str, object]:
    """The values that some images have, and of each image its value's place among them, -1 for none."""
    numbers = column.numbers_i[np.array(images, dtype=np.int64)]
    distinct = np.unique(numbers[numbers >= 0])
    places = np.where(numbers >= 0, np.searchsorted(distinct, numbers), -1)
    values = [column.values[number] for number in distinct.tolist()]
    return {"name": column.name, "kind": column.kind, "values": values, "numbers": places.astype("<i4")}


def _examples(examples: Iterable[LatentExample]) -> list[list[float]]:
    return [[example.image_id, float(f"{example.value:.5g}")] for example in examples]


def _labels(counts: Iterable[LabelCount]) -> list[list[Any]]:
    return [_label(one) for one in counts]


def _label(one: LabelCount) -> list[Any]:
    precision = None if one.precision is None else round(one.precision, 4)
    numbers = [one.count, round(one.purity, 4), round(one.lift, 2), float(f"{one.q:.2g}")]
    return [one.label, *numbers, precision, round(one.overall, 4), float(f"{one.prevalence:.3g}")]


def _pairs(pairs: Iterable[tuple[int, float]]) -> list[list[float]]:
    return [[int(latent), round(float(cosine), 4)] for latent, cosine in pairs]


def _heatmaps(maps: Mapping[int, Levels]) -> dict[str, Any]:
    """Of each picture the number of levels above 0; then their places, one byte each in grids up to 256; the levels."""
    if not maps:
        return {"images": [], "counts": "", "places": "", "levels": ""}
    places = [np.flatnonzero(levels) for levels in maps.values()]
    above = [levels.ravel()[own] for levels, own in zip(maps.values(), places, strict=True)]
    size = next(iter(maps.values())).size
    return {
        "images": list(maps),
        "counts": np.array([len(own) for own in places], dtype="<u2"),
        "places": np.concatenate(places).astype("u1" if size <= 2**8 else "<u2"),
        "levels": np.concatenate(above),
    }


def _floats(values: npt.NDArray[np.floating] | None) -> npt.NDArray[np.float32] | None:
    return None if values is None else values.astype("<f4")
