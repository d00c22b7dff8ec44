"""The files of a test: REPORT/index.html, verdicts.json, verdicts.csv, edits.csv and summaries for TensorBoard."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Final, Self, final

from saev.artifacts.typed_json import from_json
from saev.csv_text import csv_text
from saev.errors import InputError
from saev.files import new_directory, read_regular
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.inputs import Input
from saev.probing.verdicts.result import Result
from saev.shards.format.strict_json import parse_json

FORMAT: Final = "saev-verdicts"
VERSION: Final = 1
VERDICTS_FILE: Final = "verdicts.json"
TABLE_FILE: Final = "verdicts.csv"
EDITS_FILE: Final = "edits.csv"
PAGE_FILE: Final = "index.html"
_MAX_BYTES: Final = 2**28
_COLUMNS: Final = (
    "id", "text", "claim", "attribute", "verdict", "exploratory", "circular", "effect", "low", "high", "p",
    "p_corrected", "n", "n_positive", "n_unsure", "n_needed", "matched", "reason",
)  # fmt: skip


@final
@dataclass(frozen=True)
class Verdicts:
    """All that a test says, and what is needed to do it again."""

    date: str  # When it was done, in UTC as ISO 8601.
    frozen: str  # Hash of the frozen hypotheses.
    sae: str  # Digest of the SAE.
    shards: str  # Content id of the recording.
    alpha: float  # The error that is allowed over all hypotheses of the file.
    n_hypotheses: int  # Hypotheses of the file, for which p is corrected.
    n_permutations: int  # Permutations of labels.
    n_draws: int  # Draws of a bootstrap.
    strata: str | None  # The confounder within whose values labels were permuted, if any.
    seed: int  # Of all chance.
    inputs: tuple[Input, ...]  # Answers, table and folders that it was given.
    results: tuple[Result, ...] = field(metadata={"json": "hypotheses"})  # Of the hypotheses with a set.

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        facts = vars(self) | {"inputs": [asdict(one) for one in self.inputs]}
        del facts["results"]
        return {"format": FORMAT, "version": VERSION, **facts, "hypotheses": [one.to_dict() for one in self.results]}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
            raise InputError(f"{where} holds no verdicts of version {VERSION}: give what `saev probe test` printed")
        return from_json(cls, {key: one for key, one in value.items() if key not in ("format", "version")}, where)


def read_verdicts(directory: Path) -> Verdicts:
    """Read the verdicts of a report.

    Raises:
        InputError: If there are none, or anything in them is missing, unknown or of another kind.
    """
    path = directory / VERDICTS_FILE
    return Verdicts.from_json(parse_json(read_regular(path, _MAX_BYTES), str(path)), str(path))


def write_verdicts(out: Path, verdicts: Verdicts, page: bytes, noting: AbstractContextManager[None]) -> None:
    """Write a report into a new directory, which is there whole or not at all.

    Args:
        out: The directory.
        page: The same for people, as HTML.
        noting: Is entered when all is written and nothing can be seen yet, and left when all is seen.

    Raises:
        InputError: If something is there already, the disk does not take it, or from `noting`.
    """
    with new_directory(out, noting) as partial:
        (partial / VERDICTS_FILE).write_bytes(f"{json.dumps(verdicts.to_dict(), indent=2)}\n".encode("ascii"))
        (partial / PAGE_FILE).write_bytes(page)
        (partial / TABLE_FILE).write_bytes(_table(verdicts.results).encode())
        if any(one.edits for one in verdicts.results):
            (partial / EDITS_FILE).write_bytes(_table_of_edits(verdicts.results).encode())
        _summarise(partial, verdicts.results)


def _table(results: Sequence[Result]) -> str:
    rows = [
        [
            one.id, one.text, one.claim, f"{one.attribute['source']}: {one.attribute['name']}", one.verdict,
            "yes" if one.exploratory else "no", "yes" if one.circular else "no", one.effect, *one.interval, one.p,
            one.p_corrected, one.n, one.n_positive, one.n_unsure, one.n_needed,
            one.matched and one.matched.quantile, one.reason,
        ]
        for one in results
    ]  # fmt: skip
    return csv_text(_COLUMNS, rows)


def _table_of_edits(results: Sequence[Result]) -> str:
    columns = ["id", *(one.name for one in fields(EditEffect))]
    return csv_text(columns, [[one.id, *astuple(edit)] for one in results for edit in one.edits])


def _summarise(directory: Path, results: Sequence[Result]) -> None:
    """Scalars and reasons for TensorBoard, by hypothesis."""
    from torch.utils.tensorboard import SummaryWriter  # here: it takes a second to import

    with SummaryWriter(str(directory)) as writer:
        for one in results:
            low, high = one.interval
            for name, value in (("effect", one.effect), ("low", low), ("high", high), ("p_corrected", one.p_corrected)):
                writer.add_scalar(f"{name}/{one.id}", value, 0)
            writer.add_text(f"reason/{one.id}", one.reason, 0)
            for edit in one.edits:
                for name, value in (("effect", edit.effect), ("low", edit.low), ("high", edit.high)):
                    writer.add_scalar(f"edit_{name}/{one.id}/{edit.name}", value, 0)
