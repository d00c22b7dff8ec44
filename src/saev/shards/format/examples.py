"""`examples.jsonl`: one line for each picture, in the order of the activations."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Final, Self, final

from saev.shards.format.strict_json import JsonObject, parse_json

EXAMPLES_FILE: Final = "examples.jsonl"


@final
@dataclass(frozen=True)
class ExampleRecord:
    """One picture: its name, label and size in pixels and bytes, and the SHA-256 of its file."""

    path: str
    label: str | None
    width: int
    height: int
    n_bytes: int
    digest: str

    def to_line(self) -> str:
        """One line of JSON; pure ASCII, so that any file name survives."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: bytes, where: str) -> Self:
        """From one line, strictly.

        Raises:
            InputError: For anything that `to_line` does not give.
        """
        found = JsonObject(parse_json(line, where), where, [f.name for f in fields(cls)])
        return cls(
            path=found.text("path"),
            label=found.optional_text("label"),
            width=found.integer("width", 1),
            height=found.integer("height", 1),
            n_bytes=found.integer("n_bytes"),
            digest=found.text("digest"),
        )


def dump_examples(examples: Iterable[ExampleRecord]) -> bytes:
    """The lines of some examples."""
    return "".join(example.to_line() for example in examples).encode("ascii")
