"""Pictures of tasks that were never recorded, for sets: those of the test half that nobody has looked at."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self, final

from saev.errors import InputError
from saev.probing.pictures.folders import NewPicture
from saev.probing.pictures.units import in_test_half
from saev.probing.sets.near_duplicates import Hash, alike, difference_hash
from saev.progress import progress_bar
from saev.ranges import Ints
from saev.vit.images.base import read_file
from saev.vit.images.decode import decode


@final
@dataclass(frozen=True)
class Unrecorded:
    """The pictures of a task that were never recorded."""

    kept: Sequence[NewPicture]  # Those of the test half, without near-duplicates.
    n_proposal: int  # How many are of the other half.
    n_near: int  # How many of the test half are near-duplicates.

    @classmethod
    def of(cls, new: Iterable[NewPicture], seed: int, recorded: Ints, hash_of: Callable[[int], Hash]) -> Self:
        """Divide pictures as recorded ones are divided, by what is in them, and leave near-duplicates out.

        Nothing is known of what latents do on them, so that hashes of the pictures alone decide what is one.

        Args:
            new: The pictures.
            seed: Of the halves.
            recorded: Numbers of the recorded pictures of the task, of both halves, that they are compared with.
            hash_of: Gives the `difference_hash` of a recorded picture.

        Raises:
            InputError: If a file is gone or is no picture.
        """
        new = list(new)
        own = [one for one in new if in_test_half(one.digest, seed)]
        shown = progress_bar(recorded.tolist(), desc="recorded pictures", unit=" pictures", disable=not own)
        hashes = [hash_of(image) for image in shown] if own else []
        kept: list[NewPicture] = []
        for one in progress_bar(own, desc="new pictures", unit=" pictures", disable=not own):
            found = _hash(one)
            if not alike([found], hashes).any():
                kept.append(one)
                hashes.append(found)
        return cls(kept, len(new) - len(own), len(own) - len(kept))

    def to_dict(self) -> dict[str, int]:
        """As JSON, for the recipe of a set."""
        return {"test_half": len(self.kept), "proposal_half": self.n_proposal, "near_duplicates": self.n_near}


def _hash(one: NewPicture) -> Hash:
    data = read_file(str(one.path), one.name)
    if hashlib.sha256(data).hexdigest() != one.digest:
        raise InputError(f"'{one.name}' changed while it was read: build again")
    return difference_hash(decode(data, one.name))
