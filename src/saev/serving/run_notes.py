"""Notes on latents that lie in the run: read by all pages of `saev view`, and changed note by note."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from saev.artifacts.typed_json import from_json
from saev.errors import InputError, one_line
from saev.files import check_writable, read_regular, unwritable, write_whole
from saev.latents.notes_file import FORMAT, MAX_CLAIM, MAX_NOTES_BYTES, VERSION, Evidence, Note, Notes
from saev.lock import LOCK_SUFFIX, FileLock
from saev.serving.asked import BadRequest
from saev.shards.format.strict_json import JsonObject, parse_json

MAX_CHANGES_BYTES: Final = 2**21
"""Upper bound of the changes that come at once."""
_PATIENCE: Final = 5.0
_ONE_VALUE: Final = ("star", "name", "confidence", "verdict")
_Json = dict[str, Any]
_NOTHING: Final[_Json] = {"sae": None, "stars": [], "notes": []}


@final
class RunNotes:
    """The notes on the latents of one SAE, in a file of the run.

    Every change reads the file, merges and replaces it as a whole, so that several pages and servers can write. Safe
    for several threads and processes.

    Args:
        path: RUN/notes/NAME.json, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self) -> _Json:
        """All notes, and where they lie.

        Returns:
            {"path", "reason": why they cannot be kept here or null, "sae": null where nothing is noted yet, "stars":
            starred pictures, "notes"}
        """
        try:
            check_writable(self.path.parent)
            found = self._read()
        except InputError as error:
            return {"path": str(self.path), "reason": one_line(error), **_NOTHING}
        return {"path": str(self.path), "reason": None, **{key: found.get(key, []) for key in _NOTHING}}

    def change(self, body: bytes) -> _Json:
        """Change some notes; a field that somebody else has changed meanwhile is merged, so that nothing is lost.

        Args:
            body: JSON {"sae", "title", "half" as in the file, "changes": [{"latent", "set": {field: value}, "was":
                {field: what the page had last read or written}}], "stars": {"add": [picture], "take": [picture]}}, of
                which stars may be missing.

        Returns:
            {"stars": all, "notes": those of the latents that were named, as they are now; one that says nothing has its
            latent alone, "faults": [{"latent": null for a star, "why"}]}. What has a fault, alone or with what the file
            has, is left out, and all else is changed.

        Raises:
            BadRequest: If the body is something else, or the file is of another SAE, or would be too large; nothing is
                changed then.
            InputError: If the file has a mistake, the disk does not take it, or another process holds it for long.
        """
        about, changes, stars = _parsed(body)
        lock = FileLock(self.path.with_name(f".{self.path.name}{LOCK_SUFFIX}"), f"{self.path} is being written")
        _claim(lock, self.path)
        try:
            return self._merge(about, changes, stars)
        finally:
            lock.release()

    def _merge(self, about: _Json, changes: list[_Json], stars: Mapping[str, list[object]]) -> _Json:
        file = self._read()
        if file["sae"] not in (None, about["sae"]):
            raise BadRequest(f"{self.path} is on another SAE, trained before: move that file away to note something")
        notes: dict[int, _Json] = {one["latent"]: one for one in file["notes"]}
        faults: list[_Json] = []
        for change in changes:
            before = notes.setdefault(change["latent"], {"latent": change["latent"]})
            note = changed(before, change["set"], change["was"])
            if (fault := _fault(note, change)) is None:
                notes[change["latent"]] = note
            else:
                faults.append({"latent": change["latent"], "why": fault})
        kept = [notes[latent] for latent in sorted(notes) if len(notes[latent]) > 1]
        starred = _starred(file.get("stars", []), stars, faults)
        new = {"format": FORMAT, **file, **about, "version": VERSION, "stars": starred, "notes": kept}
        text = json.dumps(new, indent=1, ensure_ascii=False, allow_nan=False)
        data = text.encode("utf-8", "backslashreplace")  # half a surrogate pair becomes its escape in JSON
        if len(data) > MAX_NOTES_BYTES:
            raise BadRequest(f"{self.path} would have {len(data)} bytes, and {MAX_NOTES_BYTES} are the most")
        try:
            Notes.from_json({**new, "stars": [], "notes": []}, str(self.path))  # those are checked
        except InputError as error:
            raise BadRequest(str(error)) from error
        if kept != file["notes"] or starred != file.get("stars", []):
            write_whole(self.path, data)
        return {"stars": starred, "notes": [notes[change["latent"]] for change in changes], "faults": faults}

    def _read(self) -> _Json:
        """The file as it is, checked."""
        if not self.path.exists():
            return dict(_NOTHING)
        value = parse_json(read_regular(self.path, MAX_NOTES_BYTES), str(self.path))
        Notes.from_json(value, str(self.path))
        assert isinstance(value, dict)
        return value


def changed(note: _Json, new: Mapping[str, Any], was: Mapping[str, Any]) -> _Json:
    """A note with some fields changed; those that say nothing are left out.

    >>> changed({"latent": 1, "text": "eyes", "tags": ["a"]}, {"text": "birds", "tags": ["b"]}, {"tags": []})
    {'latent': 1, 'text': 'eyes\\n\\nbirds', 'tags': ['a', 'b']}

    Args:
        note: As it is stored.
        new: What the page wants it to be.
        was: What the page believed it to be.
    """
    found = {**note, **{name: _merged(name, note.get(name), was.get(name), value) for name, value in new.items()}}
    if found.get("claim") not in (note.get("claim"), new.get("claim")) and len(found["claim"]) > MAX_CLAIM:
        # The one that is there stays, and the other one is kept below the text, as the page keeps those of a file.
        before, now = (f"Another claim: {one['claim']}" if one.get("claim") else None for one in (was, new))
        found |= {"claim": note["claim"], "text": _merged("text", found.get("text"), before, now)}
    return {name: value for name, value in found.items() if name == "latent" or not _is_nothing(name, value)}


def _starred(stored: list[_Json], given: Mapping[str, list[object]], faults: list[_Json]) -> list[_Json]:
    """Starred pictures with those that come and without those that go; what is none is put among the faults."""
    found = {Evidence(**one): one for one in stored}
    changes = [(False, one) for one in given["take"]] + [(True, one) for one in given["add"]]
    for is_added, one in changes:
        try:
            star = from_json(Evidence, one, "a starred picture")
        except InputError as error:
            faults.append({"latent": None, "why": str(error)})
        else:
            if is_added:
                found.setdefault(star, vars(star))
            else:
                found.pop(star, None)
    return list(found.values())


def _fault(note: _Json, change: _Json) -> str | None:
    """Why a note would be none with a change; None if it is one."""
    where, own = f"latent {change['latent']}", {"latent": change["latent"], **change["set"]}
    try:
        Note.from_json(own, where)
    except InputError as error:
        return str(error)
    try:
        Note.from_json(note, where)
    except InputError as error:
        return f"{error}: another page has written to this note, too, so that this one must become shorter"
    return None


def _merged(name: str, stored: Any, was: Any, new: Any) -> Any:
    if stored in (None, was, new) or name in _ONE_VALUE:
        return new
    if isinstance(stored, list) and isinstance(new, list):
        before = was if isinstance(was, list) else []
        kept = [one for one in stored if one in new or one not in before]
        return kept + [one for one in new if one not in kept and one not in before]
    if isinstance(stored, str) and isinstance(new, str):
        if was and isinstance(was, str) and was in stored:  # somebody has added to what this page goes on with
            return stored.replace(was, new, 1)
        return stored if new in stored else new if stored in new else f"{stored}\n\n{new}"
    return new


def _is_nothing(name: str, value: Any) -> bool:
    return value is None or value is False or value in ("", []) or (name, value) == ("verdict", "open")


def _claim(lock: FileLock, path: Path) -> None:
    """Take the lock; another server holds it for a moment alone."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return lock.claim()
        except OSError as error:
            raise InputError(unwritable(path, error)) from error
        except InputError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _parsed(body: bytes) -> tuple[_Json, list[_Json], Mapping[str, list[object]]]:
    where = "changes of notes"
    try:
        value = parse_json(body, where)
        if isinstance(value, dict):
            value = {"stars": {"add": [], "take": []}, **value}
        found = JsonObject(value, where, ("sae", "title", "half", "changes", "stars"))
        given = JsonObject(found.mapping("stars"), f"{where}: stars", ("add", "take"))
        stars = {key: given.array(key) for key in ("add", "take")}
        changes = []
        for one in found.array("changes"):
            change = JsonObject(one, where, ("latent", "set", "was"))
            changes.append({key: change.mapping(key) for key in ("set", "was")} | {"latent": change.integer("latent")})
        assert isinstance(value, dict)
        return {"sae": found.text("sae"), "title": found.text("title"), "half": value["half"]}, changes, stars
    except InputError as error:
        raise BadRequest(str(error)) from error
