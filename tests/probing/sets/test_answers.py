"""Exported answers are read strictly."""

from pathlib import Path

import numpy as np
import pytest
from tests.probing.sets.small_sets import make_pictures, make_set

from saev.errors import InputError
from saev.probing.sets.answers import read_answers
from saev.probing.sets.image_set import ImageSet


@pytest.fixture
def made(tmp_path: Path) -> ImageSet:
    return make_set(make_pictures(tmp_path, [f"{number}.png" for number in range(12)]), 12)


def write(directory: Path, *rows: str, head: str = "picture,answer,seconds,set", end: str = "\n") -> Path:
    path = directory / "answers.csv"
    path.write_bytes("".join(f"{row}{end}" for row in (head, *rows)).encode())
    return path


def test_answers_stand_at_their_pictures(tmp_path: Path, made: ImageSet) -> None:
    rows = [f"p002,yes,1.5,{made.digest}", f"p001,no,0,{made.digest}", f"p012,unsure,20,{made.digest}"]
    found = read_answers(write(tmp_path, *rows), made)
    assert found.y_k.tolist() == [0, 1, *[-1] * 10]
    assert (found.n_unanswered, found.n_unsure) == (9, 1)
    assert np.flatnonzero(found.seen_k).tolist() == [0, 1, 11]
    # As a spreadsheet saves it again.
    again = read_answers(write(tmp_path, *rows, head="\ufeffpicture,answer,seconds,set", end="\r\n"), made)
    assert again.y_k.tolist() == found.y_k.tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["p002,yes,1.5,{other}"], "line 2: an answer to the set 9999.*, not to "),
        (["p002,yes,1.5,{own}", "p013,yes,1.5,{own}"], "line 3: the set has no picture 'p013'"),
        (["p002,maybe,1.5,{own}"], "answer 'maybe': it must be yes, no, unsure"),
        (["p002,yes,1.5,{own}", "p002,yes,1.5,{own}"], "line 3: a second answer to picture p002"),
        (["p002,yes,1.5"], "3 values instead of 4"),
        ([""], "0 values instead of 4"),
        (["p002,yes,soon,{own}"], "'soon' are no seconds"),
        (["p002,yes,nan,{own}"], "'nan' are no seconds"),
        (["p002,yes,-1,{own}"], "'-1' are no seconds"),
        (['p002,"yes,1,{own}'], "no table of answers"),
        ([], "there is no answer in it"),
    ],
)
def test_answers_with_a_mistake_are_refused(tmp_path: Path, made: ImageSet, rows: list[str], message: str) -> None:
    filled = [row.format(own=made.digest, other="9" * 64) for row in rows]
    with pytest.raises(InputError, match=message) as error:
        read_answers(write(tmp_path, *filled), made)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("data", [b"", b"picture;answer;seconds;set\n", b"\xff\xfe", b"a\x1b[2J\n"])
def test_other_files_are_refused(tmp_path: Path, made: ImageSet, data: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"begins with|is no text") as error:
        read_answers(tmp_path / "x.csv", made)
    assert str(error.value).isprintable()
