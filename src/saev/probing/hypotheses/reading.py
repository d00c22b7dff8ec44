"""Files of hypotheses are read as untrusted, drafts with defaults for what they do not say."""

import reprlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, final

import yaml
from typing_extensions import override

from saev.artifacts.typed_json import from_json
from saev.errors import InputError, one_line
from saev.files import read_regular, read_regular_text
from saev.probing.hypotheses.file import ALPHA, FORMAT, VERSION, Draft, Frozen, Halves
from saev.probing.hypotheses.hypothesis import Hypothesis, default_id
from saev.shards.format.strict_json import JsonObject, located, parse_json

_MAX_BYTES: Final = 20_000_000
_HEAD: Final = ("format", "version")
_BODY: Final = ("sae", "shards", "alpha", "strata", "halves", "hypotheses")
_FROZEN: Final = ("date", "hash")
_DEFAULTS: Final = {
    "claim": "fires on",
    "thresholds": None,
    "tokens": "content",
    "pooling": "max",
    "count_above": 0.0,
    "smallest_effect": 0.2,
}


def read_hypotheses(path: str | Path) -> Draft | Frozen:
    """Read a file of hypotheses: JSON, or YAML where its name ends in .yaml or .yml; see docs/files.md.

    With a date or a hash it is frozen. Without them it is a draft: what it does not say has its default.

    Raises:
        InputError: If it cannot be read, or anything in it is missing, unknown or of another kind.
    """
    value = _parse(Path(path))
    if isinstance(value, dict) and any(key in value for key in _FROZEN):
        return _frozen(value, str(path))
    return _draft(value, str(path))


def read_frozen(path: str | Path) -> Frozen:
    """Read a file of frozen hypotheses.

    Raises:
        InputError: As `read_hypotheses`, and for a draft.
    """
    found = read_hypotheses(path)
    if isinstance(found, Draft):
        raise InputError(f"{path} is a draft: freeze it first, with `saev probe freeze`")
    return found


def _frozen(value: object, where: str) -> Frozen:
    found = _head(value, where, (*_HEAD, *_BODY, *_FROZEN))
    date = _date(found.text("date"), where)
    facts = _facts(found, where, lambda one: one)
    with located(where):
        frozen = Frozen(**facts, date=date, sae=found.text("sae"), shards=found.text("shards"))
    if found.text("hash") != frozen.hash:
        raise InputError(
            f"{where}: the file was edited after it was frozen (its hash is {frozen.hash}, it says "
            f"{found.text('hash')}): remove 'date' and 'hash' and freeze it again, for sets that are not used yet"
        )
    return frozen


def _draft(value: object, where: str) -> Draft:
    if isinstance(value, dict):
        halves = value.get("halves", {})
        if isinstance(halves, dict):
            halves = {"seed": 0, "columns": [], "division": None} | halves
        value = {"sae": None, "shards": None, "alpha": ALPHA} | value | {"halves": halves}
    found = _head(value, where, (*_HEAD, *_BODY))
    facts = _facts(found, where, _completed)
    with located(where):
        return Draft(**facts, sae=found.optional_text("sae"), shards=found.optional_text("shards"))


def _head(value: object, where: str, keys: tuple[str, ...]) -> JsonObject:
    """An object with these keys, of this format and version."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f'{where} is no file of hypotheses: it begins with "format": "{FORMAT}", "version": {VERSION}')
    if value.get("version") != VERSION:
        raise InputError(
            f"{where}: its version is {reprlib.repr(value.get('version'))}, this saev reads version {VERSION}"
        )
    return JsonObject({"strata": None} | value, where, keys)


def _facts(found: JsonObject, where: str, completed: Callable[[object], object]) -> dict[str, Any]:
    """What drafts and frozen hypotheses share."""
    return {
        "hypotheses": tuple(
            Hypothesis.from_json(completed(one), f"{where}: hypotheses[{n}]")
            for n, one in enumerate(found.array("hypotheses"))
        ),
        "alpha": found.number("alpha"),
        "strata": found.optional_text("strata"),
        "halves": from_json(Halves, found.mapping("halves"), f"{where}: halves"),
    }


def _completed(value: object) -> object:
    """A hypothesis of a draft with its defaults; what is wrong with it is found by who reads the result."""
    if not isinstance(value, dict):
        return value
    given = dict(value)
    if "latents" not in given and "latent" in given:
        given["latents"] = {"any": [given.pop("latent")]}
    if "thresholds" not in given and "threshold" in given:
        given["thresholds"] = [given.pop("threshold")]
    if isinstance(given.get("latents"), dict):
        given["latents"] = {"any": [], "unless": []} | given["latents"]
        given.setdefault("id", default_id(*(_list(given["latents"][key]) for key in ("any", "unless"))))
    if isinstance(given.get("attribute"), dict):
        given.setdefault("text", given["attribute"].get("name"))
    elif "text" in given:
        given.setdefault("attribute", {"source": "words", "name": given["text"]})
    return _DEFAULTS | given


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _date(text: str, where: str) -> str:
    try:
        if datetime.fromisoformat(text).utcoffset() is None:
            raise ValueError("it has no time zone")
    except ValueError as error:
        raise InputError(f"{where}: 'date' must be a date of ISO 8601 ({one_line(error)})") from error
    return text


def _parse(path: Path) -> object:
    """The value of a file of JSON or YAML, of which mappings have texts as keys, each once."""
    if path.suffix not in (".yaml", ".yml"):
        return parse_json(read_regular(path, _MAX_BYTES), str(path))
    text = read_regular_text(path, _MAX_BYTES)
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML ({one_line(error)})") from error


@final
class _Loader(yaml.SafeLoader):
    """YAML as strict as our JSON."""

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # A few lines of aliases stand for more than any memory holds.
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise ValueError(f"line {line}: an alias (*) is not read, write it out")
        return super().compose_node(parent, index)

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value if key.tag == "tag:yaml.org,2002:str" else None for key, _ in node.value]
        if None in keys:
            raise ValueError(f"line {node.start_mark.line + 1}: a key is no text")
        if len(set(keys)) != len(keys):
            raise ValueError(f"line {node.start_mark.line + 1}: a key stands twice")
        return super().construct_mapping(node, deep)
