"""One hypothesis as a command line states it."""

from dataclasses import dataclass
from typing import cast, final, get_args

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import AttributeName, Claim, Hypothesis, Latents, default_id
from saev.probing.pictures.attributes import Source
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind


@final
@dataclass(frozen=True)
class Stated:
    """What latents are said to do.

    Args:
        text: The claim in words; by default the attribute's name.
        attribute: SOURCE:NAME, or nothing for what is known in words alone.
        does_not_fire: Whether they are not to fire on it.
    """

    text: str = ""
    attribute: str = ""
    does_not_fire: bool = False

    @property
    def claim(self) -> Claim:
        """As hypotheses say it."""
        return "does not fire on" if self.does_not_fire else "fires on"

    def name(self) -> AttributeName:
        """The attribute.

        Raises:
            InputError: If neither it nor the claim is stated, or its source is unknown.
        """
        if not self.attribute:
            if not self.text.strip():
                raise InputError("say what the latents fire on: in words (claim), or as SOURCE:NAME (attribute)")
            return AttributeName("words", self.text)
        source, _, name = self.attribute.partition(":")
        known = [one for one in get_args(Source) if one != "words"]
        if source not in known or not name:
            raise InputError(
                f"attribute {self.attribute!r}: write SOURCE:NAME, such as label:zebra; SOURCE is one of "
                f"{', '.join(known)}"
            )
        return AttributeName(cast("Source", source), name)

    def of(self, latents: Latents, *, tokens: TokenKind, pooling: Pooling, count_above: float) -> Hypothesis:
        """The hypothesis on latents.

        Raises:
            InputError: As `name` and `Hypothesis`.
        """
        name = self.name()
        return Hypothesis(
            id=default_id(latents.any, latents.unless),
            text=self.text.strip() or name.name,
            claim=self.claim,
            attribute=name,
            latents=latents,
            tokens=tokens,
            pooling=pooling,
            count_above=count_above,
        )
