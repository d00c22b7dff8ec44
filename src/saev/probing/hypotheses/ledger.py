"""Ledgers: which pictures were tested for which attribute. What was tested on once is spent.

SETS/ID/ledger.jsonl    tests of that set
tested.jsonl            tests with any set, and their pictures: beside the recording, and in SETS
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from saev.artifacts.typed_json import from_json
from saev.errors import InputError, tell
from saev.files import check_writable, read_regular, unwritable, write_whole
from saev.lock import LOCK_SUFFIX, FileLock
from saev.probing.statistics.verdict import VerdictName
from saev.shards.format.strict_json import JsonObject, parse_json

LEDGER_FILE: Final = "ledger.jsonl"
TESTED_FILE: Final = "tested.jsonl"
_MAX_BYTES: Final = 2**30
_MAX_OF_SET: Final = 20_000_000
_DIGITS: Final = 12
"""Of a picture's SHA-256, which tell pictures apart."""


@final
@dataclass(frozen=True)
class LedgerEntry:
    """One test."""

    date: str  # When, in UTC as ISO 8601.
    hypotheses: str  # Hash of the frozen hypotheses.
    hypothesis: str  # Which of them.
    set_digest: str  # Digest of the set.
    verdict: VerdictName  # What came out.
    exploratory: bool  # Whether its pictures were tested for the attribute before, or the set was used.


@final
@dataclass(frozen=True)
class SetInUse:
    """A set that is tested on."""

    directory: Path  # Where it lies.
    attribute: str  # What it is tested for: source and name, as "label: zebra".
    pictures: frozenset[str]  # SHA-256 of all its pictures.

    @property
    def short(self) -> frozenset[str]:
        """What `tested.jsonl` has of the pictures."""
        return _short(self.pictures)


@final
@dataclass(frozen=True)
class Ledgers:
    """Where tests of pictures are looked for, beside the ledgers of their sets."""

    beside: Path  # The directory that holds the recording.
    sets: Path  # The directory that holds the sets.

    def writable(self) -> Path:
        """The one of both where tests are noted: beside the recording; a line says where that cannot be written.

        Raises:
            InputError: If neither can.
        """
        try:
            check_writable(self.beside)
        except InputError:
            check_writable(self.sets)
            tell(f"{self.beside} cannot be written: sets outside {self.sets} will not know of this test")
            return self.sets
        return self.beside

    def tried(self, sets: Sequence[SetInUse]) -> list[list[LedgerEntry]]:
        """Tests before, the oldest first, of each of some sets: with that set, or for its attribute on its pictures.

        Raises:
            InputError: If a ledger cannot be read, or a line of it is anything else than an entry.
        """
        noted, found = self._noted(), []
        for one in sets:
            own = read_ledger(one.directory)
            for entry, attribute, pictures in noted:
                if attribute == one.attribute and entry not in own and not one.short.isdisjoint(pictures):
                    own.append(entry)
            found.append(sorted(own, key=lambda entry: entry.date))
        return found

    def earlier(self, sets: Sequence[SetInUse], recorded: Iterable[str]) -> list[int]:
        """How often the attribute of each of some sets was tested on other pictures of the recording alone.

        Exploratory tests do not count, and a test of several sets at once counts once.

        Args:
            recorded: SHA-256 of the recording's pictures.

        Raises:
            InputError: As `tried`.
        """
        every = _short(recorded)
        noted = [one for one in self._noted() if not one[0].exploratory and not every.isdisjoint(one[2])]
        return [
            len(
                {
                    (entry.hypotheses, entry.date)
                    for entry, attribute, pictures in noted
                    if attribute == one.attribute and one.short.isdisjoint(pictures)
                }
            )
            for one in sets
        ]

    def tested(self, attribute: str, digests: Sequence[str]) -> list[bool]:
        """Whether each of some pictures, by its SHA-256, was in a test for an attribute, of whatever latents.

        Raises:
            InputError: As `tried`.
        """
        found: set[str] = set()
        found.update(*(pictures for _, of, pictures in self._noted() if of == attribute))
        return [one[:_DIGITS] in found for one in digests]

    def _noted(self) -> list[tuple[LedgerEntry, str, frozenset[str]]]:
        return [one for place in dict.fromkeys((self.beside, self.sets)) for one in _read(place / TESTED_FILE)]

    @contextmanager
    def noting(
        self,
        place: Path,
        sets: Sequence[SetInUse],
        entries: Sequence[LedgerEntry],
        seen: Sequence[Sequence[LedgerEntry]],
    ) -> Iterator[None]:
        """Put tests into all ledgers before the block; where the block or the disk fails, they are taken out again.

        Args:
            place: Where they are noted for other sets: `writable`.
            entries: The test of each.
            seen: What `tried` said when the test began.

        Raises:
            InputError: As `tried`; the disk does not take it, another process notes a test just now, or has noted one
                since the test began.
        """
        shared = place / TESTED_FILE
        lines = {one.directory / LEDGER_FILE: _line(asdict(entry)) for one, entry in zip(sets, entries, strict=True)}
        lines[shared] = b"".join(
            _line(asdict(entry) | {"attribute": one.attribute, "pictures": sorted(one.short)})
            for one, entry in zip(sets, entries, strict=True)
        )
        with ExitStack() as held:
            for path in sorted(lines):
                _claim(path, held)
            if any(list(now) != list(then) for now, then in zip(self.tried(sets), seen, strict=True)):
                raise InputError(
                    "another test looked at these pictures while this one ran, so that this is not the first: test "
                    "again, and its verdicts are exploratory"
                )
            before = {path: read_regular(path, _MAX_BYTES) if path.exists() else None for path in lines}
            try:
                for path, line in lines.items():
                    write_whole(path, (before[path] or b"") + line)
                yield
            except BaseException:
                for path, text in before.items():
                    _restore(path, text)
                raise


def _short(digests: Iterable[str]) -> frozenset[str]:
    return frozenset(one[:_DIGITS] for one in digests)


def _claim(path: Path, held: ExitStack) -> None:
    lock = FileLock(path.with_name(f".{path.name}{LOCK_SUFFIX}"), f"{path}: another test is being noted: try again")
    held.callback(lock.release)
    try:
        lock.claim()
    except OSError as error:
        raise InputError(unwritable(path, error)) from error


def _restore(path: Path, text: bytes | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    elif read_regular(path, _MAX_BYTES) != text:
        write_whole(path, text)


def _line(facts: dict[str, object]) -> bytes:
    return f"{json.dumps(facts, separators=(',', ':'))}\n".encode("ascii")


def read_ledger(directory: Path) -> list[LedgerEntry]:
    """The tests of the set in a directory, the oldest first; none where it has no ledger.

    Raises:
        InputError: If the ledger cannot be read, or a line of it is anything else than an entry.
    """
    return [from_json(LedgerEntry, value, where) for value, where in _lines(directory / LEDGER_FILE, _MAX_OF_SET)]


def _read(path: Path) -> Iterator[tuple[LedgerEntry, str, frozenset[str]]]:
    """Tests, what each was for, and its pictures."""
    for value, where in _lines(path, _MAX_BYTES):
        keys = ("attribute", "pictures")
        rest = {key: one for key, one in value.items() if key not in keys} if isinstance(value, dict) else value
        entry = from_json(LedgerEntry, rest, where)
        own = JsonObject(value, where, (*asdict(entry), *keys))
        yield entry, own.text("attribute"), frozenset(own.texts("pictures"))


def _lines(path: Path, max_bytes: int) -> Iterator[tuple[object, str]]:
    """The values of a file's lines, and what messages call these; none where there is no file."""
    lines = read_regular(path, max_bytes).splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        yield parse_json(line, where), where
