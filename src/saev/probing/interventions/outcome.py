"""What passes leave of each picture: numbers. Embeddings and tokens of a batch are gone with its last pass.

Shape suffixes: b = pictures of a batch, i = all measured pictures, r = draws of random latents, e = width of the
embedding, q = patches, d = d_model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.probing.interventions.readouts import SHARES, PatchReadout, Readout
from saev.probing.statistics.arrays import Floats

UNTOUCHED: Final = "untouched"
EDITED: Final = "edited"
RANDOM: Final = "random"
"""The mean over the draws."""
COSINE: Final = "embedding: cosine"

Values = Mapping[str, Floats]
"""By column, values (b,) of some pictures, nan where a picture has none. Whether it has one depends on no change."""


def right_column(readout: str) -> str:
    """The column of 1 where a classifier finds the picture's own class the most probable one, else 0."""
    return f"{readout}: right"


@final
@dataclass(frozen=True)
class Reading:
    """What is read of a pass."""

    readouts: Sequence[Readout]  # From the embeddings.
    patches: PatchReadout | None  # From the patches, if there are masks.
    target: str | None  # The class of pictures that is told from the others, if there is one.

    @property
    def right_columns(self) -> list[str]:
        """Columns that are read of the classifiers for accuracies; they are no figures."""
        return [right_column(readout.name) for readout in self.readouts if readout.is_classifier]

    def all(
        self,
        before_be: Tensor,
        after: tuple[Tensor, Tensor],
        labels_b: Sequence[str | None],
        patch_labels_bq: Tensor | None,
    ) -> Values:
        """All columns.

        Args:
            before_be: Embeddings without a change.
            after: Those of this pass, and its final patch tokens (b, q, d).
            labels_b: Classes of the pictures.
            patch_labels_bq: Values of the masks.
        """
        after_be, tokens_bqd = after
        is_target_b = np.array([label is not None and label == self.target for label in labels_b])
        cosine_b = torch.nn.functional.cosine_similarity(before_be.double(), after_be.double(), dim=-1)
        found = self._split(COSINE, cosine_b.clamp(max=1).numpy(), is_target_b)
        for readout in self.readouts:
            outputs_bc = readout.outputs(after_be)
            if not readout.is_classifier:
                columns = zip(readout.classes, outputs_bc.T, strict=True)
                found |= {f"{readout.name}: output {one}": values_b for one, values_b in columns}
                continue
            own_b, found[right_column(readout.name)] = _of_classes(readout, outputs_bc, labels_b)
            found |= self._split(f"{readout.name}: own class", own_b, is_target_b)
        if self.patches is not None and patch_labels_bq is not None:
            shares_b3 = self.patches.shares(tokens_bqd, patch_labels_bq)
            kinds = SHARES if self.patches.target is not None else SHARES[:1]
            found |= {f"segmentation: {what}": shares_b3[:, number] for number, what in enumerate(kinds)}
        return found

    def _split(self, name: str, values_b: Floats, is_target_b: NDArray[np.bool_]) -> dict[str, Floats]:
        """A column, and with a target the same for its pictures and for all others."""
        found = {name: values_b}
        if self.target is not None:
            found[f"{name}, {SHARES[1]}"] = np.where(is_target_b, values_b, np.nan)
            found[f"{name}, {SHARES[2]}"] = np.where(is_target_b, np.nan, values_b)
        return found

    def right(self, after_be: Tensor, labels_b: Sequence[str | None]) -> Values:
        """The `right_columns` alone."""
        return {
            right_column(readout.name): _of_classes(readout, readout.outputs(after_be), labels_b)[1]
            for readout in self.readouts
            if readout.is_classifier
        }


def _of_classes(readout: Readout, outputs_bc: Floats, labels_b: Sequence[str | None]) -> tuple[Floats, Floats]:
    """The probability (b,) of each picture's own class, and 1 where it is the largest, else 0."""
    place = {name: number for number, name in enumerate(readout.classes)}
    own_b, right_b = np.full((2, len(labels_b)), np.nan)
    for picture, label in enumerate(labels_b):
        if label in place:
            own_b[picture] = outputs_bc[picture, place[label]]
            right_b[picture] = float(outputs_bc[picture].argmax() == place[label])
    return own_b, right_b


@final
@dataclass
class Outcome:
    """What changes do to the measured pictures."""

    kept: dict[str, dict[str, list[Floats]]] = field(default_factory=dict)
    """By the name of a change, "untouched" for none, and by column: values of the batches."""
    moved: dict[str, Floats] = field(default_factory=dict)
    """By column, the sum over pictures (r,) of what each draw adds to the untouched value."""
    norms: list[Floats] = field(default_factory=list)
    """Norm of the edit's change of a picture's tokens over that of the tokens, of the batches."""

    def add(self, rows: Mapping[str, Values], draws: Sequence[Values], norm_b: Floats) -> None:
        """Take the next batch.

        Args:
            rows: By the name of a change.
            draws: Of the changes along random latents.
            norm_b: Relative norms of the edit.
        """
        untouched = rows[UNTOUCHED]
        drawn = {column: np.array([values[column] for values in draws]) for column in untouched}
        for name, values in (*rows.items(), (RANDOM, {column: rb.mean(0) for column, rb in drawn.items()})):
            for column, values_b in values.items():
                self.kept.setdefault(name, {}).setdefault(column, []).append(values_b)
        for column, values_rb in drawn.items():
            self.moved[column] = self.moved.get(column, 0) + np.nansum(values_rb - untouched[column], axis=1)
        self.norms.append(norm_b)

    @property
    def columns(self) -> list[str]:
        """All columns, in their order."""
        return list(self.kept[UNTOUCHED])

    def values(self, name: str, column: str) -> Floats:
        """Values (i,) of all pictures."""
        return np.concatenate(self.kept[name][column])

    @property
    def norm_i(self) -> Floats:
        """Relative norms (i,) of the edit."""
        return np.concatenate(self.norms)
