"""What a user asks for when sets get pairs of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self, final

from saev.errors import InputError
from saev.files import given_path
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.sets.edits import EDITS, MASKED_EDITS
from saev.probing.sets.masks import Masks
from saev.probing.sets.paired_set import Expected
from saev.vit.images.base import ImageEntry
from saev.vit.images.scan import PICTURES, scan

N_PAIRS: Final = 60
FEWEST: Final = 6
"""Of fewer pairs no flips of signs reach .05."""
_ALL: Final = (*EDITS, *MASKED_EDITS)


@final
@dataclass(frozen=True)
class Pair:
    """A picture, and the same one changed."""

    name: str  # Of both below their folders, without ending.
    before: Path  # The file of the first.
    after: Path  # The file of the second.


@final
@dataclass(frozen=True)
class WantedPairs:
    """Which pairs sets get."""

    edits: dict[str, Expected]  # Of pictures of the sets, each with what it does to the attribute.
    masks: Masks | None  # Where objects are; None where no edit needs them.
    folders: tuple[Pair, ...]  # Pairs of the user's own: without the attribute, and with it.
    n: int  # Pairs of an edit, at most.

    @classmethod
    def of(
        cls,
        hypotheses: Sequence[Hypothesis],
        edits: Sequence[str],
        kept_edits: Sequence[str],
        masks: str | Path | None,
        pairs_without: str | Path | None,
        pairs_with: str | Path | None,
        n: int,
    ) -> Self:
        """What a user asks for; arguments are those of `saev.probing.build`.

        Raises:
            InputError: If an edit is unknown or named twice, masks are missing or not needed, one folder is missing or
                has a picture without a counterpart, or folders are given for hypotheses on several attributes.
        """
        expected = _expected(edits, kept_edits)
        masked = [name for name in expected if name in MASKED_EDITS]
        if masked and masks is None:
            raise InputError(f"edit {masked[0]!r} needs to know where the object is: give masks")
        if masks is not None and not masked:
            raise InputError(f"masks are given, and only {', '.join(MASKED_EDITS)} use them: name one of these edits")
        if (pairs_without is None) != (pairs_with is None):
            raise InputError("pairs of two folders need both: pairs_without and pairs_with")
        if n < FEWEST:
            raise InputError(f"n_pairs={n}: of fewer than {FEWEST} pairs no test could say anything")
        folders: tuple[Pair, ...] = ()
        if pairs_without is not None and pairs_with is not None:
            _check_one_attribute(hypotheses)
            folders = tuple(pairs_of(pairs_without, pairs_with))
        return cls(expected, None if masks is None else Masks.of(masks), folders, n)


def pairs_of(before: str | Path, after: str | Path) -> list[Pair]:
    """The pictures of two folders that have the same names, at any depth; endings may differ.

    Args:
        before: A folder of pictures.
        after: The same pictures, changed.

    Raises:
        InputError: If a folder has no pictures, two of its pictures have one name, a picture cannot be used, or one of
            the folders has a name that the other lacks.
    """
    folders = given_path(before, "before"), given_path(after, "after")
    first, second = (_by_name(folder) for folder in folders)
    for folder, own, other in ((folders[0], first, second), (folders[1], second, first)):
        if lone := sorted(own.keys() - other.keys()):
            raise InputError(
                f"{folder}: {len(lone)} of {len(own)} pictures have no counterpart, first '{lone[0]}': give two "
                "folders with the same names"
            )
    return [Pair(name, folders[0] / first[name], folders[1] / second[name]) for name in sorted(first)]


def _by_name(folder: Path) -> dict[str, str]:
    found: dict[str, ImageEntry] = {}
    for entry in scan(folder, PICTURES):
        if entry.fault:
            raise InputError(f"{entry.fault}; replace it")
        name = PurePosixPath(entry.path).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{folder}: '{found[name].path}' and '{entry.path}' have one name: rename one of them")
        found[name] = entry
    return {name: entry.path for name, entry in found.items()}


def _expected(edits: Sequence[str], kept_edits: Sequence[str]) -> dict[str, Expected]:
    names = [*edits, *kept_edits]
    for name in names:
        if name not in _ALL:
            raise InputError(f"edit {name!r} is unknown: choose from {', '.join(_ALL)}")
        if names.count(name) > 1:
            raise InputError(f"edit {name!r} is named twice: it takes the attribute away, or leaves it")
    return {name: "removes" if name in edits else "keeps" for name in names}


def _check_one_attribute(hypotheses: Sequence[Hypothesis]) -> None:
    names = sorted({f"{one.attribute.source}: {one.attribute.name}" for one in hypotheses})
    if len(names) > 1:
        raise InputError(
            f"pairs of two folders are of one attribute, and the hypotheses are on {len(names)} ({names[0]}, "
            f"{names[1]}{', ...' if len(names) > 2 else ''}): freeze those of one, with --only"
        )
