"""The words that latents may be called by."""

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from saev.errors import InputError, printable
from saev.files import UnreadableFile, read_regular

LONGEST_WORD = 100
_MAX_BYTES = 2**26
MAX_WORDS = 100_000
FEWEST_WORDS = 2


def read_vocabulary(path: Path | None = None) -> list[str]:
    """Read a vocabulary: one word or phrase a line, in the order of the file.

    Empty lines and lines that start with ``#`` are skipped; a word that came before, in whatever case and spacing, is
    left out.

    Args:
        path: A text file in UTF-8; None is the list that comes with saev.

    Raises:
        InputError: There is no such file, it is no text, a line is too long or holds control characters, or there are
            fewer than `FEWEST_WORDS` words: how well a word fits is known only in competition with others.
    """
    if path is None:
        return _words(
            (files("saev.latents.naming") / "vocabulary.txt").read_text(encoding="utf-8"), "the default vocabulary"
        )
    where = f"vocabulary '{printable(str(path))}'"
    try:
        text = read_regular(path, _MAX_BYTES).decode("utf-8-sig")
    except UnreadableFile as error:
        raise InputError(f"vocabulary {printable(str(error))}: give a file of one word or phrase a line") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is no text in UTF-8: give a file of one word or phrase a line") from error
    return _words(text, where)


def _words(text: str, where: str) -> list[str]:
    words = distinct(_word(line, f"line {n} of {where}") for n, line in enumerate(text.split("\n"), start=1))
    if len(words) < FEWEST_WORDS:
        raise InputError(
            f"{where} has {len(words)} different words: a latent's name is the best of several, so give at least "
            f"{FEWEST_WORDS}, better some hundreds"
        )
    if len(words) > MAX_WORDS:
        raise InputError(f"{where} has {len(words):,} words, more than {MAX_WORDS:,}")
    return words


def distinct(words: Iterable[str]) -> list[str]:
    """Leave out empty words and those that came before in another case.

    >>> distinct(["Cat", "", "dog", "cat"])
    ['Cat', 'dog']
    """
    by_key: dict[str, str] = {}
    for word in words:
        if word:
            by_key.setdefault(word.casefold(), word)
    return list(by_key.values())


def words_digest(words: Iterable[str]) -> str:
    """SHA-256 in hex of a list of words, each with a line feed."""
    return hashlib.sha256("".join(f"{word}\n" for word in words).encode()).hexdigest()


def _word(line: str, where: str) -> str:
    """The word of a line, with single spaces; empty for a comment."""
    word = " ".join(line.split())
    if word.startswith("#"):
        return ""
    if not word.isprintable():
        raise InputError(f"{where} holds characters that cannot be shown: '{printable(word[:LONGEST_WORD])}'")
    if len(word) > LONGEST_WORD:
        raise InputError(
            f"{where} has {len(word)} characters, more than {LONGEST_WORD}: '{word[:40]}...'; "
            "a vocabulary is one word or phrase a line"
        )
    return word
