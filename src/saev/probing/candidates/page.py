"""The page of candidates: one file, which opens from the file system and asks for nothing.

Shape suffix: r = rows of the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from saev.errors import printable
from saev.files import write_whole
from saev.pages.shared import shared
from saev.pages.standalone import standalone_page
from saev.probing.candidates.controls import CONTROLS
from saev.probing.pictures.pooling import Pooling

PAGE_FILE: Final = "index.html"
_SHOWN: Final = (
    "mcc", "threshold", "correlation", "f1", "average_precision", "prevalence", "auroc", "frequency", "q", "p_best",
    "iou", "class_mcc", "seeds", "seed_cosine", "latent", *CONTROLS,
)  # fmt: skip


@final
@dataclass(frozen=True)
class Facts:
    """What the page says above the table.

    Args:
        recording: Name of the recording.
        n_pictures: Pictures of the proposal half.
        n_test: Those of the other half.
        n_units: Units of the proposal half.
        n_latents: Latents of the SAE.
        n_attributes: Attributes that were compared.
        n_hypotheses: Hypotheses of the draft.
        n_seeds: Other SAEs that were compared.
        n_controls: Pictures on which controls were measured; 0 where they were not.
        pooling: How a picture's tokens became one value.
    """

    recording: str
    n_pictures: int
    n_test: int
    n_units: int
    n_latents: int
    n_attributes: int
    n_hypotheses: int
    n_seeds: int
    n_controls: int
    pooling: Pooling

    def shown(self) -> list[tuple[str, str]]:
        """Names and values."""
        pictures = f"{self.n_pictures:,} (another {self.n_test:,} wait for the test)"
        found = [("Recording", printable(self.recording)), ("Pictures looked at", pictures)]
        if self.n_units < self.n_pictures:
            found.append(("Units among them", f"{self.n_units:,}"))
        found += [("Latents", f"{self.n_latents:,}"), ("Attributes", f"{self.n_attributes:,}")]
        found += [("Value of a picture", f"{self.pooling} over its tokens"), ("In the draft", f"{self.n_hypotheses:,}")]
        found += [("Other SAEs", f"{self.n_seeds:,}")] if self.n_seeds else []
        return found + ([("Controls measured on", f"{self.n_controls:,} of these pictures")] if self.n_controls else [])

    def warning(self) -> str:
        """What these numbers are not."""
        return (
            f"Exploratory: these are the best of {self.n_latents * self.n_attributes:,} pairs, on the same pictures, "
            "and chosen with their thresholds, so that their scores are too good. q is the expected share of false "
            "discoveries among all pairs whose q is as small (Benjamini and Hochberg). A threshold is the largest "
            "value that does not fire; in the draft it lies halfway from there to the next one. Freeze the hypotheses "
            "that you believe in, and test them on the other half of the pictures."
        )


def write_page(path: Path, columns: Mapping[str, Any], facts: Facts) -> None:
    """Write the page in one step.

    Args:
        path: The file.
        columns: Those of the table.
        facts: What stands above it.

    Raises:
        InputError: If the disk does not take it.
    """
    assets = files("saev.probing.candidates") / "assets"
    body, style, script = (
        (assets / f"candidates.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js")
    )
    beside = (assets / "beside.js").read_text(encoding="utf-8")
    scripts, data = [shared("show.js"), beside, script], _data(columns, facts)
    write_whole(path, standalone_page("Candidates of hypotheses", body, styles=[style], scripts=scripts, data=data))


def _data(columns: Mapping[str, Any], facts: Facts) -> dict[str, object]:
    names = list(zip(columns["source"], columns["attribute"], strict=True))
    places = {one: place for place, one in enumerate(dict.fromkeys(names))}
    shown: dict[str, list[Any]] = {name: _numbers(columns[name]) for name in _SHOWN if name in columns}
    shown["attribute"] = [places[one] for one in names]
    shown["numeric"] = [int(one == "numeric") for one in columns["kind"]]
    shown["negative"] = [int(one != "fires on") for one in columns["claim"]]
    shown["best"] = [int(one) for one in columns["best_of_attribute"]]
    shown["note"] = list(columns["note"])
    return {"facts": facts.shown(), "warning": facts.warning(), "attributes": list(places), "columns": shown}


def _numbers(values_r: Any) -> list[float | int | None]:
    """Values with four digits; None for NaN."""
    if np.issubdtype(values_r.dtype, np.integer):
        return [int(one) for one in values_r]
    return [None if np.isnan(one) else float(f"{one:.4g}") for one in values_r.tolist()]
