"""What is claimed of a latent, or of a few that are joined by OR and AND NOT.

Shape suffixes: i = pictures, l = latents of the hypothesis, those of `any` first.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.artifacts.typed_json import from_json
from saev.errors import InputError, printable
from saev.latents.codes import Codes
from saev.latents.encoding import Images
from saev.latents.naming.names_file import ClipId
from saev.probing.pictures.attributes import Source
from saev.probing.pictures.pooled import pooled
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind
from saev.shards.format.strict_json import JsonObject

Claim = Literal["fires on", "does not fire on"]
Values = NDArray[np.float64]

MAX_LATENTS: Final = 16
LONGEST_TEXT: Final = 10_000
LONGEST_ID: Final = 80
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it names a folder on any file system
_ABOVE_ONE: Final = float(np.nextafter(1, 2))


@final
@dataclass(frozen=True)
class AttributeName:
    """What pictures may have: a label, a value in a table, a task, or words alone.

    Args:
        source: Where it is known from; "words" where nobody has labelled it yet.
        name: Its name there.
    """

    source: Source
    name: str

    @property
    def words(self) -> str:
        """Both, as ledgers note them: "label: zebra"."""
        return f"{self.source}: {self.name}"


@final
@dataclass(frozen=True)
class Latents:
    """One latent or a few: they fire where one of `any` exceeds its threshold and none of `unless` exceeds its own.

    Args:
        any: At least one.
        unless: Those that silence them.
        thresholds: Of all, those of `any` first; None where they are not chosen yet.

    Raises:
        InputError: No latent in `any`, more than `MAX_LATENTS`, one that stands twice; another number of thresholds, a
            threshold below 0, or one of 0 among several of `any`, whose values are divided by it.
    """

    any: tuple[int, ...]
    unless: tuple[int, ...] = ()
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.any:
            raise InputError("no latent in 'any': name one that is to fire")
        if len(self.all) > MAX_LATENTS:
            raise InputError(f"{len(self.all)} latents, at most {MAX_LATENTS} are joined")
        if len(set(self.all)) != len(self.all):
            raise InputError(f"a latent stands twice among {list(self.all)}")
        if self.thresholds is None:
            return
        if len(self.thresholds) != len(self.all):
            raise InputError(f"{len(self.thresholds)} thresholds for {len(self.all)} latents: give one for each")
        bad = [t for t in self.thresholds if not (math.isfinite(t) and t >= 0)]
        if bad or (len(self.any) > 1 and 0 in self.thresholds[: len(self.any)]):
            raise InputError(
                f"thresholds {list(self.thresholds)}: none may be below 0, nor 0 where several latents fire for each "
                "other, because values are divided by their thresholds"
            )

    @property
    def all(self) -> tuple[int, ...]:
        """All of them, as the columns of `values`."""
        return (*self.any, *self.unless)

    @property
    def threshold(self) -> float:
        """What `values` exceed where the latents fire: that of the one latent in `any`; of several it is 1."""
        assert self.thresholds is not None, "thresholds are not chosen yet"
        return self.thresholds[0] if len(self.any) == 1 else 1.0

    def values(self, pooled_il: csc_array | NDArray[np.floating[Any]]) -> Values:
        """One value (i,) of each picture, which exceeds `threshold` exactly where the latents fire.

        That is the value of the latent in `any`; of several, the largest value in units of its threshold. Where one of
        `unless` exceeds its threshold, it is 0.

        Args:
            pooled_il: The latents' pooled values, none below 0, sparse or dense.
        """
        assert self.thresholds is not None, "thresholds are not chosen yet"
        x_il = np.asarray(pooled_il if isinstance(pooled_il, np.ndarray) else pooled_il.toarray(), dtype=np.float64)
        assert x_il.shape[1] == len(self.all), (x_il.shape, self.all)
        n, threshold_l = len(self.any), np.asarray(self.thresholds)
        above_il = x_il > threshold_l
        if n == 1:
            found_i: Values = x_il[:, 0].copy()
        else:
            found_i = (x_il[:, :n] / threshold_l[:n]).max(1)
            # Division rounds: a value just above its threshold must not come out at 1.
            fires_i = above_il[:, :n].any(1)
            found_i = np.where(fires_i, np.maximum(found_i, _ABOVE_ONE), np.minimum(found_i, 1.0))
        found_i[above_il[:, n:].any(1)] = 0.0
        return found_i


@final
@dataclass(frozen=True)
class Hypothesis:
    """A claim about latents that can turn out wrong.

    Args:
        id: Letters, digits, "_" and "-", at most 80; it names the folder of the set.
        claim: "fires on" the attribute, or "does not fire on" it.
        attribute: What the pictures have or lack.
        latents: What is to fire.
        tokens: Of which tokens.
        pooling: How the codes of a picture's tokens become one value; "count" is the number above `count_above`.
        count_above: A code, not below 0.
        smallest_effect: The smallest MCC that matters, above 0 and below 1.
        text: The claim in words, as people read it who label pictures.
        named_by: The CLIP that gave the claim as a name, if one did.

    Raises:
        InputError: One of these is something else.
    """

    id: str
    attribute: AttributeName
    latents: Latents
    claim: Claim = "fires on"
    tokens: TokenKind = "content"
    pooling: Pooling = "max"
    count_above: float = 0.0
    smallest_effect: float = 0.2
    text: str = ""
    named_by: ClipId | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or len(self.id) > LONGEST_ID:
            raise InputError(f"id '{printable(self.id[:90])}': use at most {LONGEST_ID} letters, digits, '_' and '-'")
        for what, text in (("text", self.text), ("the attribute's name", self.attribute.name)):
            if not text.strip() or len(text) > LONGEST_TEXT:
                raise InputError(f"{what} has {len(text.strip())} characters: give 1 to {LONGEST_TEXT}")
        if not 0 < self.smallest_effect < 1:
            raise InputError(f"smallest_effect {self.smallest_effect}: give an MCC above 0 and below 1")
        if not 0 <= self.count_above < math.inf:
            raise InputError(f"count_above {self.count_above}: give a number from 0 on")

    def with_thresholds(self, thresholds: tuple[float, ...]) -> Self:
        """The same with thresholds of all its latents.

        Raises:
            InputError: As `Latents`.
        """
        return replace(self, latents=replace(self.latents, thresholds=thresholds))

    def pooled(
        self, codes: Codes, images: Images, latents: Images | None = None, *, progress: bool = False
    ) -> csc_array:
        """The values (i, l) of latents on pictures, pooled over the hypothesis' tokens as it says.

        Args:
            codes: Of the pictures.
            images: (i,) numbers of pictures, ascending.
            latents: (l,) which; by default all.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the tokens are not encoded, or a file of codes is damaged.
        """
        origin = codes.origin
        own, wanted = origin.layout.positions(origin.tokens), origin.layout.positions(self.tokens)
        if wanted.start < own.start or wanted.stop > own.stop:
            raise InputError(
                f"the codes are of {origin.tokens} tokens, a hypothesis is on {self.tokens}: give codes of these, "
                "which `saev encode --tokens` makes"
            )
        positions = range(wanted.start - own.start, wanted.stop - own.start)
        return pooled(codes, images, self.pooling, self.count_above, latents, positions=positions, progress=progress)

    def to_dict(self) -> dict[str, object]:
        """As JSON; whole numbers and NumPy's, too, are written as they are read again."""
        thresholds = self.latents.thresholds
        return {
            "id": self.id,
            "text": self.text,
            "claim": self.claim,
            "attribute": {"source": self.attribute.source, "name": self.attribute.name},
            "latents": {"any": list(map(int, self.latents.any)), "unless": list(map(int, self.latents.unless))},
            "thresholds": None if thresholds is None else list(map(float, thresholds)),
            "tokens": self.tokens,
            "pooling": self.pooling,
            "count_above": float(self.count_above),
            "smallest_effect": float(self.smallest_effect),
            **({} if self.named_by is None else {_NAMED_BY: asdict(self.named_by)}),
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        is_named = isinstance(value, dict) and _NAMED_BY in value
        found = JsonObject(value, where, (*_KEYS, _NAMED_BY) if is_named else _KEYS, short=("latent", "threshold"))
        assert isinstance(value, dict), "checked"
        if is_named:
            found.mapping(_NAMED_BY)
        found.text("text")  # before the attribute, whose name it is where a draft says no other
        JsonObject(found.mapping("latents"), f"{where}: latents", ("any", "unless"))
        # The thresholds are the latents' here, and stand beside them in JSON.
        rest = {key: own for key, own in value.items() if key != "thresholds"}
        latents = {**value["latents"], "thresholds": value["thresholds"]}
        return from_json(cls, {_NAMED_BY: None, **rest, "latents": latents}, where)


def default_id(some: Sequence[object], unless: Sequence[object] = ()) -> str:
    """What a hypothesis on latents is called.

    >>> default_id([17]), default_id([17, 40], [7])
    ('latent-17', 'latent-17-40-without-7')
    """
    return "-".join(map(str, ("latent", *some, *(("without", *unless) if unless else ()))))[:LONGEST_ID]


_NAMED_BY: Final = "named_by"
_KEYS: Final = (
    "id", "text", "claim", "attribute", "latents", "thresholds", "tokens", "pooling", "count_above", "smallest_effect",
)  # fmt: skip
