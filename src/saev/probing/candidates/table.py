"""The table of candidates: pairs of a latent and an attribute that are worth a look.

Shape suffixes: l = latents, j = attributes, r = rows of the table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import replacing
from saev.probing.candidates.patches import Overlap
from saev.probing.candidates.scoring import Scored
from saev.probing.hypotheses.file import Halves
from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.shards.format.strict_json import parse_json

CANDIDATES_FILE: Final = "candidates.parquet"
_HALVES: Final = "saev-halves"
PROXY_MARGIN: Final = 0.02
PROXY_NOTE: Final = "not more than its class says"


@final
@dataclass(frozen=True)
class Rows:
    """Which pairs are kept: of each attribute the best latents (of labels of patches by IoU, too), of each latent the
    best attribute.
    """

    latent_r: Integers
    attribute_r: Integers  # The attributes; rows stand by attribute, then from the largest effect on.
    rank_r: Integers  # Place of the latent among all of this attribute, from 1.
    best_of_attribute_r: Bools  # Whether it is the latent of `Scored.best`.
    best_of_latent_r: Bools  # Whether no other attribute goes as well with the latent.
    iou_rank_r: Floats  # Place of the latent among all by IoU; NaN where the attribute is no label of patches.

    @classmethod
    def of(cls, scored: Scored, n_best: int, iou_lj: NDArray[np.float32] | None = None) -> "Rows":
        """The pairs of the latents that fire.

        Args:
            n_best: Latents of each attribute, by its effect and by IoU.
            iou_lj: (l, j) as `overlap` gives it.
        """
        size_lj = np.abs(scored.effect_lj)
        live = np.flatnonzero(np.diff(scored.pooled_il.indptr))
        best_l, best_j = size_lj.argmax(1), scored.best()
        parts = []
        for j in range(size_lj.shape[1]):
            order = live[np.argsort(-size_lj[live, j], kind="stable")]
            is_kept = (best_l[order] == j) | (order == best_j[j]) | (np.arange(len(order)) < n_best)
            iou_rank = np.full(len(order), np.nan)
            if iou_lj is not None and not np.isnan(iou_lj[:, j]).any():
                iou_rank[np.argsort(-iou_lj[order, j], kind="stable")] = np.arange(1, len(order) + 1)
            kept = np.flatnonzero(is_kept | (iou_rank <= n_best))
            parts.append((order[kept], np.full(len(kept), j), kept + 1, iou_rank[kept]))
        latent_r, attribute_r, rank_r, iou_rank_r = (np.concatenate(one) for one in zip(*parts, strict=True))
        is_best_r = latent_r == best_j[attribute_r]
        return cls(latent_r, attribute_r, rank_r, is_best_r, best_l[latent_r] == attribute_r, iou_rank_r)


def columns_of(
    scored: Scored,
    rows: Rows,
    p_best_j: Floats,
    class_mcc_j: Floats,
    own: Overlap | None,
    more: Mapping[str, NDArray[Any]],
) -> dict[str, Any]:
    """The columns of the table (r,), as docs/files.md describes them; NaN where there is no value.

    Args:
        p_best_j: Of `Scored.p_of_best`.
        class_mcc_j: MCC of the class's mean value of the best latent; NaN where that says nothing.
        own: Agreement with labels of patches, if there are any.
        more: Further columns: of controls and seeds.
    """
    every, n_binary = scored.every, len(scored.attributes.binary)
    latent, attribute = rows.latent_r, rows.attribute_r
    is_binary = attribute < n_binary
    effect_r = scored.effect_lj[latent, attribute]
    is_low = is_binary & (effect_r < 0)

    def binary(values_lj: NDArray[Any]) -> NDArray[np.float32]:
        """Values of the rows whose attributes are binary."""
        found = np.full(len(latent), np.nan, np.float32)
        found[is_binary] = values_lj[latent[is_binary], attribute[is_binary]]
        return found

    x_ij = scored.attributes.x_ij
    n_j = np.concatenate([(scored.attributes.y_ij >= 0).sum(0), (~np.isnan(x_ij)).sum(0)])
    positive_j = np.append((scored.attributes.y_ij == 1).sum(0).astype(np.float64), [np.nan] * len(x_ij[0]))
    is_best = rows.best_of_attribute_r
    scores, class_mcc_r = scored.scores, np.where(is_best, class_mcc_j[attribute], np.nan)
    is_proxy = class_mcc_r >= np.abs(effect_r) - PROXY_MARGIN
    return {
        "latent": latent.astype(np.int32),
        "source": [every[j].source for j in attribute.tolist()],
        "family": [every[j].family for j in attribute.tolist()],
        "attribute": [every[j].name for j in attribute.tolist()],
        "kind": ["binary" if one else "numeric" for one in is_binary.tolist()],
        "claim": ["does not fire on" if one else "fires on" for one in (effect_r < 0).tolist()],
        "rank": rows.rank_r.astype(np.int32),
        "best_of_attribute": is_best,
        "best_of_latent": rows.best_of_latent_r,
        "n": n_j[attribute].astype(np.int64),
        "prevalence": (positive_j / np.maximum(n_j, 1))[attribute].astype(np.float32),
        "frequency": (np.diff(scored.pooled_il.indptr) / scored.pooled_il.shape[0])[latent].astype(np.float32),
        "mcc": np.where(is_binary, effect_r, np.nan).astype(np.float32),
        "threshold": np.where(is_low, binary(scores.lowest_threshold), binary(scores.threshold)),
        "f1": np.where(is_low, np.float32(np.nan), binary(scores.f1)),
        "correlation": np.where(is_binary, binary(scores.correlation), effect_r).astype(np.float32),
        "average_precision": binary(scores.average_precision),
        "auroc": binary(scores.auroc),
        "p": scored.p_lj[latent, attribute],
        "q": scored.q_lj[latent, attribute],
        "p_best": np.where(is_best, p_best_j[attribute], np.nan),
        "class_mcc": class_mcc_r.astype(np.float32),
        "note": [PROXY_NOTE if one else "" for one in is_proxy.tolist()],
        **({} if own is None else _of_patches(own, rows)),
        **more,
    }


def _of_patches(own: Overlap, rows: Rows) -> dict[str, Any]:
    where = (rows.latent_r, rows.attribute_r)
    rank = pa.array(rows.iou_rank_r, from_pandas=True).cast(pa.int32())
    return {"iou": own.iou[where], "iou_threshold": own.threshold[where], "iou_rank": rank}


def write_table(path: Path, columns: Mapping[str, Any], halves: Halves) -> None:
    """Write columns as Parquet in one step; NaN becomes null.

    Args:
        columns: As `columns_of` gives them.
        halves: Of which half of which division all is; stands in the file's metadata.

    Raises:
        InputError: If the disk does not take it.
    """
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    with replacing(path) as file:
        pq.write_table(table.replace_schema_metadata({_HALVES: json.dumps(halves.to_dict())}), file)


def read_halves(path: Path) -> Halves:
    """How the pictures of a table were divided.

    Raises:
        InputError: If there is no such table.
    """
    try:
        said = pq.read_schema(path).metadata[_HALVES.encode()]
    except (OSError, pa.ArrowException, TypeError, KeyError) as error:
        raise InputError(f"{path} is no table of `saev probe propose`: give a directory that it wrote") from error
    return from_json(Halves, parse_json(said, str(path)), f"{path}: {_HALVES}")
