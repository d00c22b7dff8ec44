"""`metadata.json` of the original saev, read as untrusted; the pickle or text in its `data` is never decoded."""

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.shards.format.manifest import MANIFEST_FILE
from saev.shards.format.metadata import MAX_METADATA_BYTES, METADATA_FILE, Metadata
from saev.shards.format.recording import PIXEL_AGGREGATIONS, UNKNOWN
from saev.shards.format.strict_json import MAX_INTEGER, JsonObject, canonical_digest, parse_json, read_bytes

ORIGINAL_PROTOCOLS: Final = ("1.0.0", "1.1", "2.1")
OLDEST: Final = "0.1.0"
"""What stands for a protocol in the metadata of version 0.1.0, which states none."""
# What a file without these keys means; one without a protocol keeps saying so.
_OPTIONAL: Final = {"dtype": "float32", "protocol": "unstated"}
_OPTIONAL_BEFORE: Final = {**_OPTIONAL, "protocol": OLDEST, "dataset": UNKNOWN, "pixel_agg": "majority", "seed": 0}
_KEYS_BEFORE: Final = {
    "family": ("vit_family", "model_family"),
    "ckpt": ("vit_ckpt", "model_ckpt"),
    "content_tokens_per_example": ("n_patches_per_img",),
    "d_model": ("d_vit",),
    "n_examples": ("n_imgs",),
    "max_tokens_per_shard": ("n_patches_per_shard", "max_patches_per_shard"),
}
"""How versions until September 2025 spell the keys, the commonest first."""


def read_original_metadata(directory: Path) -> tuple[Metadata, str]:
    """The metadata, with all layers of the directory, and the SHA-256 of their canonical text.

    Raises:
        InputError: as `parse_original_metadata`, and if the file is missing or too large.
    """
    path = directory / METADATA_FILE
    return parse_original_metadata(read_bytes(path, MAX_METADATA_BYTES), str(path))


def parse_original_metadata(data: bytes, where: str) -> tuple[Metadata, str]:
    """The same from the bytes of the file, strictly.

    Layers count from 0, or all of them from the end.

    Raises:
        InputError: for our own recordings, other protocols and dtypes, missing or unknown keys, values of another type
            or range, and layers in an order that is not that of the activations.
    """
    value = parse_json(data, where)
    spelled = _spellings(value) if isinstance(value, dict) else {}
    if isinstance(value, dict):
        _check_kind(value, where)
        value = {**(_OPTIONAL_BEFORE if spelled else _OPTIONAL), **value}
    name = {field.name: spelled.get(field.name, field.name) for field in fields(Metadata)}
    found = JsonObject(value, where, [*name.values(), *(["seed"] if spelled else [])])
    metadata = Metadata(
        family=found.text(name["family"]),
        ckpt=found.text(name["ckpt"]),
        layers=_layers(found, where),
        content_tokens_per_example=found.integer(name["content_tokens_per_example"], 1),
        cls_token=found.boolean("cls_token"),
        d_model=found.integer(name["d_model"], 1),
        n_examples=found.integer(name["n_examples"], 1),
        max_tokens_per_shard=found.integer(name["max_tokens_per_shard"], 1),
        data=found.text("data"),
        dataset=found.text("dataset"),
        pixel_agg=found.choice("pixel_agg", PIXEL_AGGREGATIONS),
        dtype=found.text("dtype"),
        protocol=found.text("protocol"),
    )
    return metadata, canonical_digest(value)


def _spellings(value: Mapping[str, object]) -> dict[str, str]:
    """The file's own names of the keys that were renamed; empty for today's names."""
    if not any(key in value for key in _KEYS_BEFORE["family"]):
        return {}
    return {today: next((key for key in keys if key in value), keys[0]) for today, keys in _KEYS_BEFORE.items()}


def _check_kind(value: Mapping[str, object], where: str) -> None:
    """Refuse what is no directory of the original saev, or none that can be read, saying what it is."""
    protocol, dtype = value.get("protocol", ORIGINAL_PROTOCOLS[0]), value.get("dtype", "float32")
    # Theirs is base64 or the text of a Python object, which begin otherwise; ours is the JSON text of an object.
    if str(value.get("data")).lstrip().startswith("{") or protocol == "3.0":
        raise InputError(
            f"{where}: a recording of this saev whose {MANIFEST_FILE} is missing: copy it again or record it again"
        )
    if protocol not in ORIGINAL_PROTOCOLS:
        raise InputError(
            f"{where}: protocol {reprlib.repr(protocol)} cannot be read, of the original saev only "
            f"{', '.join(ORIGINAL_PROTOCOLS)}, or none: record the activations again"
        )
    if dtype != "float32":
        raise InputError(
            f"{where}: dtype {reprlib.repr(dtype)} cannot be read, of the original saev only 'float32': "
            "record the activations again"
        )


def _layers(found: JsonObject, where: str) -> tuple[int, ...]:
    """The layers, which must ascend: all versions store them as the ViT computes them, however they are listed."""
    layers = found.integers("layers", len(found.array("layers")), minimum=-MAX_INTEGER)
    listed = reprlib.repr(list(layers))
    if not layers or len(set(layers)) != len(layers):
        raise InputError(f"{where}: layers {listed} must be one or more numbers, each once")
    if min(layers) < 0 <= max(layers):
        raise InputError(
            f"{where}: layers {listed} count from both ends of a model of unknown depth, so that it is not known which "
            "lies first: write the numbers of its blocks there, counted from 0"
        )
    if list(layers) != sorted(layers):
        raise InputError(
            f"{where}: layers {listed} do not ascend, but the original saev stores them in the order in which the ViT "
            "computes them: sort them there"
        )
    return layers
