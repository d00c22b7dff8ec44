"""Data sets of the Hugging Face library `datasets`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from saev.errors import InputError, one_line
from saev.vit.images.base import ImageEntry, ImageSource, look_at_file, read_file
from saev.vit.images.decode import BadImage
from saev.vit.network import asks_nobody, hub


@final
class HuggingFaceImages(ImageSource):
    """The pictures of one split of a data set, in its order.

    Args:
        name: Name on the hub, or a local directory that `datasets` saved or can load.
        split: Name of the split.
        image_column: Column of pictures.
        label_column: Column of labels (classes, texts or numbers), if any.
        config: Name of the data set's configuration, where it has several.

    Raises:
        InputError: `datasets` is not installed, or there is no such data set, split or column.
    """

    def __init__(
        self,
        name: str,
        split: str = "train",
        image_column: str = "image",
        label_column: str | None = None,
        config: str | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.image_column = image_column
        self.label_column = label_column
        self.config = config
        self._rows = _encoded(_load(name, split, config), image_column, label_column)
        labels = _labels(self._rows, label_column)
        files = _files(self._rows, image_column)
        self.entries = [
            _entry(f"{split}/{index:08d}", label, *file)
            for index, (label, file) in enumerate(zip(labels, files, strict=True))
        ]

    @property
    @override
    def location(self) -> str:
        # A name on the hub is no path, unless a folder of that name happens to lie here.
        return str(Path(self.name).absolute()) if Path(self.name).exists() else self.name

    @override
    def read_bytes(self, index: int) -> bytes:
        name = self.record(index).path
        picture = self._rows[index][self.image_column]
        if picture is None:
            raise BadImage(f"picture '{name}' of {self.name} is missing: its column holds nothing")
        data: bytes | None = picture["bytes"]
        if data is None and picture["path"] is None:
            raise BadImage(f"picture '{name}' of {self.name} is missing: it has neither bytes nor a path")
        return data if data is not None else read_file(picture["path"], name)

    @override
    def describe(self) -> dict[str, Any]:
        found = super().describe()
        return {**found, "args": {**found["args"], "name": self.location}}


def _load(name: str, split: str, config: str | None) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InputError("HuggingFaceImages needs the package datasets: pip install 'saev[huggingface]'") from error
    saved = any((Path(name) / file).is_file() for file in ("state.json", "dataset_dict.json"))
    # The files of a folder may name others on the hub.
    with hub() if asks_nobody() or not Path(name).exists() else nullcontext() as no_network:
        try:
            loaded = datasets.load_from_disk(name) if saved else datasets.load_dataset(name, config, split=split)
        except Exception as error:  # the network and the hub fail in a hundred ways
            reason = one_line(error)
            if no_network is not None:
                reason = f"{no_network}, and neither a folder nor the cache of datasets gives it ({reason})"
            raise InputError(f"data set '{name}', split '{split}', cannot be loaded: {reason}") from error
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if split not in loaded:
        raise InputError(f"data set '{name}' has no split '{split}'; it has {', '.join(loaded)}")
    return loaded[split]


def _encoded(rows: Any, image_column: str, label_column: str | None) -> Any:
    """Keep the columns needed; pictures stay as the bytes of their files."""
    import datasets

    for column in filter(None, (image_column, label_column)):
        if column not in rows.features:
            raise InputError(f"the data set has no column '{column}'; it has {', '.join(rows.features)}")
    if not isinstance(rows.features[image_column], datasets.Image):
        raise InputError(f"column '{image_column}' holds {rows.features[image_column]}, not pictures")
    if not len(rows):
        raise InputError("the split of the data set is empty")
    rows = rows.select_columns([column for column in (image_column, label_column) if column])
    return rows.cast_column(image_column, datasets.Image(decode=False)).with_format(None)


def _labels(rows: Any, label_column: str | None) -> list[str | None]:
    if label_column is None:
        return [None] * len(rows)
    import datasets

    feature = rows.features[label_column]
    # Columns of pictures, sounds and films are decoded when they are read.
    if not isinstance(feature, datasets.ClassLabel | datasets.Value):
        raise InputError(f"column '{label_column}' holds {feature}, not classes, texts or numbers: give another one")
    values = rows[label_column]
    if isinstance(feature, datasets.ClassLabel):
        # -1 stands for a label that is kept secret, as in many test splits.
        return [feature.int2str(value) if value is not None and value >= 0 else None for value in values]
    return [None if value is None else str(value) for value in values]


def _entry(name: str, label: str | None, n_bytes: int | None, path: str | None) -> ImageEntry:
    """A picture inside the data set, one beside it, or none at all."""
    if n_bytes is not None:
        return ImageEntry(name, label, n_bytes)
    if path is None:
        return ImageEntry(name, label, 0, f"'{name}' is missing: its column holds nothing")
    return ImageEntry(name, label, *look_at_file(path, name))


def _files(rows: Any, image_column: str) -> list[tuple[int | None, str | None]]:
    """The number of bytes of each picture in the data set, or its path; Arrow's offsets give it without reading."""
    import pyarrow.compute as pc

    column = rows.with_format("arrow")[:][image_column]
    lengths = pc.binary_length(pc.struct_field(column, "bytes")).to_pylist()
    paths = pc.struct_field(column, "path").to_pylist()
    return list(zip(lengths, paths, strict=True))
