"""Reading vocabularies, and the list that comes with the package."""

import os
from pathlib import Path

import pytest

from saev.errors import InputError
from saev.latents.naming import read_vocabulary


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "words.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_default_list_holds_many_kinds_of_concepts() -> None:
    words = read_vocabulary()
    assert len(words) >= 1500
    assert len({word.casefold() for word in words}) == len(words)
    assert {"dog", "beak", "stripes", "bokeh", "vignette", "turquoise", "white background", "watermark"} <= set(words)


def test_comments_empty_lines_spacing_and_repetitions(tmp_path: Path) -> None:
    text = "\ufeff# head\r\nCat\r\n\r\n  # indented\n polka \t dots \ncat\nC# code\ndog"
    assert read_vocabulary(written(tmp_path, text)) == ["Cat", "polka dots", "C# code", "dog"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "words.txt' has 0 different words"),
        ("# only\n# heads\n", "has 0 different words"),
        ("cat\nCat\n\n", "has 1 different words: a latent's name is the best of several"),
        (b"\xff\xfe\x00\x01", "words.txt' is no text in UTF-8"),
        ("cat\ndog\x1b[2J\nfox", r"line 2 of .*cannot be shown: 'dog\\x1b"),
        ("cat\n" + "dog " * 60, "line 2 of .* has 239 characters, more than 100"),
        ("\n".join(map(str, range(100_001))), "has 100,001 words, more than 100,000"),
    ],
)
def test_what_is_no_vocabulary(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_vocabulary(written(tmp_path, content))


@pytest.mark.parametrize(("name", "said"), [("gone", "is missing"), (".", "is a directory"), ("pipe", "no regular")])
def test_no_file(name: str, said: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=rf"vocabulary .*{said}.*: give a file of one word"):
        read_vocabulary(tmp_path / name)
