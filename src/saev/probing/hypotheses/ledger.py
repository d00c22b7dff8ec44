"""Which tests a set was used for: a set that was tested on once is spent, and a later look at it is exploratory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from saev.files import read_regular
from saev.probing.statistics.verdict import VerdictName
from saev.shards.format.strict_json import parse_json
from saev.shards.format.typed_json import from_json

LEDGER_FILE: Final = "ledger.jsonl"
_MAX_BYTES: Final = 20_000_000


@final
@dataclass(frozen=True)
class LedgerEntry:
    """One test.

    Args:
        date: When, in UTC as ISO 8601.
        hypotheses: Hash of the frozen hypotheses.
        hypothesis: Which of them.
        set_digest: Digest of the set.
        verdict: What came out.
        exploratory: Whether its pictures were tested for the attribute before, or the set was used.
    """

    date: str
    hypotheses: str
    hypothesis: str
    set_digest: str
    verdict: VerdictName
    exploratory: bool


def read_ledger(directory: Path) -> list[LedgerEntry]:
    """The tests of the set in a directory, the oldest first; none where it has no ledger.

    Raises:
        InputError: If the ledger cannot be read, or a line of it is anything else than an entry.
    """
    path = directory / LEDGER_FILE
    if not path.exists():
        return []
    lines = read_regular(path, _MAX_BYTES).splitlines()
    places = [f"{path}, line {number}" for number in range(1, len(lines) + 1)]
    return [from_json(LedgerEntry, parse_json(line, where), where) for line, where in zip(lines, places, strict=True)]
