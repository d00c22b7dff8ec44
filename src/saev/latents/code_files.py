"""Directories of saved codes: what lies in them, byte for byte.

Each file holds the codes of some images twice, token after token and latent after latent, so that either can be read
alone. It is a safetensors file whose tensors stand in the order of `FileShape.tensors`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self, final, get_args

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.files import replacing, write_whole
from saev.latents.sparse import SparseCodes, Spots
from saev.shards.format.files import size_of
from saev.shards.format.hashing import FileHasher, FileRecord
from saev.shards.format.layout import TokenKind, TokenLayout
from saev.shards.format.strict_json import JsonObject, canonical_json, parse_json, read_bytes
from saev.shards.reading.block_reads import BlockError, read_span

CODES_FILE: Final = "codes.json"
SCHEMA: Final = 1
MAX_FILES: Final = 1_000_000
MAX_JSON_BYTES: Final = 2**28
TensorName = Literal["token_starts", "latent_starts", "latents", "values", "tokens", "values_by_latent"]
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "F32": np.dtype("<f4")}


@final
@dataclass(frozen=True)
class Origin:
    """Whose codes of what these are: equal for equal codes on any machine."""

    sae: str  # Digest of the SAE, see `saev.latents.encoding.sae_digest`.
    d_in: int  # Width of its activations.
    d_sae: int  # Its number of latents.
    shards: str  # Content id of the recording; of several layers all, joined by " + ".
    activations: str  # Digest of its bytes, likewise.
    layout: TokenLayout  # The tokens of an image.
    tokens: TokenKind  # Which of these are encoded.
    n_images: int  # Images of the recording, all of which are encoded.

    @cached_property
    def spots(self) -> Spots:
        """What the positions of an image are."""
        return Spots.of(self.layout.positions(self.tokens), self.layout)

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        layout = {"cls": self.layout.cls, "n_registers": self.layout.n_registers, "grid": list(self.layout.grid)}
        return {
            "sae": {"digest": self.sae, "d_in": self.d_in, "d_sae": self.d_sae},
            "shards": {"content_id": self.shards, "bytes_digest": self.activations},
            "layout": layout,
            "tokens": self.tokens,
            "n_images": self.n_images,
        }

    @classmethod
    def from_json(cls, found: JsonObject, where: str) -> Self:
        """From an object with the keys of `to_dict`, and perhaps others.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        sae = JsonObject(found.mapping("sae"), f"{where}: sae", ("digest", "d_in", "d_sae"))
        shards = JsonObject(found.mapping("shards"), f"{where}: shards", ("content_id", "bytes_digest"))
        tokens = JsonObject(found.mapping("layout"), f"{where}: layout", ("cls", "n_registers", "grid"))
        rows, columns = tokens.integers("grid", 2, minimum=1)
        layout = TokenLayout(tokens.boolean("cls"), tokens.integer("n_registers"), (rows, columns))
        kind: Any = found.choice("tokens", get_args(TokenKind))
        layout.positions(kind)  # refuses tokens that there are none of
        return cls(
            sae.text("digest"),
            sae.integer("d_in", 1),
            sae.integer("d_sae", 1),
            shards.text("content_id"),
            shards.text("bytes_digest"),
            layout,
            kind,
            found.integer("n_images", 1),
        )


@final
@dataclass(frozen=True)
class FileShape:
    """What determines where everything stands in a file: its images, their tokens, all latents, the active codes."""

    n_images: int
    n_positions: int
    d_sae: int
    n_entries: int

    @cached_property
    def tensors(self) -> dict[TensorName, tuple[str, int]]:
        """Type and length of each.

        `token_starts`: where the entries of each token begin in `latents` and `values`, and the end. `latent_starts`:
        where those of each latent begin in `tokens` and `values_by_latent`, and the end. A token is numbered by the
        image's row in the file times the positions, plus its position.
        """
        n = self.n_entries
        return {
            "token_starts": ("I64", self.n_images * self.n_positions + 1),
            "latent_starts": ("I64", self.d_sae + 1),
            "latents": ("I32", n),
            "values": ("F32", n),
            "tokens": ("I32", n),
            "values_by_latent": ("F32", n),
        }

    @cached_property
    def bounds(self) -> list[int]:
        """Where each tensor begins behind the header, and the end."""
        return [0, *accumulate(n * _DTYPES[kind].itemsize for kind, n in self.tensors.values())]

    @cached_property
    def header(self) -> bytes:
        """How the file begins."""
        entries = {
            name: {"dtype": kind, "shape": [n], "data_offsets": span}
            for (name, (kind, n)), span in zip(self.tensors.items(), pairwise(self.bounds), strict=True)
        }
        text = json.dumps(entries, separators=(",", ":")).encode("ascii")
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @cached_property
    def starts(self) -> dict[TensorName, int]:
        """The first byte of each tensor in the file."""
        return {name: len(self.header) + start for name, start in zip(self.tensors, self.bounds, strict=False)}

    @property
    def n_bytes(self) -> int:
        """Bytes of the file."""
        return len(self.header) + self.bounds[-1]


@final
@dataclass(frozen=True)
class CodeFile:
    """What is said of one file: how many active codes it holds, its size and its hashes."""

    n_entries: int
    record: FileRecord

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {"n_entries": self.n_entries, "file": self.record.to_dict()}

    @classmethod
    def from_dict(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        found = JsonObject(value, where, ("n_entries", "file"))
        return cls(found.integer("n_entries"), FileRecord.from_dict(found.mapping("file"), where))


def file_name(number: int) -> str:
    """The name of a file.

    >>> file_name(7)
    'codes000007.safetensors'
    """
    return f"codes{number:06d}.safetensors"


def write_codes(path: Path, codes: SparseCodes) -> CodeFile:
    """Write the codes of some images in one step; what is said of the file.

    Raises:
        InputError: If the disk does not take it.
    """
    shape = FileShape(codes.n_images, codes.n_positions, codes.d_sae, len(codes.values_n))
    hasher = FileHasher()
    with replacing(path, shape.n_bytes) as partial, partial.open("wb") as file:
        hasher.update(memoryview(shape.header))
        file.write(shape.header)
        for array in _arrays(codes, shape):
            data = array.view(np.uint8).data
            hasher.update(data)
            file.write(data)
    return CodeFile(shape.n_entries, hasher.record())


def _arrays(codes: SparseCodes, shape: FileShape) -> Sequence[NDArray[Any]]:
    columns = codes.matrix.tocsc()
    arrays = (codes.starts_r, columns.indptr, codes.latents_n, codes.values_n, columns.indices, columns.data)
    kinds = (kind for kind, _ in shape.tensors.values())
    return [np.ascontiguousarray(one, dtype=_DTYPES[kind]) for one, kind in zip(arrays, kinds, strict=True)]


@final
@dataclass(frozen=True)
class SavedFile:
    """A file of codes on disk."""

    directory: Path
    name: str
    file: CodeFile
    shape: FileShape

    def check_size(self) -> None:
        """Raise InputError unless the file is there with all its bytes."""
        found, expected = size_of(self.directory, self.name), self.shape.n_bytes
        if not found == expected == self.file.record.n_bytes:
            raise InputError(f"{self.directory / self.name}: {found} bytes instead of {expected}: copy or encode again")

    def read(self, tensor: TensorName, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """A part of a tensor; every block that it touches is verified.

        Raises:
            InputError: If one is damaged.
        """
        kind, n = self.shape.tensors[tensor]
        stop = n if stop is None else stop
        found: NDArray[Any] = np.empty(stop - start, dtype=_DTYPES[kind])
        offset = self.shape.starts[tensor] + start * found.itemsize
        try:
            if len(found):
                read_span(self.directory, self.name, self.file.record, offset, found.view(np.uint8).data)
        except BlockError as fault:
            raise InputError(
                f"{self.directory / self.name}: block {fault.block} {fault}: copy the codes again, or encode again"
            ) from fault
        return found


def write_description(path: Path, origin: Origin, images_per_file: int, files: Sequence[CodeFile] | None) -> None:
    """Write what is said of all codes; without files it is the plan of what is to be encoded.

    Raises:
        InputError: If the disk does not take it.
    """
    value: dict[str, object] = {"schema": SCHEMA, "images_per_file": images_per_file, **origin.to_dict()}
    if files is not None:
        value["files"] = [file.to_dict() for file in files]
    write_whole(path, f"{canonical_json(value)}\n".encode("ascii"))


def read_description(path: Path, has_files: bool = True) -> tuple[Origin, int, list[CodeFile]]:
    """Whose codes these are, the images of a file, and the files.

    Raises:
        InputError: If it cannot be read, is of another version, or was edited.
    """
    where = str(path)
    value = parse_json(read_bytes(path, MAX_JSON_BYTES), where)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InputError(f"{where} describes no codes of schema {SCHEMA}, the one that this version of saev reads")
    keys = ("schema", "images_per_file", "sae", "shards", "layout", "tokens", "n_images")
    found = JsonObject(value, where, (*keys, "files") if has_files else keys)
    origin, per_file = Origin.from_json(found, where), found.integer("images_per_file", 1)
    if not has_files:
        return origin, per_file, []
    files = [CodeFile.from_dict(one, f"{where}: file {number}") for number, one in enumerate(found.array("files"))]
    if len(files) != -(-origin.n_images // per_file):
        raise InputError(f"{where}: {len(files)} files for {origin.n_images} images, {per_file} a file")
    return origin, per_file, files
