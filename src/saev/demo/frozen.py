"""What the marker of a demo keeps of the claims that were frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self, final

from saev.demo.claims import PlantedClaim
from saev.demo.folder import plain_name
from saev.demo.known_scenes import NAMES
from saev.demo.places import CLAIMS
from saev.demo.steps import Demo
from saev.scenes.factors import COLOURS
from saev.shards.format.strict_json import JsonObject

_TRUTHS: Final = (*NAMES, "warm", "summer")


@final
@dataclass(frozen=True)
class FrozenClaim:
    """A claim that was frozen, as the marker keeps it."""

    file: str
    id: str  # Of the hypothesis.
    text: str  # What is claimed.
    latents: Sequence[int]
    truth: str  # What `KnownScenes.truth` calls it.
    is_true: bool  # Whether it is.
    why: str  # How it came about.

    @classmethod
    def of(cls, file: str, one: PlantedClaim) -> Self:
        """Of a claim that was chosen."""
        its = one.hypothesis
        return cls(file, its.id, its.text, [int(latent) for latent in its.latents.all], one.truth, one.is_true, one.why)

    @classmethod
    def read(cls, value: object, where: str) -> Self:
        """From the marker.

        Raises:
            InputError: If it is no such claim.
        """
        found = JsonObject(value, where, [one.name for one in fields(cls)])
        return cls(
            found.choice("file", CLAIMS), plain_name(found.text("id"), where), found.text("text"),
            _integers(found, "latents"), found.choice("truth", _TRUTHS), found.boolean("is_true"), found.text("why"),
        )  # fmt: skip

    @property
    def expected(self) -> str:
        """The verdict that it deserves."""
        return "confirmed" if self.is_true else "rejected"

    def __str__(self) -> str:
        some = f"latent {self.latents[0]} fires" if len(self.latents) == 1 else f"latents {self.latents} fire"
        kind = "true" if self.is_true else "false"
        return f"{some} where '{self.text}': {kind}; {self.why}"


@final
@dataclass(frozen=True)
class Frozen:
    """All that was fixed."""

    claims: Sequence[FrozenClaim]  # The five claims.
    colour: str
    of_colour: Sequence[int]  # All latents that go with it.


def frozen(demo: Demo) -> Frozen:
    """What was fixed, once it is.

    Raises:
        InputError: If the marker is damaged.
    """
    found, where = demo.folder.facts("freeze", "claims", "colour", "latents"), f"{demo.folder.marker}: freeze"
    claims = [FrozenClaim.read(one, where) for one in found.array("claims")]
    return Frozen(claims, found.choice("colour", tuple(COLOURS)), _integers(found, "latents"))


def _integers(found: JsonObject, key: str) -> list[int]:
    return list(found.integers(key, len(found.array(key))))
