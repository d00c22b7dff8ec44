"""Notes on latents as a file: what somebody thinks that each latent means, how sure they are, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, final, get_args

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import read_regular
from saev.shards.format.strict_json import JsonObject, parse_json

Verdict = Literal["open", "supported", "refuted"]

FORMAT: Final = "saev-notes"
VERSION: Final = 2
MAX_NOTES_BYTES: Final = 20_000_000
"""Of a file."""
MAX_NOTE: Final = 2**16
"""Characters of one note as JSON, with all that other versions of this format may keep in it."""
MAX_EVIDENCE: Final = 200
MAX_TAGS: Final = 50
MAX_CLAIM: Final = 1000
"""Characters of a claim."""
_LONGEST: Final = {"text": 10_000, "name": 200, "claim": MAX_CLAIM}
_LONGEST_TAG: Final = 60
_DEFAULTS: Final[dict[str, object]] = {
    "star": False, "text": "", "name": "", "claim": "", "confidence": None, "verdict": "open", "tags": [],
    "evidence": [],
}  # fmt: skip
_OLD_KEYS: Final = ("latent", "star", "text")


@final
@dataclass(frozen=True)
class Evidence:
    """A picture that speaks for or against a claim."""

    picture: int  # Its number in the gallery.
    name: str
    set: str = ""  # The image set of the gallery, "" for its first one.


@final
@dataclass(frozen=True)
class Note:
    """What is noted on a latent."""

    latent: int
    star: bool  # Whether it is starred.
    text: str  # Words about it.
    claim: str = ""  # What it fires on, in words that a test can decide.
    confidence: int | None = None  # That the claim is true, in per cent; None where nobody says it.
    verdict: Verdict = "open"  # What whoever writes it thinks of the claim by now.
    tags: tuple[str, ...] = ()  # Free words; the latents of one are a list.
    evidence: tuple[Evidence, ...] = ()  # Pictures.
    name: str = ""  # What the latent is called, in the place of a name that was found.
    more: Mapping[str, object] | None = None  # What else stands in it: kept as it is.

    @classmethod
    def from_json(cls, value: object, where: str, version: int = VERSION) -> Self:
        """From JSON, strictly: keys may be missing, and those that this version does not know are kept.

        Args:
            value: A note of a file.
            where: Begins all messages.
            version: Of the file; 1 has star and text alone.

        Raises:
            InputError: If a value is of another kind, too long or out of its range.
        """
        if version == 1:
            JsonObject(value, where, _OLD_KEYS)
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, found {value!r:.80}")
        value = _without_odd_name(value)
        known = {"latent": value.get("latent"), **{key: value.get(key, default) for key, default in _DEFAULTS.items()}}
        more = {key: one for key, one in value.items() if key not in known}
        if len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) > MAX_NOTE:  # as the page counts
            raise InputError(f"{where} has more than {MAX_NOTE} characters")
        found = JsonObject(known, where, known)
        texts = {key: found.text(key) for key in _LONGEST}
        for key, most in _LONGEST.items():
            _check_length(f"{where}: {key}", texts[key], most)
        confidence = found.optional_integer("confidence")
        if confidence is not None and confidence > 100:
            raise InputError(f"{where}: confidence is {confidence}, and must be at most 100 (per cent)")
        some = ({"set": "", **one} if isinstance(one, dict) else one for one in found.array("evidence"))
        evidence = tuple(from_json(Evidence, one, f"{where}: evidence") for one in some)
        if len(evidence) > MAX_EVIDENCE:
            raise InputError(f"{where} has {len(evidence)} pictures of evidence, and {MAX_EVIDENCE} are the most")
        verdict: Verdict = found.choice("verdict", get_args(Verdict))  # type: ignore[assignment]
        tags = tuple(_tags(found.texts("tags"), where))
        return cls(
            found.integer("latent"), found.boolean("star"), **texts, confidence=confidence, verdict=verdict, tags=tags,
            evidence=evidence, more=more,
        )  # fmt: skip


@final
@dataclass(frozen=True)
class Notes:
    """A file of notes."""

    sae: str  # The first 16 hex digits of the SHA-256 over the SAE's weights.
    half: tuple[int, tuple[str, ...]] | None
    """Seed and columns of the proposal half that the gallery shows; None for pictures of both halves."""
    notes: tuple[Note, ...]  # One for each noted latent.

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly; version 1 is read, too.

        Raises:
            InputError: For anything that is no file of notes.
        """
        version = value.get("version") if isinstance(value, dict) and value.get("format") == FORMAT else None
        if not isinstance(value, dict) or version not in (1, VERSION):
            raise InputError(f"{where} is no file of notes of version 1 or {VERSION}: export them in the gallery")
        keys = ("format", "version", "sae", "title", "half", "stars", "notes")
        value = {"half": None, "stars": [], **value}  # early galleries do not say it
        found = JsonObject(value if version == 1 else {key: value[key] for key in keys if key in value}, where, keys)
        found.text("title")
        for star in found.array("stars"):  # pictures, which pages alone look at
            from_json(Evidence, star, f"{where}: stars")
        notes: dict[int, Note] = {}
        for number, one in enumerate(found.array("notes")):
            note = Note.from_json(one, f"{where}: notes[{number}]", version)
            if note.latent in notes:
                raise InputError(f"{where}: notes[{number}] is a second one of latent {note.latent}")
            notes[note.latent] = note
        half = None if value["half"] is None else _half(found.mapping("half"), f"{where}: half")
        return cls(found.text("sae"), half, tuple(notes.values()))


def read_notes_file(path: str | Path) -> Notes:
    """Read a file of notes.

    Raises:
        InputError: If it cannot be read, or has any mistake.
    """
    return Notes.from_json(parse_json(read_regular(path, MAX_NOTES_BYTES), str(path)), str(path))


def _without_odd_name(note: dict[str, Any]) -> dict[str, Any]:
    """A note whose `name` is one: before notes had names, it was an unknown field, and could be anything."""
    name = note.get("name")
    if isinstance(name, str) and len(name) <= _LONGEST["name"]:
        return note
    others = {key: one for key, one in note.items() if key != "name"}
    return others if name is None else {"old_name": name, **others}


def _check_length(where: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InputError(f"{where} has {len(text)} characters, and {most} are the most")


def _tags(tags: Sequence[str], where: str) -> Sequence[str]:
    if len(tags) > MAX_TAGS:
        raise InputError(f"{where} has {len(tags)} tags, and {MAX_TAGS} are the most")
    for tag in tags:
        _check_length(f"{where}: a tag", tag, _LONGEST_TAG)
    return tags


def _half(value: object, where: str) -> tuple[int, tuple[str, ...]]:
    found = JsonObject(value, where, ("seed", "group"))
    return found.integer("seed"), tuple(found.texts("group"))
