"""What pairs of pictures say of themselves: `pairs.json`, which is frozen like the set that it lies beside.

pairs.json               what `PairedSet` says
pairs/before/ID.png      a picture as the ViT saw it; ID is that of a picture of the set, or f001, ... of two folders
pairs/EDIT/ID.png        the same, edited
pairs/EDIT/ID-placebo.png
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

from saev.errors import InputError
from saev.probing.sets.edits import EDITS, MASKED_EDITS
from saev.probing.sets.image_set import ImageSet
from saev.probing.sets.sealed import Sealed, read_checked

PAIRS_FILE: Final = "pairs.json"
PAIRS: Final = "pairs"
FOLDERS: Final = "folders"
"""What stands for an edit where the user brought both pictures of each pair."""
_ID: Final = re.compile(r"[pf][0-9]{3,9}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
Expected = Literal["removes", "keeps", "adds"]
"""What an edit does to the attribute."""


@final
@dataclass(frozen=True)
class EditedPair:
    """A picture, changed, and its placebo."""

    id: str  # That of a picture of the set, or that of a pair of two folders.
    name: str  # The user's.
    group: str  # What belongs together, by name: no resampling parts it.
    sources: tuple[str, ...]  # SHA-256 of the files that the two pictures come from: one, or two of two folders.
    background: str | None  # Id of the picture of the set that is the new background.
    before: str  # SHA-256 of the picture's file.
    after: str  # Of the changed one.
    placebo: str  # Of the one in another light.
    strength: float  # Root of the mean squared difference of pixels, of 255.
    placebo_strength: float  # That of the placebo.

    def __post_init__(self) -> None:
        digests = (*self.sources, self.before, self.after, self.placebo)
        if not _ID.fullmatch(self.id) or not all(map(_SHA256.fullmatch, digests)) or not self.sources:
            raise InputError(f"pair {self.id!r}: an id is like p001, and digests have 64 hex digits")


@final
@dataclass(frozen=True)
class PairedEdit:
    """Pairs that are changed in the same way."""

    name: str  # Of the edit; `FOLDERS` where the user brought both pictures.
    expected: Expected  # What it does to the attribute.
    pairs: tuple[EditedPair, ...]  # Each with an id of its own.

    def files(self, pair: EditedPair) -> dict[str, str]:
        """The files of a pair below `PAIRS`, each with its SHA-256: before, after, placebo."""
        return {
            f"before/{pair.id}.png": pair.before,
            f"{self.name}/{pair.id}.png": pair.after,
            f"{self.name}/{pair.id}-placebo.png": pair.placebo,
        }


@final
@dataclass(frozen=True)
class PairedSet(Sealed):
    """Pairs on which one hypothesis is tested.

    Raises:
        InputError: There is no edit, one is unknown, two have one name, or two pairs of an edit have one id.
    """

    kind = "saev-pairs"
    holds = "pairs"

    hypothesis: str  # Its id.
    hypotheses: str  # Hash of the frozen file that has it.
    sae: str  # Digest of the SAE.
    shards: str  # Content id of the recording.
    recipe: dict[str, Any]  # How the pairs were made, as JSON.
    seed: int  # Of all chance in it.
    edits: tuple[PairedEdit, ...]  # Each with a name of its own.

    def __post_init__(self) -> None:
        names = [one.name for one in self.edits]
        if not names or len(set(names)) < len(names) or not {*names} <= {*EDITS, *MASKED_EDITS, FOLDERS}:
            raise InputError(f"edits {names}: each is one of saev's, or {FOLDERS!r}, and stands once")
        for one in self.edits:
            if len({pair.id for pair in one.pairs}) < len(one.pairs):
                raise InputError(f"edit {one.name}: a pair stands twice in it")

    @property
    def sources(self) -> frozenset[str]:
        """SHA-256 of all files that the pairs come from."""
        return frozenset(source for edit in self.edits for pair in edit.pairs for source in pair.sources)


def read_pairs(directory: Path, made: ImageSet) -> PairedSet | None:
    """The pairs of a set; None where it was built without.

    Args:
        made: The set, which names the digest of its pairs.

    Raises:
        InputError: If they are gone, were edited, or belong to another set.
    """
    digest, path = made.recipe.get("pairs"), directory / PAIRS_FILE
    if digest is None:
        return None
    found = PairedSet.read(path)
    ids = {one.id for one in made.pictures}
    own = {pair.id for edit in found.edits for pair in edit.pairs if edit.name != FOLDERS}
    own |= {pair.background for edit in found.edits for pair in edit.pairs if pair.background is not None}
    if found.digest != digest or not own <= ids:
        raise InputError(f"{path} holds the pairs of another set: build the set again")
    return found


def read_pair_picture(directory: Path, file: str, sha256: str) -> bytes:
    """The bytes of a picture of a pair, checked.

    Args:
        file: As `PairedEdit.files` gives it.
        sha256: What it must be.

    Raises:
        InputError: If it is missing or another one.
    """
    return read_checked(directory / PAIRS / file, sha256, "was built: build the set again")
