"""What a set of pictures says of itself: `set.json`, which is frozen like the hypotheses."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.probing.sets.sampling import Stratum
from saev.probing.sets.sealed import Sealed

_FILE: Final = re.compile(r"p[0-9]{3,9}(\.[a-z0-9]{1,5})?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Role = Literal["sample", "same-class", "hard-near", "hard-neighbour"]
"""What a picture is there for: see docs/files.md."""


@final
@dataclass(frozen=True)
class SetPicture:
    """One picture of a set."""

    file: str  # Its name in `pictures/`, which says nothing of it; without its ending it is its id.
    image: int | None  # Its number in the recording; None where it was never recorded.
    path: str  # Its name in the recording, or in the folder of tasks.
    sha256: str  # Of its file.
    group: str  # The unit that it belongs to, by name.
    roles: tuple[Role, ...]  # What it is there for; with "sample" it counts for the verdict.
    stratum: int | None  # Its place among the strata; None for those that are in no sample.
    label: bool | None  # Whether it has the attribute; None where people are asked.

    @classmethod
    def of(cls, number: int, n: int, path: str, sha256: str, **facts: Any) -> Self:
        """One picture of n, by its place in the set, from 1; `facts` are the others."""
        ending = f".{path.lower().rpartition('.')[2]}"  # programs go by it, where it is a plain one
        name = f"p{number:0{max(3, len(str(n)))}d}"
        return cls(name + ending * bool(_FILE.fullmatch(name + ending)), path=path, sha256=sha256, **facts)

    @property
    def id(self) -> str:
        """What answers call it."""
        return self.file.partition(".")[0]


@final
@dataclass(frozen=True)
class ImageSet(Sealed):
    """Pictures on which one hypothesis is tested, in random order.

    Raises:
        InputError: There is no sample, two pictures have one id or one image, a name or a digest is none, some labels
            are known and some not, or strata, roles, labels and pictures do not fit.
    """

    kind = "saev-set"
    holds = "set"

    hypothesis: str  # Its id.
    hypotheses: str  # Hash of the frozen file that has it.
    sae: str  # Digest of the SAE.
    shards: str  # Content id of the recording.
    text: str  # The claim in words.
    recipe: Mapping[str, Any]  # How the pictures were chosen, as JSON.
    seed: int  # Of that choice.
    strata: tuple[Stratum, ...]  # From which the sample comes.
    pictures: tuple[SetPicture, ...]  # Each once; with labels for all of them, or for none.

    def __post_init__(self) -> None:
        for one in self.pictures:
            if not _FILE.fullmatch(one.file) or not _SHA256.fullmatch(one.sha256):
                raise InputError(f"picture {one.file!r}: 'file' must be like p001.png, 'sha256' 64 hex digits")
        images = [one.image for one in self.pictures if one.image is not None]
        if len({one.id for one in self.pictures}) < len(self.pictures) or len(set(images)) < len(images):
            raise InputError("a picture stands twice in the set")
        if len({one.label is None for one in self.pictures}) > 1:
            raise InputError("labels are known of some pictures and not of others")
        for one in self.pictures:
            if (
                not one.roles
                or (one.stratum is None) == ("sample" in one.roles)
                or len(set(one.roles)) < len(one.roles)
            ):
                raise InputError(f"picture {one.id}: roles {list(one.roles)} do not fit stratum {one.stratum}")
        counts = Counter(one.stratum for one in self.pictures if one.stratum is not None)
        said = {place: stratum.n for place, stratum in enumerate(self.strata)}
        if not counts or counts != said:
            raise InputError(f"the strata have {dict(sorted(counts.items()))} pictures, they say {said}")
        if any(stratum.size < stratum.n for stratum in self.strata):
            raise InputError("a stratum says that more pictures were chosen than it has")
        for one in self.pictures:
            if one.stratum is not None and self.strata[one.stratum].label not in (None, one.label):
                raise InputError(f"picture {one.id} with the label {one.label} stands in stratum {one.stratum}")

    @property
    def labels_k(self) -> NDArray[np.int8]:
        """Whether each has the attribute: 1 yes, 0 no, -1 where people are asked."""
        return np.array([-1 if one.label is None else one.label for one in self.pictures], dtype=np.int8)

    @property
    def asks_people(self) -> bool:
        """Whether labels come from the page, not from the set."""
        return self.pictures[0].label is None
