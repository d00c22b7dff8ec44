"""What sources of pictures say of them: where it is a table, and where it is not asked for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from tests.shards.small_recordings import make_recording, record

import saev.latents.source_metadata as source_metadata
from saev.errors import InputError
from saev.latents.source_metadata import known_metadata, telling_columns
from saev.registry import register
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.vit.images import IMAGE_SOURCES, ImageEntry, ImageSource
from saev.vit.images.base import BadImage

Said = pytest.CaptureFixture[str]
N = 8
TABLE = {
    "site": ["a", "b"] * 4,
    "same": ["yes"] * N,
    "wet": ["yes", "no", "NA", " yes ", "no", "no", "no", "no"],
    "note": [f"note {i}" for i in range(N)],
}


class Tagged(ImageSource):
    """Pictures with a table."""

    table: Mapping[str, Sequence[str]] = TABLE

    def __init__(self, n: int) -> None:
        self.n = n
        self.entries = [ImageEntry(f"{i}.png", None, 1) for i in range(n)]

    @property
    def location(self) -> str:
        return "nowhere"

    def read_bytes(self, index: int) -> bytes:
        raise BadImage(f"{index} is not read")

    def metadata(self) -> Mapping[str, Sequence[str]]:
        return self.table


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    register(Tagged)
    yield
    IMAGE_SOURCES._classes.pop("Tagged")


def reader(root: Path, source: dict[str, object], names: Sequence[int] = range(N)) -> ShardReader:
    recording = make_recording(len(names))
    recording.source.clear()
    recording.source.update(source)
    examples = [ExampleRecord(f"{i}.png", None, 8, 8, 1, f"{i:064x}") for i in names]
    acts = torch.zeros(len(names), recording.layout.tokens.n_tokens, recording.layout.d_model)
    return open_shards(record(root, recording, acts, examples=examples))


TAGGED: dict[str, object] = {"class": "Tagged", "args": {"n": N}}


def test_columns_stand_at_their_pictures_and_those_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    without = {"class": "Without", "args": {"source": TAGGED, "indices": [1, 6]}}
    table = known_metadata(reader(tmp_path, without, [7, 5, 4, 3, 2, 0]))  # in another order, to be sure
    assert table is not None
    assert (table.name, [(column.name, column.kind) for column in table.columns]) == (
        "Tagged", [("site", "categorical"), ("wet", "boolean"), ("note", "text")]
    )  # fmt: skip
    site, wet = table.column("site"), table.column("wet")
    assert [site.values[n] for n in site.numbers_i] == ["b", "b", "a", "b", "a", "a"]
    assert [None if n < 0 else wet.values[n] for n in wet.numbers_i] == ["no", "no", "no", "yes", None, "yes"]


def test_a_table_of_the_users_takes_its_place(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("path,site\n" + "".join(f"{i}.png,{'cd'[i % 2]}\n" for i in range(N)))
    table = known_metadata(reader(tmp_path / "shards", TAGGED), own)
    assert table is not None
    assert [list(column.values) for column in table.columns] == [["c", "d"]]


def test_a_digest_knows_headings_values_and_whose_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, digests = reader(tmp_path, TAGGED), []
    other = {**TABLE, "site": ["b", "a"] * 4}
    for table in (TABLE, other, {**TABLE, "wet": ["yes", "no"] * 4}, {"place": TABLE["site"]}, {"site": TABLE["site"]}):
        monkeypatch.setattr(Tagged, "table", table)
        found = known_metadata(given)
        assert found is not None
        digests.append(found.digest)
    assert len(set(digests)) == len(digests)


def test_sources_without_one_are_not_opened(tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(source_metadata, "from_description", opened)
    folder = {"class": "ImageFolder", "args": {"root": str(tmp_path)}}
    for source in (folder, {"class": "Without", "args": {"source": folder, "indices": [0]}}, {"class": "Theirs"}, {}):
        assert known_metadata(reader(tmp_path / f"{len(str(source))}", source)) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"site": ["a"] * (N - 1)}, "Tagged.metadata(): column 'site' must have a text for each of the 8 pictures"),
        ({"age": [*range(N)]}, "Tagged.metadata(): column 'age' must have a text for each of the 8 pictures"),
        ({" ": ["a"] * N}, "Tagged.metadata(): ' ' is no heading of a column: give a text"),
        ({3: ["a"] * N}, "Tagged.metadata(): 3 is no heading of a column: give a text"),
        ({f"{i}": ["a"] * N for i in range(1001)}, "gives 1,001 columns, at most 1,000 are read"),
    ],
)
def test_a_table_of_no_use_is_said_and_nothing_ends(
    table: Mapping[str, Sequence[str]], said: str, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tagged, "table", table)
    assert known_metadata(reader(tmp_path, TAGGED)) is None
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_source_that_cannot_be_made_again_is_said(tmp_path: Path, capsys: Said) -> None:
    assert known_metadata(reader(tmp_path, {"class": "Tagged", "args": {}})) is None
    assert "what its source of pictures says of them is not known: Tagged cannot be built" in capsys.readouterr().err


def test_of_several_processes_one_tells(tmp_path: Path, capsys: Said) -> None:
    for name, source in (("gone", {"class": "Tagged", "args": {}}), ("texts", TAGGED)):
        given = reader(tmp_path / name, source)
        silent = [column.name for column in telling_columns(given, tells=False)]
        assert capsys.readouterr().err == ""
        assert [column.name for column in telling_columns(given)] == silent
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("changed", [0, 4, 7])
def test_a_table_of_other_pictures_is_not_taken(
    changed: int, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_bytes(_: Tagged, index: int) -> bytes:
        if index == changed:
            return b"another picture"
        raise BadImage("gone")

    monkeypatch.setattr(Tagged, "read_bytes", read_bytes)
    assert known_metadata(reader(tmp_path, TAGGED)) is None
    assert f"is not known: '{changed}.png' is not the picture any more that was recorded" in capsys.readouterr().err


def test_what_tells_nothing_is_no_fault_of_a_source_but_one_of_a_users_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = reader(tmp_path, TAGGED)
    assert [column.name for column in telling_columns(given)] == ["site", "wet"]
    monkeypatch.setattr(Tagged, "table", {"note": TABLE["note"], "same": TABLE["same"]})
    assert list(telling_columns(given)) == []
    own = tmp_path / "own.csv"
    own.write_text("path,note\n" + "".join(f"{i}.png,note {i}\n" for i in range(N)))
    with pytest.raises(InputError, match="no column tells pictures apart"):
        telling_columns(given, own)
