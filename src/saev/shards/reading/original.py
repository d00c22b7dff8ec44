"""Directories of the original saev, read in place: version 0.1.0 and protocols 1.0.0, 1.1 and 2.1."""

import math
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Self, final

from saev.errors import InputError
from saev.shards.format.hashing import FileRecord
from saev.shards.format.layout import ACTS_FILE, ShardLayout, StoredLayer, TokenLayout
from saev.shards.format.manifest import LABELS_FILE, MANIFEST_FILE, SHARDS_FILE, Manifest
from saev.shards.format.metadata import MAX_METADATA_BYTES, METADATA_FILE, Metadata
from saev.shards.format.recording import UNKNOWN, Recording
from saev.shards.format.strict_json import (
    MAX_INTEGER,
    JsonObject,
    canonical_digest,
    located,
    parse_json,
    read_bytes,
)
from saev.shards.reading.directory import ShardDirectory, size_fault

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
_ROW_BYTES: Final = 256  # more than a row of shards.json takes, however it is indented


def is_original(directory: Path) -> bool:
    """Whether a directory of shards claims to be of the original saev: ours have a manifest."""
    return not os.path.lexists(directory / MANIFEST_FILE)


@final
@dataclass(frozen=True)
class OriginalShards:
    """A directory of the original saev whose descriptions agree; it may hold several layers."""

    path: Path
    metadata: Metadata
    digest: str
    """SHA-256 of the metadata: all that identifies the pictures without opening a pickle."""
    layout: ShardLayout
    """Of one layer alone."""
    files: dict[str, int]
    """Bytes of each file of activations, and of the patch labels if there are any."""

    @classmethod
    def describe(cls, path: Path) -> Self:
        """Read and check the descriptions, and no other file.

        Raises:
            InputError: If they are missing, of another kind or contradictory.
        """
        where = path / METADATA_FILE
        metadata, digest = parse_original_metadata(read_bytes(where, MAX_METADATA_BYTES), str(where))
        layout = _layout(metadata, str(where))
        names = _listed_names(path, layout) if has_list(path, metadata) else _usual_names(path, layout)
        files = dict.fromkeys(names, layout.bytes_per_shard * len(metadata.layers))
        if (path / LABELS_FILE).exists():
            files[LABELS_FILE] = layout.n_examples * layout.tokens.n_content
        return cls(path, metadata, digest, layout, files)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read and check the descriptions and the sizes of all files.

        Raises:
            InputError: As `describe`, and for a missing file or one of another size.
        """
        shards = cls.describe(path)
        for fault in shards.size_faults():
            raise InputError(f"{fault}: copy it again or record it again")
        if not has_list(path, shards.metadata):
            for stray in shards.stray_files():
                raise InputError(f"{stray}: {shards.stray_text()}")
        return shards

    def size_faults(self) -> list[str]:
        """What is wrong with the presence and sizes of the files, one line for each."""
        return [fault for name, n_bytes in self.files.items() if (fault := size_fault(self.path, name, n_bytes))]

    def stray_files(self) -> list[Path]:
        """Files of activations that are not listed."""
        found = sorted(path for path in self.path.iterdir() if ACTS_FILE.fullmatch(path.name))
        return [path for path in found if path.name not in self.files]

    def stray_text(self) -> str:
        """What is wrong with one of these, to stand behind its path."""
        if has_list(self.path, self.metadata):
            return f"a stray file of activations that {SHARDS_FILE} does not list: move it away"
        layout = self.layout
        return (
            f"a stray file of activations, the {layout.n_examples} examples of {METADATA_FILE} take "
            f"{layout.n_shards} of {layout.examples_per_shard}: move it away, or correct {METADATA_FILE}"
        )

    def choose(self, layer: int | None) -> ShardDirectory:
        """One layer, as a directory of its own.

        Raises:
            InputError: If there is no such layer, or several to choose from; lists them.
        """
        layers = self.metadata.layers
        listed = ", ".join(map(str, layers))
        if layer is None and len(layers) > 1:
            raise InputError(f"{self.path}: holds the layers {listed}: choose one of them as layer")
        if layer not in (None, *layers):
            raise InputError(f"{self.path}: has no layer {layer}: choose from {listed}")
        place = 0 if layer is None else layers.index(layer)
        metadata = replace(self.metadata, layers=(layers[place],))
        # There are no hashes to verify what is read with.
        files = {name: FileRecord(n_bytes, "", ()) for name, n_bytes in self.files.items()}
        manifest = Manifest(self._recording(layers[place]), UNKNOWN, files)
        return ShardDirectory(self.path, metadata, manifest, StoredLayer(len(layers), place))

    def _recording(self, layer: int) -> Recording:
        found = self.metadata
        return Recording(
            name="original",
            model={
                "family": found.family,
                "ckpt": found.ckpt,
                "weights_digest": UNKNOWN,
                "precision": found.dtype,
            },
            layer=layer,
            preprocessing={"library": UNKNOWN},
            image_set={"original_metadata": self.digest},
            layout=self.layout,
            dataset=found.dataset,
            pixel_agg=found.pixel_agg,
        )


def has_list(directory: Path, metadata: Metadata) -> bool:
    """Whether `shards.json` must be there: version 0.1.0 wrote none."""
    return metadata.protocol != OLDEST or os.path.lexists(directory / SHARDS_FILE)


def _layout(metadata: Metadata, where: str) -> ShardLayout:
    """Where each token of one layer would lie without the other layers."""
    n_content, n_layers = metadata.content_tokens_per_example, len(metadata.layers)
    side = math.isqrt(n_content)
    grid = (side, side) if side * side == n_content else (1, n_content)
    tokens = TokenLayout(cls=metadata.cls_token, n_registers=0, grid=grid)
    per_shard = metadata.max_tokens_per_shard // (tokens.n_tokens * n_layers)
    if not per_shard:
        raise InputError(
            f"{where}: {metadata.max_tokens_per_shard} tokens a shard are less than one example of {n_layers} x "
            f"{tokens.n_tokens} tokens: damaged, copy it again"
        )
    with located(where):
        return ShardLayout(metadata.n_examples, tokens, metadata.d_model, metadata.dtype, per_shard)


def _usual_names(directory: Path, layout: ShardLayout) -> list[str]:
    """The names that follow from the layout, and the one that is begun when the last is full, where it is there."""
    names = [layout.file_name(shard) for shard in range(layout.n_shards)]
    spare = _spare_name(layout)
    return [*names, spare] if spare is not None and os.path.lexists(directory / spare) else names


def _spare_name(layout: ShardLayout) -> str | None:
    """The original starts a new shard when one is full, also where no example follows."""
    is_full = layout.n_examples % layout.examples_per_shard == 0
    return f"acts{layout.n_shards:06d}.bin" if is_full else None


def _listed_names(directory: Path, layout: ShardLayout) -> list[str]:
    """The names in `shards.json`, which must be those of the layout, in order."""
    path = directory / SHARDS_FILE
    value = parse_json(read_bytes(path, (layout.n_shards + 2) * _ROW_BYTES), str(path))
    if not isinstance(value, list):
        raise InputError(f"{path}: expected a list, found {reprlib.repr(value)}")
    expected = [(layout.file_name(shard), layout.n_examples_in(shard)) for shard in range(layout.n_shards)]
    spare = _spare_name(layout)
    if len(value) == layout.n_shards + 1 and spare is not None:
        expected.append((spare, 0))
    if len(value) != len(expected):
        raise InputError(
            f"{path}: lists {len(value)} shards, the {layout.n_examples} examples of {METADATA_FILE} take "
            f"{len(expected)}: copy it again"
        )
    for row, (name, n_examples) in zip(value, expected, strict=True):
        count = "n_imgs" if isinstance(row, dict) and "n_imgs" in row else "n_examples"
        found = JsonObject(row, str(path), ("name", count))
        if (found.text("name"), found.integer(count)) != (name, n_examples):
            raise InputError(
                f"{path}: lists {reprlib.repr(found.text('name'))} with {found.integer(count)} examples "
                f"where {METADATA_FILE} says {name} with {n_examples}: copy it again"
            )
    return [name for name, _ in expected]


def parse_original_metadata(data: bytes, where: str) -> tuple[Metadata, str]:
    """`metadata.json`, strictly: what it says of all layers, and the SHA-256 of its canonical text.

    The pickle or text in its `data` is never decoded. Layers count from 0, or all of them from the end.

    Raises:
        InputError: For our own recordings, other protocols and dtypes, missing or unknown keys, values of another type
            or range, and layers in an order that is not that of the activations.
    """
    value = parse_json(data, where)
    spelled = _spellings(value) if isinstance(value, dict) else {}
    if isinstance(value, dict):
        _check_kind(value, where)
        value = {**(_OPTIONAL_BEFORE if spelled else _OPTIONAL), **value}
    keys = [spelled.get(field.name, field.name) for field in fields(Metadata)]
    found = JsonObject(value, where, [*keys, *(["seed"] if spelled else [])])
    return Metadata.from_json(found, _layers(found, where), spelled), canonical_digest(value)


def _spellings(value: Mapping[str, object]) -> dict[str, str]:
    """The file's own names of the keys that were renamed; empty for today's names."""
    if not any(key in value for key in _KEYS_BEFORE["family"]):
        return {}
    return {today: next((key for key in keys if key in value), keys[0]) for today, keys in _KEYS_BEFORE.items()}


def _check_kind(value: Mapping[str, object], where: str) -> None:
    """Raise InputError unless this is a directory of the original saev that can be read."""
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
