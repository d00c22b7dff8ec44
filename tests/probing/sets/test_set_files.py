"""Sets on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.probing.sets.small_sets import make_pictures, make_set, picture, weights_of, write_small_set

from saev.errors import InputError
from saev.probing.sets.files import SET_FILE, read_picture, read_set, write_set
from saev.probing.sets.image_set import ImageSet, Role
from saev.probing.sets.sampling import Stratum


def test_a_set_comes_back_with_its_pictures(tmp_path: Path) -> None:
    directory, made = write_small_set(tmp_path, n=12)
    assert read_set(directory) == made
    assert sorted(path.name for path in directory.iterdir()) == ["label", "label.html", "pictures", SET_FILE, "shown"]
    names = sorted(path.name for path in (directory / "pictures").iterdir())
    assert names == [f"p{number:03d}.png" for number in range(1, 13)]
    for one in made.pictures:
        assert read_picture(directory, one) == (tmp_path / "all" / one.path).read_bytes()
        assert (directory / "pictures" / one.file).is_symlink()
    assert weights_of(made).sum() == pytest.approx(24)


def test_what_the_page_reads_says_nothing_of_values_and_names(tmp_path: Path) -> None:
    directory, made = write_small_set(tmp_path, n=12)
    text = (directory / "label" / "data.js").read_text()
    value = json.loads(text.removeprefix("takeSet(").removesuffix(");\n"))
    assert value == {
        "digest": made.digest,
        "hypothesis": "latent-17",
        "text": "stripes",
        "pictures": [[one.id, f"shown/{one.id}.png"] for one in made.pictures],
    }
    assert "zebra" not in text
    assert [one.stratum for one in made.pictures] != sorted(one.stratum for one in made.pictures)


def test_bytes_are_copied_and_people_see_what_the_vit_saw(tmp_path: Path) -> None:
    names = ["a.tif", "b.TIFF", "c.jpg", "no ending", "e.<b>"]
    records = make_pictures(tmp_path, [*names[:3], "d.png", "f.png"])
    for plain, odd, number in (("d.png", names[3], 3), ("f.png", names[4], 4)):
        (tmp_path / plain).rename(tmp_path / odd)
        records[number] = type(records[number])(**{**vars(records[number]), "path": odd})
    made = make_set(records, 5)
    directory = tmp_path / "set"
    write_set(directory, made, lambda one: (tmp_path / one.path).read_bytes(), lambda one: one.crop((8, 0, 40, 32)))
    assert not any(path.is_symlink() for path in directory.rglob("*"))
    for one in made.pictures:
        assert read_picture(directory, one) == (tmp_path / one.path).read_bytes()
    assert {one.path: one.file.partition(".")[2] for one in made.pictures} == dict(
        zip(names, ["tif", "tiff", "jpg", "", ""], strict=True)
    )
    assert len(list((directory / "shown").iterdir())) == 5
    for path in (directory / "shown").iterdir():
        with Image.open(path) as shown:
            assert (shown.format, shown.size) == ("PNG", (32, 32))


def test_a_picture_that_changed_is_noticed_and_leaves_nothing(tmp_path: Path) -> None:
    directory, made = write_small_set(tmp_path, n=12)
    first = made.pictures[0]
    (tmp_path / "all" / first.path).write_bytes(b"other")
    with pytest.raises(InputError, match=f"is not the picture any more that was recorded as '{first.path}'"):
        read_picture(directory, first)
    with pytest.raises(InputError, match="is not the picture any more"):
        write_set(tmp_path / "again", made, lambda one: tmp_path / "all" / one.path)
    (tmp_path / "all" / first.path).unlink()
    with pytest.raises(InputError, match="is missing"):
        read_picture(directory, first)
    with pytest.raises(InputError, match="is missing"):
        write_set(tmp_path / "again", made, lambda one: tmp_path / "all" / one.path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a set #1", "all"]


def test_a_set_is_not_overwritten_and_a_place_that_takes_none_is_named(tmp_path: Path) -> None:
    directory, made = write_small_set(tmp_path, n=12)
    source = lambda one: tmp_path / "all" / one.path  # noqa: E731
    with pytest.raises(InputError, match="is there already, and is not overwritten"):
        write_set(directory, made, source)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file: give a directory"):
        write_set(tmp_path / "file" / "latent-17", made, source)


def test_labels_and_roles_come_back_and_count_for_what_they_are(tmp_path: Path) -> None:
    records = make_pictures(tmp_path, [f"{number}.png" for number in range(6)])
    hard: tuple[Role, ...] = ("same-class", "hard-near")
    chosen = [
        picture(records, 1, 5, "b", 0, label=False),
        picture(records, 2, 0, "a", 1, label=True),
        picture(records, 3, 3, "b", 0, ("sample", *hard), label=False),
        picture(records, 4, 2, "c", None, hard, label=False),
    ]
    facts = {"hypothesis": "x", "hypotheses": "1" * 64, "sae": "2" * 64, "shards": "3" * 64, "text": "stripes"}
    strata = (Stratum(0.0, 1.0, 4, 2, label=False), Stratum(1.0, 2.0, 1, 1, label=True))
    made = ImageSet(**facts, recipe={}, seed=0, strata=strata, pictures=tuple(chosen))
    assert (weights_of(made).tolist(), made.labels_k.tolist()) == ([2, 1, 2, 0], [0, 1, 0, 0])
    assert not made.asks_people
    write_set(tmp_path / "set", made, lambda one: tmp_path / one.path)
    assert read_set(tmp_path / "set") == made
    with pytest.raises(InputError, match="with the label False stands in stratum 0"):
        replace(made, strata=tuple(replace(one, label=not one.label) for one in strata))


def of_first(value: Any, **facts: object) -> None:
    value["pictures"][0].update(facts)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda value: value.update(version=2), "no set of version 1"),
        (lambda value: value.update(text="spots"), "edited after it was built"),
        (lambda value: value.update(seed=1), "edited after it was built"),
        (lambda value: value["recipe"].update(n=13), "edited after it was built"),
        (lambda value: value["strata"][0].update(size=1000), "edited after it was built"),
        (lambda value: value["strata"][0].update(n=100), "the strata have"),
        (lambda value: value["strata"][0].update(size=1), "more pictures were chosen than it has"),
        (lambda value: value.pop("seed"), "missing keys"),
        (lambda value: value.update(pictures=[]), "the strata have"),
        (lambda value: value["pictures"].append(value["pictures"][0]), "stands twice"),
        (lambda value: of_first(value, file="../x.png"), "must be like p001.png"),
        (lambda value: of_first(value, sha256="x"), "64 hex digits"),
        (lambda value: of_first(value, image=1.5), "'image' must be an integer"),
        (lambda value: of_first(value, stratum=17), "the strata have"),
        (lambda value: of_first(value, stratum=2**52), "the strata have"),
        (lambda value: of_first(value, stratum=None), r"roles \['sample'\] do not fit stratum None"),
        (lambda value: of_first(value, roles=["hard-near"]), r"roles \['hard-near'\] do not fit stratum"),
        (lambda value: of_first(value, roles=["sample", "sample"]), "do not fit stratum"),
        (lambda value: of_first(value, roles=["best"]), "'roles' must be one of sample"),
        (lambda value: of_first(value, label=1), "'label' must be true or false"),
        (lambda value: of_first(value, label=True), "labels are known of some pictures and not of others"),
        (lambda value: of_first(value, group="site=x"), "edited after it was built"),
        (lambda value: value["recipe"].update(n=json.loads("[" * 700 + "]" * 700)), "nested too deeply"),
    ],
)
def test_an_edited_set_is_refused(tmp_path: Path, edit: Any, message: str) -> None:
    directory, _ = write_small_set(tmp_path, n=12)
    value = json.loads((directory / SET_FILE).read_bytes())
    edit(value)
    (directory / SET_FILE).write_text(json.dumps(value))
    with pytest.raises(InputError, match=message):
        read_set(directory)
