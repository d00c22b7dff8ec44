"""`metadata.json` of the original saev, read as untrusted; the pickle in its `data` is never decoded."""

import reprlib
from dataclasses import fields
from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.shards.format.manifest import MANIFEST_FILE
from saev.shards.format.metadata import MAX_METADATA_BYTES, METADATA_FILE, Metadata
from saev.shards.format.recording import PIXEL_AGGREGATIONS
from saev.shards.format.strict_json import JsonObject, canonical_digest, parse_json, read_bytes

ORIGINAL_PROTOCOLS: Final = ("1.0.0", "1.1", "2.1")
# What a file without these keys means; one without a protocol keeps saying so.
_OPTIONAL: Final = {"dtype": "float32", "protocol": "unstated"}
_KEY_OF_OLDER_LAYOUT: Final = "vit_family"


def read_original_metadata(directory: Path) -> tuple[Metadata, str]:
    """The metadata, with all layers of the directory, and the SHA-256 of their canonical text.

    Raises:
        InputError: as `parse_original_metadata`, and if the file is missing or too large.
    """
    path = directory / METADATA_FILE
    return parse_original_metadata(read_bytes(path, MAX_METADATA_BYTES), str(path))


def parse_original_metadata(data: bytes, where: str) -> tuple[Metadata, str]:
    """The same from the bytes of the file, strictly.

    Raises:
        InputError: for our own recordings, the older layout, other protocols and dtypes, missing or unknown keys,
            and values of another type or range.
    """
    value = parse_json(data, where)
    if isinstance(value, dict):
        _check_kind(value, where)
        value = {**_OPTIONAL, **value}
    found = JsonObject(value, where, [f.name for f in fields(Metadata)])
    metadata = Metadata(
        family=found.text("family"),
        ckpt=found.text("ckpt"),
        layers=_layers(found, where),
        content_tokens_per_example=found.integer("content_tokens_per_example", 1),
        cls_token=found.boolean("cls_token"),
        d_model=found.integer("d_model", 1),
        n_examples=found.integer("n_examples", 1),
        max_tokens_per_shard=found.integer("max_tokens_per_shard", 1),
        data=found.text("data"),
        dataset=found.text("dataset"),
        pixel_agg=found.choice("pixel_agg", PIXEL_AGGREGATIONS),
        dtype=found.text("dtype"),
        protocol=found.text("protocol"),
    )
    return metadata, canonical_digest(value)


def _check_kind(value: dict[str, object], where: str) -> None:
    """Refuse what is no directory of the original saev, or none that can be read, saying what it is."""
    protocol, dtype = value.get("protocol", ORIGINAL_PROTOCOLS[0]), value.get("dtype", "float32")
    if _KEY_OF_OLDER_LAYOUT in value:
        raise InputError(
            f"{where}: has {_KEY_OF_OLDER_LAYOUT!r}, so it is of an older layout of the original saev: only its "
            f"protocols {', '.join(ORIGINAL_PROTOCOLS)} can be read: record the activations again"
        )
    # Theirs is base64, which has no braces; ours is the JSON text of an object.
    if str(value.get("data")).lstrip().startswith("{") or protocol == "3.0":
        raise InputError(
            f"{where}: a recording of this saev whose {MANIFEST_FILE} is missing: copy it again or record it again"
        )
    if protocol not in ORIGINAL_PROTOCOLS:
        raise InputError(
            f"{where}: protocol {reprlib.repr(protocol)} cannot be read, of the original saev only "
            f"{', '.join(ORIGINAL_PROTOCOLS)}: record the activations again"
        )
    if dtype != "float32":
        raise InputError(
            f"{where}: dtype {reprlib.repr(dtype)} cannot be read, of the original saev only 'float32': "
            "record the activations again"
        )


def _layers(found: JsonObject, where: str) -> tuple[int, ...]:
    listed = found.array("layers")
    if any(type(layer) is int and layer < 0 for layer in listed):
        raise InputError(
            f"{where}: layers {reprlib.repr(listed)} count from the end of a model of unknown depth: write the "
            "numbers of its blocks there, counted from 0"
        )
    layers = found.integers("layers", len(listed))
    if not layers or len(set(layers)) != len(layers):
        raise InputError(f"{where}: layers {reprlib.repr(listed)} must be one or more numbers, each once")
    return layers
