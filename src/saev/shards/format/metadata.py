"""`metadata.json`: exactly the keys of the original saev's protocol 2.1."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final, Self, final

from saev.errors import InputError
from saev.shards.format.layout import DTYPES
from saev.shards.format.recording import PIXEL_AGGREGATIONS, Recording
from saev.shards.format.strict_json import JsonObject, canonical_json, parse_json, read_bytes

METADATA_FILE: Final = "metadata.json"
PROTOCOLS: Final = ("2.1", "3.0")
MAX_METADATA_BYTES: Final = 2**20
ORIGINAL_FAMILIES: Final = frozenset(
    ("bird-mae", "clip", "dinov2", "dinov3", "fake-clip", "pe-core", "pe-spatial", "siglip")
)


@final
@dataclass(frozen=True)
class Metadata:
    """What protocol 2.1 knows of a recording; registers and the patch grid stand in the manifest."""

    family: str
    ckpt: str
    layers: tuple[int, ...]
    """The one layer."""
    content_tokens_per_example: int
    cls_token: bool
    d_model: int
    n_examples: int
    max_tokens_per_shard: int
    """Tokens of each file, padding and prefix included."""
    data: str
    """JSON text that names the image source."""
    dataset: str
    pixel_agg: str
    dtype: str
    protocol: str

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """The metadata of a recording.

        Raises:
            InputError: If they don't fit into the size that readers allow, or the layer counts from the end.
        """
        if recording.layer < 0:
            raise InputError(f"recording {recording.name}: layer {recording.layer} must not be negative")
        layout, family = recording.layout, str(recording.model["family"])
        is_readable = layout.dtype == "float32" and layout.tokens.n_registers == 0 and family in ORIGINAL_FAMILIES
        metadata = cls(
            family=family,
            ckpt=str(recording.model["ckpt"]),
            layers=(recording.layer,),
            content_tokens_per_example=layout.tokens.n_content,
            cls_token=layout.tokens.cls,
            d_model=layout.d_model,
            n_examples=layout.n_examples,
            max_tokens_per_shard=layout.examples_per_shard * layout.tokens.n_tokens,
            data=canonical_json(recording.source),
            dataset=recording.dataset,
            pixel_agg=recording.pixel_agg,
            dtype=layout.dtype,
            protocol="2.1" if is_readable else "3.0",  # by the original
        )
        if len(metadata.dump()) > MAX_METADATA_BYTES:
            raise InputError(f"recording {recording.name}: its image source takes over {MAX_METADATA_BYTES} bytes")
        return metadata

    def dump(self) -> bytes:
        """The bytes of the file."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode("ascii")

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """From the bytes of the file, strictly.

        Raises:
            InputError: For other protocols, missing or unknown keys, and values of another type or range.
        """
        value = parse_json(data, where)
        protocol = value.get("protocol") if isinstance(value, dict) else None
        if protocol not in PROTOCOLS:
            raise InputError(
                f"{where}: protocol {str(protocol)[:40]!r} cannot be read, only {' and '.join(PROTOCOLS)}: "
                "record the activations again with this version"
            )
        found = JsonObject(value, where, [f.name for f in fields(cls)])
        return cls.from_json(found, found.integers("layers", 1), {})

    @classmethod
    def from_json(cls, found: JsonObject, layers: tuple[int, ...], names: Mapping[str, str]) -> Self:
        """From an object of a protocol that can be read, whose keys may have other names.

        Raises:
            InputError: For values of another type or range.
        """
        name = {field.name: names.get(field.name, field.name) for field in fields(cls)}
        return cls(
            family=found.text(name["family"]),
            ckpt=found.text(name["ckpt"]),
            layers=layers,
            content_tokens_per_example=found.integer(name["content_tokens_per_example"], 1),
            cls_token=found.boolean("cls_token"),
            d_model=found.integer(name["d_model"], 1),
            n_examples=found.integer(name["n_examples"], 1),
            max_tokens_per_shard=found.integer(name["max_tokens_per_shard"], 1),
            data=found.text("data"),
            dataset=found.text("dataset"),
            pixel_agg=found.choice("pixel_agg", PIXEL_AGGREGATIONS),
            dtype=found.choice("dtype", DTYPES),
            protocol=found.text("protocol"),
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """From a directory of shards.

        Raises:
            InputError: If the file is missing, too large or not such metadata.
        """
        path = directory / METADATA_FILE
        return cls.parse(read_bytes(path, MAX_METADATA_BYTES), str(path))

    def check_against(self, recording: Recording, where: str) -> None:
        """Raise InputError for the first key that the manifest's recording has another value of; not for paths."""
        expected = asdict(replace(Metadata.of(recording), data=self.data, dataset=self.dataset))
        for key, value in asdict(self).items():
            if value != expected[key]:
                found, said = reprlib.repr(value), reprlib.repr(expected[key])
                raise InputError(f"{where}: {key} is {found}, but the manifest says {said}")
