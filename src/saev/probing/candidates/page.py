"""The page of candidates: one file, which opens from the file system and asks for nothing.

Shape suffix: r = rows of the table.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from saev.errors import printable
from saev.files import write_whole
from saev.pages.shared import shared
from saev.pages.standalone import standalone_page
from saev.probing.candidates.controls import CONTROLS

PAGE_FILE: Final = "index.html"
_SHOWN: Final = (
    "mcc", "threshold", "correlation", "f1", "average_precision", "prevalence", "auroc", "frequency", "q", "p_best",
    "iou", "class_mcc", "seeds", "seed_cosine", "latent", *CONTROLS,
)  # fmt: skip


def write_page(path: Path, columns: Mapping[str, Any], facts: Mapping[str, str], n_pairs: int) -> None:
    """Write the page in one step.

    Args:
        facts: What stands above it, by name.
        n_pairs: Of how many pairs of a latent and an attribute these are the best.

    Raises:
        InputError: If the disk does not take it.
    """
    assets = files("saev.probing.candidates") / "assets"
    body, style, script = (
        (assets / f"candidates.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js")
    )
    beside = (assets / "beside.js").read_text(encoding="utf-8")
    scripts, data = [shared("show.js"), beside, script], _data(columns, facts, n_pairs)
    write_whole(path, standalone_page("Candidates of hypotheses", body, styles=[style], scripts=scripts, data=data))


def _data(columns: Mapping[str, Any], facts: Mapping[str, str], n_pairs: int) -> dict[str, object]:
    names = list(zip(columns["source"], columns["attribute"], strict=True))
    places = {one: place for place, one in enumerate(dict.fromkeys(names))}
    shown: dict[str, list[Any]] = {name: _numbers(columns[name]) for name in _SHOWN if name in columns}
    shown["attribute"] = [places[one] for one in names]
    shown["numeric"] = [int(one == "numeric") for one in columns["kind"]]
    shown["negative"] = [int(one != "fires on") for one in columns["claim"]]
    shown["best"] = [int(one) for one in columns["best_of_attribute"]]
    shown["note"] = list(columns["note"])
    warning = (
        f"Exploratory: these are the best of {n_pairs:,} pairs, on the same pictures, and chosen with their "
        "thresholds, so that their scores are too good. q is the expected share of false discoveries among all pairs "
        "whose q is as small (Benjamini and Hochberg). A threshold is the largest value that does not fire; in the "
        "draft it lies halfway from there to the next one. Freeze the hypotheses that you believe in, and test them on "
        "the other half of the pictures."
    )
    said = [(name, printable(one)) for name, one in facts.items()]
    return {"facts": said, "warning": warning, "attributes": list(places), "columns": shown}


def _numbers(values_r: Any) -> list[float | int | None]:
    """Values with four digits; None for NaN."""
    if np.issubdtype(values_r.dtype, np.integer):
        return [int(one) for one in values_r]
    return [None if np.isnan(one) else float(f"{one:.4g}") for one in values_r.tolist()]
