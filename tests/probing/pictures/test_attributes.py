"""What is known of recorded pictures, as attributes: from image labels, patch labels and tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.shards.small_recordings import make_acts, make_examples, make_recording, record

from saev.errors import InputError
from saev.latents.labels import Labels
from saev.latents.metadata import Column, Metadata
from saev.probing.pictures import attributes
from saev.probing.pictures.attributes import Attribute, Attributes, image_labels, patch_labels, table
from saev.shards.reading.open import open_shards

Said = pytest.CaptureFixture[str]
N = 5
PATCHES = torch.tensor(
    [[0, 1, 1, 0, 0, 0], [0, 2, 0, 0, 0, 255], [255] * 6, [0, 1, 2, 0, 0, 0], [0] * 6], dtype=torch.uint8
)


def labels_of(tmp_path: Path, image: list[str | None], patches: torch.Tensor | None = None) -> Labels:
    recording = replace(make_recording(N), image_set={"class": "x", "patch_class_names": ["ground", "owl", "tit"]})
    examples = [replace(one, label=label) for one, label in zip(make_examples(N), image, strict=True)]
    shards = record(tmp_path, recording, make_acts(recording), labels=patches, examples=examples)
    return Labels.of(open_shards(shards))


def test_each_image_label_against_the_others(tmp_path: Path) -> None:
    found = image_labels(labels_of(tmp_path, ["owl", None, "tit", "owl", "jay"]), "here")
    assert found.binary == [Attribute("label", "label", name) for name in ("jay", "owl", "tit")]
    assert found.y_ij.T.tolist() == [[0, -1, 0, 0, 1], [1, -1, 0, 1, 0], [0, -1, 1, 0, 0]]
    assert found.labels_of("label", "owl").tolist() == [1, -1, 0, 1, 0]
    assert found.x_ij.shape == (N, 0)
    with pytest.raises(InputError, match=r"no attribute 'crow' of label: there are 'jay', 'owl', 'tit'$"):
        found.labels_of("label", "crow")
    with pytest.raises(InputError, match=r"no attribute 'owl' of patch: there are none$"):
        found.labels_of("patch", "owl")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (["owl", "owl", None, "owl", None], "here: all labelled pictures are 'owl': give a table"),
        ([None] * N, r"here: no picture has a label: give a table \(metadata\), folders of tasks, or record"),
    ],
)
def test_one_class_is_refused(tmp_path: Path, image: list[str | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_labels(labels_of(tmp_path, image), "here")


def test_a_picture_has_the_labels_of_its_patches(tmp_path: Path, capsys: Said) -> None:
    labels = labels_of(tmp_path, [None] * N, PATCHES)
    found = patch_labels(labels, "here")
    assert [one.name for one in found.binary] == ["owl", "tit"]
    assert found.y_ij.T.tolist() == [[1, 0, -1, 1, 0], [0, 1, -1, 1, 0]]
    assert "here: 1 of 3 patch labels are left out: all pictures or none have them" in capsys.readouterr().err


def test_patch_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no patch labels were recorded: record pictures with masks"):
        patch_labels(labels_of(tmp_path / "none", [None] * N), "here")
    with pytest.raises(InputError, match=r"all pictures have the same labels of patches: record others, or give a"):
        patch_labels(labels_of(tmp_path / "same", [None] * N, torch.ones_like(PATCHES)), "here")


def test_a_table_gives_booleans_categories_and_numbers() -> None:
    places = np.array([0, 1, -1, 1, 0])
    columns = [
        Column("wet", ["no", "yes"], places),
        Column("site", ["a", "b"], places),
        Column("wing", ["3", "4.5"], places),
        Column("notes", ["long", "short"], np.array([0, -1, -1, 1, -1])),
    ]
    found = table(Metadata("t.csv", columns))
    assert [(one.family, one.name) for one in found.binary] == [("wet", "wet"), ("site", "site=a"), ("site", "site=b")]
    assert found.y_ij.T.tolist() == [[0, 1, -1, 1, 0], [1, 0, -1, 0, 1], [0, 1, -1, 1, 0]]
    assert found.numeric == [Attribute("metadata", "wing", "wing")]
    assert np.array_equal(found.x_ij[:, 0], [3, 4.5, np.nan, 4.5, 3], equal_nan=True)


def test_sources_are_joined_under_one_name_each(tmp_path: Path) -> None:
    image = image_labels(labels_of(tmp_path / "image", ["owl", "tit"] * 2 + ["owl"]), "here")
    patches = patch_labels(labels_of(tmp_path / "patch", [None] * N, PATCHES), "here")
    joined = Attributes.joined([image, patches])
    assert [str(one) for one in joined.binary] == ["label 'owl'", "label 'tit'", "patch 'owl'", "patch 'tit'"]
    assert joined.y_ij.shape == (N, 4)
    with pytest.raises(InputError, match=r"two attributes are called label 'owl': rename a column, a label or a value"):
        Attributes.joined([image, image])
    with pytest.raises(InputError, match=r"attributes of \[4, 5\] pictures: give labels of one and the same recording"):
        Attributes.joined([image, replace(patches, y_ij=patches.y_ij[:4], x_ij=patches.x_ij[:4])])


def test_more_labels_than_memory_is_meant_for_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MAX_CELLS", 9)
    with pytest.raises(InputError, match=r"here: 5 pictures times 2 attributes are more than 9: record fewer"):
        image_labels(labels_of(tmp_path, ["owl", "tit"] * 2 + ["owl"]), "here")
