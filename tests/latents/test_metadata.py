"""A table of recorded pictures: what its columns are taken for, and what is refused."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saev.errors import InputError
from saev.latents import metadata
from saev.latents.metadata import Metadata, read_metadata
from saev.shards.format.examples import ExampleRecord

Said = pytest.CaptureFixture[str]
N = 12
RECORDS = [ExampleRecord(f"bird/{i}, ü.png", None, 8, 8, 100, f"{i:064x}") for i in range(N)]


def read(tmp_path: Path, text: str | bytes, records: list[ExampleRecord] = RECORDS) -> Metadata:
    path = tmp_path / "birds.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_metadata(path, records)


def of_column(tmp_path: Path, values: list[str], heading: str = "x") -> metadata.Column:
    """The column of a table in which the pictures have these values, one after the other."""
    rows = "".join(f'"bird/{i}, ü.png","{value}"\n' for i, value in enumerate(values))
    return read(tmp_path, f"path,{heading}\n{rows}").columns[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["yes", "No", "YES", "", "NA"], "boolean"),
        (["true", "False"], "boolean"),
        (["0", "1", "1.0"], "boolean"),
        (["0", "1", "2"], "numeric"),
        (["-1.5", "+2e3", ".5", "7."], "numeric"),
        (["0", "1", "yes", "yes"], "text"),
        (["0", "1", "yes", "yes", "1", "0"], "categorical"),
        (["true", "no"] * 2, "categorical"),
        (["1", "inf"] * 2, "categorical"),
        (["1,5", "2,5"] * 2, "categorical"),
        (["1_0", "٣"] * 2, "categorical"),
        (["owl", "tit", "owl", " tit "], "categorical"),
        (["owl", "tit", "owl", "Tit"], "text"),
        (["seen on monday", "seen on tuesday"], "text"),
        (["yes", "Yes"], "constant"),
        (["3", "3.0"], "constant"),
        (["owl", "owl"], "constant"),
        (["", "nan"], "constant"),
    ],
)
def test_all_values_together_decide_the_kind(tmp_path: Path, values: list[str], kind: str) -> None:
    assert of_column(tmp_path, values).kind == kind


def test_what_is_read_stands_at_its_pictures(tmp_path: Path) -> None:
    rows = 'wing,path,site,wet\r\n3.5,"bird/7, ü.png","a ""b"", c",yes\r\n\r\nNA,"bird/0, ü.png",d,no\r\n'
    for text in (rows.encode(), b"\xef\xbb\xbf" + rows.encode()):
        table = read(tmp_path, text)
        assert [column.name for column in table.columns] == ["wing", "site", "wet"]
        site, wet = table.column("site"), table.column("wet")
        assert site.values == ['a "b", c', "d"]
        assert site.numbers_i.tolist() == [1, -1, -1, -1, -1, -1, -1, 0, -1, -1, -1, -1]
        assert np.array_equal(wet.floats(), [0] + 6 * [np.nan] + [1] + 4 * [np.nan], equal_nan=True)


def test_values_are_numbered_in_their_order(tmp_path: Path) -> None:
    column = of_column(tmp_path, ["c", "a", "b", "c", "a", "b", "", "a"])
    assert [column.values[n] if n >= 0 else None for n in column.numbers_i] == [*"cabcab", None, "a"] + [None] * 4
    assert column.values == ["a", "b", "c"]


def test_pictures_without_a_row_are_counted(tmp_path: Path, capsys: Said) -> None:
    of_column(tmp_path, ["1"] * 3)
    assert "no row for 9 of 12 pictures: what it says of these is not known" in capsys.readouterr().err
    of_column(tmp_path, ["1"] * 12)
    assert capsys.readouterr().err == ""


def test_a_picture_that_was_recorded_twice_has_its_row_twice(tmp_path: Path) -> None:
    table = read(tmp_path, 'path,x\n"bird/0, ü.png",3\n', [RECORDS[0], RECORDS[1], RECORDS[0]])
    assert table.columns[0].numbers_i.tolist() == [0, -1, 0]


def test_columns_that_tell_nothing_are_left_out_with_a_line(tmp_path: Path, capsys: Said) -> None:
    rows = "".join(f'"bird/{i}, ü.png",note {i},same,{i % 3}\n' for i in range(N))
    table = read(tmp_path, f"path,notes,lab,age\n{rows}")
    assert [column.name for column in table.telling()] == ["age"]
    said = capsys.readouterr().err
    assert "columns left out: free text (over 100 values, or hardly any twice): 'notes'" in said
    assert "; the same for all pictures: 'lab'\n" in said


def test_forty_columns_of_free_text_are_refused_in_one_line(tmp_path: Path) -> None:
    rows = "".join(f'"bird/{i}, ü.png",{",".join(f"text {i} {j}" for j in range(40))}\n' for i in range(N))
    table = read(tmp_path, f"path,{','.join(f'notes {j}' for j in range(40))}\n{rows}")
    with pytest.raises(InputError, match=r"no column tells pictures apart; free text .*'notes 4' and 35 more: add a"):
        table.telling()


def test_more_values_than_a_few_are_free_text(tmp_path: Path) -> None:
    records = [ExampleRecord(f"{i}", None, 8, 8, 100, f"{i:064x}") for i in range(210)]
    for n, kind in ((100, "categorical"), (101, "text")):
        table = read(tmp_path, "path,x\n" + "".join(f"{i},v{i % n}\n" for i in range(210)), records)
        assert table.columns[0].kind == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path' among : add it"),
        ("name,x\na,1\n", "no column 'path' among 'name', 'x': add it"),
        ("path;x\na;1\n", "no column 'path' among 'path;x': separate cells by commas"),
        ("path\na\n", "'path' is its only column: add columns"),
        ("path,x\n", "no row but the headings: add one for each picture"),
        ("path,x,x\na,1,1\n", "2 columns are called 'x': rename or remove them"),
        (",path,x\n0,a,1\n", "column 1 has no heading: name it or remove it"),
        ("path,x\na,1,2\n", "line 2: 3 cells, the first row has 2: quote cells that hold commas"),
        ('path,x\n"a"b,1\n', "line 2: no valid CSV .*: mend the line"),
        ('path,x\n"a,1\n', "line 2: no valid CSV .*: mend the line"),
        (f"path,x\na,{'b' * 200_000}\n", "line 2: no valid CSV .*field larger than field limit"),
        (
            '"path",x\n"bird/1, ü.png",1\n"bird/2, ü.png",1\n"bird/1, ü.png",1\n',
            "lines 2 and 4 are both of 'bird/1, ü.png': remove one of them",
        ),
        (
            'path,x\n"bird/1, ü.png",1\nC:\\bird\\2.png,1\n/bird/3.png,1\n',
            r"2 of 3 rows are of pictures that were not recorded, first 'C:\\\\bird\\\\2.png' \(line 3\): write "
            r"paths as they were recorded, such as 'bird/0, ü.png', or remove these rows",
        ),
        ("path," + ",".join(f"x{i}" for i in range(1000)), "1,001 columns, at most 1,000 are read: remove some"),
        ("path,x\na,ä\n".encode("latin-1"), r"is no text in UTF-8 \(byte 9\): give a CSV in UTF-8"),
        ("path,x\na,1\n".encode("utf-16"), r"is no text in UTF-8 \(byte 0\): give a CSV in UTF-8"),
    ],
)
def test_what_is_no_table_of_the_pictures_is_refused_in_one_line(tmp_path: Path, text: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


CELLS = st.sampled_from(
    [*(record.path for record in RECORDS), "path", "a", "", "1", "yes", ",", '"', "\n", "\r", "\0", ";"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=80), st.lists(CELLS, max_size=30).map(lambda cells: ("path,x\n" + "".join(cells)).encode())
    )
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    try:
        table = read(tmp_path, data)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(len(column.numbers_i) == N and column.kind for column in table.columns)


@given(st.lists(st.sampled_from(["", "yes", "no", "0", "1", "2.5", "owl", "tit", "a note"]), min_size=N, max_size=N))
def test_values_come_back_as_they_were_written(values: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        column = of_column(Path(directory), values)
    assert [column.values[n] if n >= 0 else "" for n in column.numbers_i] == values
    if column.kind == "numeric":
        assert [None if np.isnan(x) else x for x in column.floats()] == [float(v) if v else None for v in values]


def test_missing_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"metadata .*none\.csv: is missing: give a CSV in UTF-8"):
        read_metadata(tmp_path / "none.csv", RECORDS)
    monkeypatch.setattr(metadata, "MAX_BYTES", 10)
    with pytest.raises(InputError, match=r"has 11 bytes or more, at most 10 are read: give a CSV"):
        read(tmp_path, "path,x\na,1\n")


def test_an_unknown_column_names_those_that_there_are(tmp_path: Path) -> None:
    table = Metadata("t.csv", [of_column(tmp_path, ["1"], name) for name in "abcdefg"])
    with pytest.raises(InputError, match=r"t.csv: no column 'site': it has 'a', 'b', 'c', 'd', 'e' and 2 more"):
        table.column("site")
