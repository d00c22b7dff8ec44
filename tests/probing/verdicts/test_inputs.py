"""What a test was given is known by digests."""

import hashlib
from pathlib import Path

import numpy as np

from saev.probing.pictures.attributes import Attribute, Attributes
from saev.probing.verdicts.inputs import Input, inputs_of


def known(y_i: list[int]) -> Attributes:
    """A label that was recorded, and a task of folders."""
    y_ij = np.array([[1, 0, 1], y_i], dtype=np.int8).T
    names = [Attribute("label", "zebra", "zebra"), Attribute("folders", "stripes", "stripes")]
    return Attributes(names, y_ij, [], np.empty((3, 0)))


def test_files_have_digests_of_their_bytes_and_folders_of_what_they_say(tmp_path: Path) -> None:
    answers, table = tmp_path / "answers.csv", tmp_path / "table.csv"
    answers.write_bytes(b"picture,answer\n")
    table.write_bytes(b"path,site\n")
    found = inputs_of([answers], table, ["image", "tasks"], known([1, 0, -1]))
    assert found == (
        Input("answers", str(answers), hashlib.sha256(b"picture,answer\n").hexdigest()),
        Input("metadata", str(table), hashlib.sha256(b"path,site\n").hexdigest()),
        Input("labels", "tasks", hashlib.sha256(b"stripes\0\x01\x00\xff").hexdigest()),
    )
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes/codes.json").write_bytes(b"{}")
    (tmp_path / "vit.pt").write_bytes(b"weights")
    more = inputs_of([], None, None, None, tmp_path / "codes", str(tmp_path / "vit.pt"))
    assert [(one.what, one.path, one.sha256) for one in more] == [
        ("codes", str(tmp_path / "codes"), hashlib.sha256(b"{}").hexdigest()),
        ("weights", str(tmp_path / "vit.pt"), hashlib.sha256(b"weights").hexdigest()),
    ]
    assert inputs_of([], None, None, None, None, "random") == ()
    assert inputs_of([], None, ["tasks"], known([1, 0, 0]))[0] != found[2]
    assert inputs_of([], None, ["image"], known([1, 0, -1])) == ()
