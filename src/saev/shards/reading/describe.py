"""A directory of shards in words."""

from dataclasses import replace
from pathlib import Path

from saev.byte_text import byte_text
from saev.errors import printable
from saev.shards.format.layout import DTYPES, ShardLayout, TokenLayout
from saev.shards.format.manifest import LABELS_FILE, MANIFEST_FILE
from saev.shards.format.strict_json import canonical_json
from saev.shards.reading.directory import ShardDirectory, check_is_finished
from saev.shards.reading.original import OLDEST, OriginalShards, is_original


def describe(directory: Path) -> str:
    """What was recorded and what it costs to store, in lines of `name: value`.

    Raises:
        InputError: As `open_shards`.
    """
    check_is_finished(directory)
    if is_original(directory):
        return _original_summary(OriginalShards.open(directory))
    return _summary(ShardDirectory.open(directory))


def _tokens(tokens: TokenLayout) -> str:
    rows, columns = tokens.grid
    parts = [f"{tokens.n_content} patches ({rows} x {columns})"]
    if tokens.n_registers:
        parts.insert(0, f"{tokens.n_registers} registers")
    if tokens.cls:
        parts.insert(0, "1 CLS")
    return f"{tokens.n_tokens} = {' + '.join(parts)}"


def _storage(shards: ShardDirectory) -> dict[str, str]:
    """What it costs to store."""
    layout = shards.layout
    paths = [shards.path / name for name in (*shards.manifest.files, MANIFEST_FILE)]
    n_bytes = sum(path.lstat().st_size for path in paths)
    on_disk = sum(path.lstat().st_blocks * 512 for path in paths)
    return {
        "size": f"{byte_text(layout.total_bytes)} in {layout.n_shards} files",
        "with descriptions": f"{byte_text(n_bytes)} ({n_bytes:,} bytes), {byte_text(on_disk)} on disk",
        "an example": byte_text(layout.bytes_per_example),
        "padding": _padding(layout),
        "in other dtypes": ", ".join(
            f"{dtype} {byte_text(replace(layout, dtype=dtype).total_bytes)}"
            for dtype in DTYPES
            if dtype != layout.dtype
        ),
    }


def _padding(layout: ShardLayout) -> str:
    n = layout.n_shards * layout.examples_per_shard - layout.n_examples
    n_bytes = n * layout.bytes_per_example
    share = n_bytes / layout.total_bytes
    return f"{byte_text(n_bytes)} ({share:.2%}): {n} examples at the end of the last file" if n else "none"


def _summary(shards: ShardDirectory) -> str:
    layout, recording, metadata = shards.layout, shards.manifest.recording, shards.metadata
    model = recording.model
    n_tokens = layout.n_examples * layout.tokens.n_tokens
    facts = {
        "directory": str(shards.path),
        "content id": recording.content_id,
        "model": f"{model['family']} {model['ckpt']}, forward pass in {model['precision']}",
        "weights": str(model["weights_digest"]),
        "layer": f"{recording.layer} (output of this block, counted from 0)",
        "width": str(layout.d_model),
        "tokens an example": _tokens(layout.tokens),
        "dtype": f"{layout.dtype}, {layout.bytes_per_token:,} bytes a token",
        "examples": f"{layout.n_examples:,} ({n_tokens:,} tokens)",
        "image labels": f"{len(recording.class_names)} classes" if recording.class_names else "none",
        "patch labels": f"yes, by {recording.pixel_agg}" if shards.manifest.has_labels else "none",
        **_storage(shards),
        "source": canonical_json(recording.source),
        "dataset": recording.dataset,
        "protocol": f"{metadata.protocol}, written by saev {shards.manifest.tool_version}",
    }
    return _lines(facts)


def _original_summary(shards: OriginalShards) -> str:
    layout, metadata = shards.layout, shards.metadata
    n_tokens = layout.n_examples * layout.tokens.n_tokens
    protocol = "none, as in version 0.1.0" if metadata.protocol == OLDEST else metadata.protocol
    counted = "counted from the end, -1 the last" if metadata.layers[0] < 0 else "counted from 0"
    n_acts = sum(name != LABELS_FILE for name in shards.files)
    n_bytes = n_acts * layout.bytes_per_shard * len(metadata.layers)
    return _lines(
        {
            "directory": str(shards.path),
            "model": f"{metadata.family} {metadata.ckpt}",
            "layers": f"{', '.join(map(str, metadata.layers))} (outputs of these blocks, {counted})",
            "width": str(layout.d_model),
            "tokens an example": _tokens(layout.tokens),
            "dtype": layout.dtype,
            "examples": f"{layout.n_examples:,} ({n_tokens:,} tokens a layer)",
            "patch labels": f"yes, by {metadata.pixel_agg}" if LABELS_FILE in shards.files else "none",
            "size": f"{byte_text(n_bytes)} in {n_acts} files",
            "pictures": "not known: they are named in a pickle or in Python code, which is not opened",
            "dataset": metadata.dataset,
            "protocol": f"{protocol}, written by the original saev, without checksums",
        }
    )


def _lines(facts: dict[str, str]) -> str:
    width = max(map(len, facts)) + 1
    return "\n".join(f"{name + ':':<{width}} {printable(value)}" for name, value in facts.items())
