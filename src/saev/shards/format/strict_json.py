"""JSON from disk, read as untrusted: exact keys, exact types, bounded size, and no error but InputError."""

import hashlib
import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, final

from saev.errors import InputError, one_line
from saev.shards.format.files import read_whole, size_of

T = TypeVar("T")
MAX_INTEGER = 2**53  # what every JSON reader keeps exactly


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def parse_json(data: bytes, where: str) -> object:
    """Parse UTF-8 JSON; NaN, infinities and repeated keys are refused.

    Raises:
        InputError: For anything else; `where` begins the message.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_finite, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({one_line(error)})") from error


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a small file.

    Raises:
        InputError: If it is missing, a link, unreadable or larger than `max_bytes`.
    """
    size = size_of(path.parent, path.name)
    if size > max_bytes:
        raise InputError(f"{path}: {size} bytes are more than the {max_bytes} allowed: not written by saev")
    data = bytearray(size)
    read_whole(path.parent, path.name, memoryview(data))
    return bytes(data)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Puts the place in a file before the message of a fault in a value that stands there.

    Raises:
        InputError: The same fault, beginning with `where`.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def canonical_json(value: object) -> str:
    """The one compact, key-sorted text of a JSON value, for hashing.

    Raises:
        ValueError: For NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_digest(value: object) -> str:
    """SHA-256, in hex, of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


@final
class JsonObject:
    """A JSON object with exactly the given keys, whose fields are fetched by type.

    Args:
        where: Begins all messages.
        short: Keys that a user may write in place of some of them, for hints.

    Raises:
        InputError: If `value` is no object, or has missing or unknown keys.
    """

    def __init__(self, value: object, where: str, keys: Iterable[str], short: Iterable[str] = ()) -> None:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, found {reprlib.repr(value)}")
        expected = set(keys)
        if value.keys() != expected:
            missing, unknown = sorted(expected - value.keys()), sorted(value.keys() - expected)
            both = (("missing", missing), ("unknown", unknown))
            said = [f"{what} keys {reprlib.repr(some)}" for what, some in both if some]
            near = [get_close_matches(str(key), [*expected, *short], n=1) for key in unknown[:1]]
            hint = f"; did you mean {near[0][0]!r}?" if near and near[0] else ""
            raise InputError(f"{where}: {', '.join(said)}{hint}")
        self._value: dict[str, object] = value
        self._where = where

    def _wrong(self, key: str, expected: str) -> InputError:
        found = reprlib.repr(self._value[key])
        return InputError(f"{self._where}: {key!r} must be {expected}, found {found}")

    def integer(self, key: str, minimum: int = 0) -> int:
        """An integer from `minimum` to 2^53."""
        value = self._value[key]
        if type(value) is not int or not minimum <= value <= MAX_INTEGER:
            raise self._wrong(key, f"an integer of at least {minimum}")
        return value

    def number(self, key: str) -> float:
        """A finite number of at most 2^53 in size."""
        value = self._value[key]
        if type(value) not in (int, float) or not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            raise self._wrong(key, "a number")
        return float(value)  # type: ignore[arg-type]

    def _typed(self, key: str, kind: type[T], expected: str) -> T:
        value = self._value[key]
        if not isinstance(value, kind):
            raise self._wrong(key, expected)
        return value

    def boolean(self, key: str) -> bool:
        """True or false."""
        return self._typed(key, bool, "true or false")

    def text(self, key: str) -> str:
        """A string."""
        return self._typed(key, str, "a string")

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """One of a few strings."""
        value = self._value[key]
        if not isinstance(value, str) or value not in choices:
            raise self._wrong(key, f"one of {', '.join(choices)}")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string or null."""
        return None if self._value[key] is None else self.text(key)

    def optional_integer(self, key: str, minimum: int = 0) -> int | None:
        """An integer or null."""
        return None if self._value[key] is None else self.integer(key, minimum)

    def optional_number(self, key: str) -> float | None:
        """A finite number or null."""
        return None if self._value[key] is None else self.number(key)

    def array(self, key: str) -> list[object]:
        """A list of anything."""
        return self._typed(key, list, "a list")

    def integers(self, key: str, length: int, minimum: int = 0) -> tuple[int, ...]:
        """A list of `length` integers of at least `minimum`."""
        values = tuple(v for v in self.array(key) if type(v) is int and minimum <= v <= MAX_INTEGER)
        if len(values) != length or len(self.array(key)) != length:
            raise self._wrong(key, f"a list of {length} integers of at least {minimum}")
        return values

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers of at most 2^53 in size."""
        each = [JsonObject({key: value}, self._where, (key,)) for value in self.array(key)]
        return tuple(one.number(key) for one in each)

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        values = [v for v in self.array(key) if isinstance(v, str)]
        if len(values) != len(self.array(key)):
            raise self._wrong(key, "a list of strings")
        return values

    def mapping(self, key: str) -> dict[str, object]:
        """An object of anything."""
        return self._typed(key, dict, "an object")
