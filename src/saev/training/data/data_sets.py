"""Directories of shards, opened and checked to be fit to train one SAE on."""

from collections.abc import Sequence
from pathlib import Path

from saev.artifacts import RecordedLayer
from saev.errors import InputError
from saev.shards.format.examples import EXAMPLES_FILE
from saev.shards.reading.open import layers_of, open_shards
from saev.shards.reading.reader import ShardReader

Layers = tuple[ShardReader, ...]
"""One data set: a directory, and those of other layers of the same images."""


def open_data_sets(shards: Sequence[Path], paired: Sequence[Path], layer: int | None) -> list[Layers]:
    """Open the directories; the first one decides what the others must be like.

    Raises:
        InputError: If one cannot be used, or they don't fit together; names both and says what differs.
    """
    if not shards:
        raise InputError("shards=[] names no directory: give one that `saev predict` printed")
    if paired and len(shards) > 1:
        raise InputError("paired gives other layers of the images of one directory: give shards as one directory")
    first = open_shards(Path(shards[0]), layer)
    if paired:
        return [_pair(first, [_open_other_layer(Path(path)) for path in paired])]
    readers = [first]
    for path in shards[1:]:
        reader = open_shards(Path(path), layer)
        for earlier in readers:
            if earlier.recording.content_id == reader.recording.content_id:
                raise InputError(f"{reader.path} and {earlier.path} are the same recording: give it once")
        _check_like(first, reader, "d_model")
        _check_like(first, reader, "dtype")
        _layer(first).check_same(_layer(reader), str(reader.path), who=f"{first.path} has", strict=True)
        readers.append(reader)
    return [(reader,) for reader in readers]


def open_val_shards(path: Path, data_sets: Sequence[Layers]) -> ShardReader:
    """Open other shards to validate on.

    Raises:
        InputError: If they are some of the training shards, or of another ViT, layer or preprocessing.
    """
    first = data_sets[0][0]
    reader = open_shards(path, first.recording.layer)
    check_width([reader], first.layout.d_model)
    for (trained_on,) in data_sets:
        if reader.recording.content_id == trained_on.recording.content_id:
            raise InputError(f"val_shards {reader.path} are the same as shards: give others, or val_share")
    _layer(first).check_same(_layer(reader), str(reader.path), strict=True)
    return reader


def check_width(readers: Sequence[ShardReader], d_model: int | None) -> None:
    """Raise InputError where the activations, of all layers together, have another width than expected."""
    found = sum(reader.layout.d_model for reader in readers)
    if d_model not in (None, found):
        paths = " + ".join(str(reader.path) for reader in readers)
        raise InputError(f"{paths}: activations of width {found}, not {d_model} (d_model): give other shards")


def _open_other_layer(path: Path) -> ShardReader:
    if len(layers := layers_of(path)) > 1:
        listed = ", ".join(map(str, layers))
        raise InputError(f"paired {path}: holds the layers {listed}: give a directory with one layer")
    return open_shards(path)


def _pair(first: ShardReader, others: Sequence[ShardReader]) -> Layers:
    """Raise InputError unless the directories hold other layers of the same images."""
    layers = {first.recording.layer: first}
    for reader in others:
        layer = reader.recording.layer
        if layer in layers:
            raise InputError(f"paired {reader.path} holds layer {layer}, as {layers[layer].path} does: give another")
        layers[layer] = reader
        _check_like(first, reader, "n_examples")
        _check_like(first, reader, "tokens")
        _check_like(first, reader, "dtype")
        where = f"paired {reader.path}"
        _layer(first).check_same(_layer(reader), where, who=f"{first.path} has", layer=False, strict=True)
        if _images(first) != _images(reader):
            raise InputError(f"{where} was recorded on other images than {first.path}: give a layer of the same images")
    return tuple(layers.values())


def _images(reader: ShardReader) -> tuple[object, ...]:
    """What identifies a set of pictures: names, sizes and labels, and where they are known, their digests."""
    files = reader.manifest.files
    digest = files[EXAMPLES_FILE].sha256 if EXAMPLES_FILE in files else None
    return reader.recording.image_set, digest


def _layer(reader: ShardReader) -> RecordedLayer:
    return RecordedLayer.of(reader.recording)


def _check_like(first: ShardReader, reader: ShardReader, name: str) -> None:
    """Raise InputError where two layouts differ."""
    before, now = getattr(first.layout, name), getattr(reader.layout, name)
    if before != now:
        what = {"d_model": "width", "tokens": "an image"}.get(name, name)
        hint = "record both in one dtype" if name == "dtype" else "give others"
        raise InputError(f"{first.path} has {what} {before}, {reader.path} has {now}: {hint}")
