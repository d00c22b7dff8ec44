"""What a set of pictures says of itself: `set.json`, which is frozen like the hypotheses."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.probing.sets.sampling import Sample, Stratum
from saev.ranges import Ints
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.strict_json import JsonObject, canonical_digest, located

FORMAT: Final = "saev-set"
VERSION: Final = 1
_FILE: Final = re.compile(r"p[0-9]{3,9}(\.[a-z0-9]{1,5})?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@final
@dataclass(frozen=True)
class SetPicture:
    """One picture of a set.

    Args:
        file: Its name in `pictures/`, which says nothing of it; without its ending it is its id.
        image: Its number in the recording; None where it was never recorded.
        path: Its name in the recording.
        sha256: Of its file.
        stratum: Its place among the strata.
    """

    file: str
    image: int | None
    path: str
    sha256: str
    stratum: int

    @property
    def id(self) -> str:
        """What answers call it."""
        return self.file.partition(".")[0]


@final
@dataclass(frozen=True)
class ImageSet:
    """Pictures on which one hypothesis is tested, in random order.

    Args:
        hypothesis: Its id.
        hypotheses: Hash of the frozen file that has it.
        text: The claim in words.
        recipe: How the pictures were chosen, as JSON.
        seed: Of that choice.
        strata: From which the pictures come.
        pictures: Each once.

    Raises:
        InputError: There is no picture, two have one id or one image, a name or a digest is none, or strata and
            pictures do not fit.
    """

    hypothesis: str
    hypotheses: str
    text: str
    recipe: Mapping[str, Any]
    seed: int
    strata: tuple[Stratum, ...]
    pictures: tuple[SetPicture, ...]

    def __post_init__(self) -> None:
        for one in self.pictures:
            if not _FILE.fullmatch(one.file) or not _SHA256.fullmatch(one.sha256):
                raise InputError(f"picture {one.file!r}: 'file' must be like p001.png, 'sha256' 64 hex digits")
        images = [one.image for one in self.pictures if one.image is not None]
        if len({one.id for one in self.pictures}) < len(self.pictures) or len(set(images)) < len(images):
            raise InputError("a picture stands twice in the set")
        counts = Counter(one.stratum for one in self.pictures)
        said = {place: stratum.n for place, stratum in enumerate(self.strata)}
        if not counts or counts != said:
            raise InputError(f"the strata have {dict(sorted(counts.items()))} pictures, they say {said}")
        if any(stratum.size < stratum.n for stratum in self.strata):
            raise InputError("a stratum says that more pictures were chosen than it has")

    @classmethod
    def of_sample(
        cls,
        sample: Sample,
        images_i: Ints,
        records: Sequence[ExampleRecord],
        **facts: Any,
    ) -> Self:
        """A set of sampled pictures.

        Args:
            sample: Which were chosen.
            images_i: Numbers, in the recording, of the pictures to choose from.
            records: All pictures of the recording.
            **facts: The other facts of an `ImageSet`.
        """
        images = images_i[sample.pictures_k].tolist()
        width = max(3, len(str(len(images))))
        pictures = tuple(
            SetPicture(
                file=f"p{number:0{width}d}{_ending(records[image].path)}",
                image=image,
                path=records[image].path,
                sha256=records[image].digest,
                stratum=stratum,
            )
            for number, (image, stratum) in enumerate(zip(images, sample.strata_k.tolist(), strict=True), 1)
        )
        return cls(strata=sample.strata, pictures=pictures, **facts)

    @property
    def digest(self) -> str:
        """SHA-256 of all that stands in `set.json`."""
        return canonical_digest(self._body())

    @property
    def weights_k(self) -> NDArray[np.float64]:
        """For how many pictures each stands."""
        return np.array([self.strata[one.stratum].weight for one in self.pictures])

    def _body(self) -> dict[str, object]:
        facts: dict[str, object] = asdict(self)
        return {"format": FORMAT, "version": VERSION} | facts

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return self._body() | {"digest": self.digest}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give; where the digest is another one, it was edited.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
            raise InputError(f"{where} is no set of version {VERSION}: give what `saev probe build` printed")
        found = JsonObject(value, where, ("format", "version", *(field.name for field in fields(cls)), "digest"))
        strata = tuple(_stratum(one, f"{where}: strata[{number}]") for number, one in enumerate(found.array("strata")))
        pictures = tuple(
            _picture(one, f"{where}: pictures[{number}]") for number, one in enumerate(found.array("pictures"))
        )
        facts = {key: found.text(key) for key in ("hypothesis", "hypotheses", "text")}
        with located(where):
            made = cls(
                **facts, recipe=found.mapping("recipe"), seed=found.integer("seed"), strata=strata, pictures=pictures
            )
        if found.text("digest") != made.digest:
            raise InputError(
                f"{where}: the set was edited after it was built (its digest is {made.digest}, it says "
                f"{found.text('digest')}): build it again"
            )
        return made


def _ending(path: str) -> str:
    """The ending of a file's name where it is a plain one; programs go by it."""
    ending = f".{path.lower().rpartition('.')[2]}"
    return ending if _FILE.fullmatch(f"p000{ending}") else ""


def _stratum(value: object, where: str) -> Stratum:
    found = JsonObject(value, where, ("low", "high", "size", "n"))
    return Stratum(found.number("low"), found.number("high"), found.integer("size", 1), found.integer("n", 1))


def _picture(value: object, where: str) -> SetPicture:
    found = JsonObject(value, where, [field.name for field in fields(SetPicture)])
    return SetPicture(
        found.text("file"),
        found.optional_integer("image"),
        found.text("path"),
        found.text("sha256"),
        found.integer("stratum"),
    )
