import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fake_ghostscript import eps

from saev.errors import InputError
from saev.vit.images import BadImage, HuggingFaceImages, ImageFolder, from_description

datasets = pytest.importorskip("datasets")
pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 6 + value, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A data set saved to disk: three pictures, one of them only by its path."""
    (tmp_path / "2.png").write_bytes(png(2))
    pictures = [{"bytes": png(n), "path": None} for n in range(2)]
    pictures.append({"bytes": None, "path": str(tmp_path / "2.png")})
    columns = {"image": pictures, "label": [1, 0, -1], "caption": ["a", "b", None]}
    features = datasets.Features(
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["cat", "dog"]),
        caption=datasets.Value("string"),
    )
    rows = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": rows, "test": rows.select([2, 0])}).save_to_disk(str(tmp_path / "saved"))
    return str(tmp_path / "saved")


def test_a_saved_data_set_gives_pictures_labels_and_sizes(saved: str):
    source = HuggingFaceImages(saved, label_column="label")
    assert [source.record(i).path for i in range(3)] == [f"train/{i:08d}" for i in range(3)]
    assert [source.record(i).label for i in range(3)] == ["dog", "cat", None]
    assert [source.record(i).n_bytes for i in range(3)] == [len(png(i)) for i in range(3)]
    assert [source.read_bytes(i) for i in range(3)] == [png(i) for i in range(3)]
    assert source.read(2).size == (8, 8)


def test_other_labels_splits_and_descriptions(saved: str):
    source = HuggingFaceImages(saved, split="test", label_column="caption")
    assert [source.record(i).label for i in range(2)] == [None, "a"]
    assert source.read_bytes(1) == png(0)
    assert source.record(1).n_bytes == len(png(0))
    again = from_description(source.describe())
    assert again.identity() == source.identity() != HuggingFaceImages(saved).identity()
    assert HuggingFaceImages(saved).class_names == []


@pytest.fixture
def folder(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures that `datasets` itself lists."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name in ("cat/.x.png", "cat/notes.txt"):
        (pictures / name).unlink()
    return pictures


def test_a_folder_of_pictures_is_a_data_set_too(folder: Path):
    source = HuggingFaceImages(str(folder))
    assert len(source) == 7
    sizes = [entry.n_bytes for entry in ImageFolder(folder).entries]
    assert sorted(entry.n_bytes for entry in source.entries) == sorted(sizes)
    assert sorted(len(source.read_bytes(i)) for i in range(7)) == sorted(sizes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, "has no split 'val'; it has train, test"),
        ({"image_column": "img"}, "no column 'img'; it has image, label, caption"),
        ({"label_column": "lable"}, "no column 'lable'"),
        ({"image_column": "caption"}, "column 'caption' holds .*not pictures"),
    ],
)
def test_wrong_splits_and_columns_are_refused(options: dict[str, str], message: str, saved: str):
    with pytest.raises(InputError, match=message):
        HuggingFaceImages(saved, **options)


def test_a_data_set_that_is_not_there_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"split 'train', cannot be loaded") as caught:
        HuggingFaceImages(str(tmp_path / "empty"))
    assert "\n" not in str(caught.value)


def test_a_picture_that_vanished_is_a_bad_image(folder: Path):
    source = HuggingFaceImages(str(folder))
    for path in filter(Path.is_file, folder.rglob("*")):
        path.unlink()
    with pytest.raises(BadImage, match=r"'train/00000002' cannot be used: .*: is missing"):
        source.read(2)


def test_pictures_that_the_data_set_names_are_regular_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "fifo")
    paths = [str(tmp_path / "fifo"), "/dev/zero", "/none.png", "a\0b.png"]
    rows = [*({"bytes": None, "path": path} for path in paths), None]
    schema = datasets.Features(image=datasets.Image()).arrow_schema
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"image": rows}, schema=schema), tmp_path / "data" / "train.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    source = HuggingFaceImages(str(tmp_path / "data"))
    said = ["is no regular file", "is no regular file", "is missing", "is no name of a file", "holds nothing"]
    for index, text in enumerate(said):
        assert re.search(text, source.record(index).fault or "")
        with pytest.raises(BadImage, match=text):
            source.read_bytes(index)


def test_a_column_of_pictures_is_no_label(tmp_path: Path):
    features = datasets.Features(image=datasets.Image(), other=datasets.Image())
    columns = {"image": [{"bytes": png(1), "path": None}], "other": [{"bytes": eps(), "path": None}]}
    rows = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(InputError, match=r"column 'other' holds Image.*, not classes, texts or numbers"):
        HuggingFaceImages(str(tmp_path / "saved"), label_column="other")
    with pytest.raises(BadImage, match=r"'train/00000000' cannot be decoded .no known picture format"):
        HuggingFaceImages(str(tmp_path / "saved"), image_column="other").read(0)


def test_without_the_extra_the_refusal_says_what_to_install(saved: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'saev\[huggingface\]'"):
        HuggingFaceImages(saved)
