"""All numbers of all latents as a table: `latents.csv` and `latents.parquet`, beside the page.

Shape suffixes: s = d_sae.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.csv_text import csv_text
from saev.errors import InputError, one_line
from saev.gallery.data import STANDINGS, Gallery, Seeds, Verdict
from saev.gallery.label_counts import BestLabels
from saev.latents.survey import FLAGS, PERCENTILES, LatentSurvey, PlaceProfile
from saev.metrics import nearest
from saev.nn import SparseAutoencoder

CSV_FILE: Final = "latents.csv"
PARQUET_FILE: Final = "latents.parquet"
Column = Sequence[Any] | NDArray[Any]
Table = Mapping[str, Column]
"""Columns of equal length by name; None where something is not known."""


def latent_table(gallery: Gallery, survey: LatentSurvey, sae: SparseAutoencoder) -> Table:
    """What is known of each latent but for notes, which the gallery does not have."""
    numbers = np.arange(gallery.d_sae)
    percentiles_sq = survey.histogram.percentiles().minimum(survey.moments.max_value[:, None]).numpy()
    own = nearest(sae.W_dec, sae.W_dec, own_r=torch.arange(gallery.d_sae))
    columns: dict[str, Column] = {
        "latent": numbers,
        "frequency": gallery.frequency,
        "image_frequency": gallery.image_frequency,
        "mean_value": gallery.mean_value,
        "max_value": gallery.max_value,
        **{f"p{percent}": column_s for percent, column_s in zip(PERCENTILES, percentiles_sq.T, strict=True)},
        **{
            name: column_s
            for name, column_s in (("first_to_second", gallery.top_ratio), ("pictures", gallery.spread))
            if column_s is not None
        },
    }
    if gallery.places is not None:
        columns |= _places(gallery.places)
    for one in gallery.labels:
        columns |= _labels(one, gallery.d_sae)
    columns["name"] = [own and own.name for own in map(gallery.names.get, range(gallery.d_sae))]
    columns["name_score"] = [own and own.score for own in map(gallery.names.get, range(gallery.d_sae))]
    columns |= _seeds(gallery.seeds)
    columns |= {"nearest": own.numbers[:, 0].numpy(), "nearest_cosine": own.cosines[:, 0].numpy()}
    for other in gallery.others:
        columns |= {f"match in {other.folder}": other.matched, f"match in {other.folder}, cosine": other.cosine}
    return columns | _verdicts(gallery.verdicts, gallery.d_sae)


def annotated_table(directory: Path, verdicts: Sequence[Verdict], seeds: Seeds | None) -> Table:
    """The table of a gallery that is there, with other verdicts and seeds where any are given.

    Raises:
        InputError: If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found: dict[str, Column] = pq.read_table(directory / PARQUET_FILE).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{directory / PARQUET_FILE} cannot be read ({one_line(error)}): render again") from error
    return found | _seeds(seeds) | _verdicts(verdicts, len(found["latent"]))


def _labels(best: BestLabels, d_sae: int) -> dict[str, Column]:
    """The label of each latent, of one kind, with its figures."""
    found = [best.labels.get(latent) for latent in range(d_sae)]
    names = {
        "label": "label", "purity": "purity", "overall": "share_of_all", "lift": "lift", "precision": "ap",
        "prevalence": "ap_by_chance", "q": "q",
    }  # fmt: skip
    return {f"{best.kind}_{name}": [one and getattr(one, field) for one in found] for field, name in names.items()}


def _places(profile: PlaceProfile) -> dict[str, Column]:
    """Where in pictures latents fire; what is not known has no column."""
    flags = [", ".join(name for bit, name in enumerate(FLAGS) if one >> bit & 1) for one in profile.flags.tolist()]
    numbers = {
        "one_image": profile.one_image, "border": profile.border, "extent": profile.extent,
        "patches_per_image": profile.patches, "boundary": profile.boundary,
    }  # fmt: skip
    known: dict[str, Column] = {name: column_s for name, column_s in numbers.items() if column_s is not None}
    return {"flags": flags, **known}


def _seeds(seeds: Seeds | None) -> dict[str, Column]:
    return {} if seeds is None else {"seeds_found": seeds.found, "seeds_cosine": seeds.cosine}


def _verdicts(verdicts: Sequence[Verdict], d_sae: int) -> dict[str, Column]:
    """The clearest verdict on each latent."""
    if not verdicts:
        return {}
    clearest = {
        latent: one for one in sorted(verdicts, key=lambda one: -STANDINGS.index(one.standing)) for latent in one.any
    }
    found = [clearest.get(latent) for latent in range(d_sae)]
    return {"verdict": [one and one.standing for one in found], "claim": [one and one.claim for one in found]}


def table_files(table: Table) -> dict[str, bytes]:
    """Both files by name."""
    import pyarrow as pa  # here: it takes a while to import
    import pyarrow.parquet as pq

    columns = {name: _listed(column) for name, column in table.items()}
    rows = zip(*columns.values(), strict=True)
    text = csv_text(list(columns), list(rows))
    readable = {_utf8(name): _utf8(column) for name, column in columns.items()}
    parquet = io.BytesIO()
    pq.write_table(pa.table(readable), parquet)
    return {CSV_FILE: text.encode("utf-8", "replace"), PARQUET_FILE: parquet.getvalue()}


def _listed(column: Column) -> list[Any]:
    """Plain values; float32 with the digits that tell it from its neighbours."""
    if not isinstance(column, np.ndarray):
        return list(column)
    if column.dtype == np.float32:
        return [float(str(value)) for value in column]
    return list(column.tolist())


def _utf8(value: Any) -> Any:
    """Texts that can be stored: names of files may hold bytes that are no text."""
    if isinstance(value, list):
        return [_utf8(one) for one in value]
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
