"""Files of a set that say of themselves what they are, with a digest: an edit is noticed."""

import hashlib
import json
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import read_regular
from saev.shards.format.strict_json import canonical_digest, parse_json
from saev.vit.images.base import MAX_FILE_BYTES

VERSION: Final = 1
_MAX_BYTES: Final = 2**28


class Sealed:
    """What a dataclass holds, as JSON with its digest."""

    kind: ClassVar[str]
    """The format of the file."""
    holds: ClassVar[str]
    """What messages call it."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that stands in the file."""
        return canonical_digest(self._body())

    def _body(self: Any) -> dict[str, object]:
        return {"format": self.kind, "version": VERSION, **asdict(self)}

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return self._body() | {"digest": self.digest}

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: If the disk does not take it.
        """
        path.write_bytes(f"{json.dumps(self.to_dict(), indent=1)}\n".encode("ascii"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give; where the digest is another one, it was edited.
        """
        value = parse_json(read_regular(path, _MAX_BYTES), str(path))
        if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (cls.kind, VERSION):
            raise InputError(f"{path} holds no {cls.holds} of version {VERSION}: give what `saev probe build` printed")
        rest = {key: one for key, one in value.items() if key not in ("format", "version", "digest")}
        made = from_json(cls, rest, str(path))
        try:
            digest = made.digest
        except RecursionError as error:
            raise InputError(f"{path} is nested too deeply") from error
        if value.get("digest") != digest:
            raise InputError(
                f"{path} was edited after it was built (its digest is {digest}, it says {value.get('digest')}): "
                "build the set again"
            )
        return made


def read_checked(path: Path, sha256: str, built_from: str) -> bytes:
    """The bytes of a picture's file.

    Args:
        sha256: What they must be.
        built_from: Says which picture it was, for messages.

    Raises:
        InputError: If it is missing or another one.
    """
    return checked(read_regular(path, MAX_FILE_BYTES), sha256, path, built_from)


def checked(data: bytes, sha256: str, where: str | Path, built_from: str) -> bytes:
    """Bytes that are those of a picture; arguments and errors are those of `read_checked`."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"{where} is not the picture any more that {built_from}")
    return data
