"""The file of hypotheses: a draft, which people and programs write, or frozen, with a date and a hash of itself."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, final

from saev.errors import InputError
from saev.files import write_whole
from saev.latents.encoding import sae_digest
from saev.nn import SparseAutoencoder
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.pictures.units import Units, digest_of_division
from saev.probing.statistics.arrays import Bools
from saev.shards.format.strict_json import canonical_digest
from saev.vit.weights import weights_digest

FORMAT: Final = "saev-hypotheses"
VERSION: Final = 1
ALPHA: Final = 0.05


@final
@dataclass(frozen=True)
class Halves:
    """How the pictures are divided into those that one may look at and those of the test.

    Args:
        seed: Of the division.
        columns: Of the user's table: pictures with the same value in one of them stay together, as equal ones do.
        division: SHA-256 of what came out for the recording's pictures; None before they are divided.
    """

    seed: int = 0
    columns: tuple[str, ...] = ()
    division: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {"seed": int(self.seed), "columns": list(self.columns), "division": self.division}

    def divide(self, units: Units) -> Bools:
        """(i,) whether each picture is in the test half.

        Raises:
            InputError: If all units fall into one half, or pictures are divided otherwise than they were.
        """
        is_test_i = units.halves(self.seed)
        if self.division not in (None, digest_of_division(units, is_test_i)):
            whose = f"with the table as it was then (columns {', '.join(self.columns)})" if self.columns else "as then"
            raise InputError(
                "the pictures are divided otherwise than when the hypotheses were made, so that pictures of the "
                f"proposal half may come into the test: divide them {whose}"
            )
        return is_test_i

    def noted(self, units: Units) -> Self:
        """The same with the division of these pictures.

        Raises:
            InputError: As `divide`.
        """
        return replace(self, division=digest_of_division(units, self.divide(units)))


@final
@dataclass(frozen=True)
class Draft:
    """Hypotheses that are not frozen yet: thresholds may be missing.

    Args:
        hypotheses: At least one, each with an id of its own.
        alpha: The error that is allowed over all of them.
        halves: How the pictures are divided.
        sae: Digest of the SAE that they are on, where it is known.
        shards: Content id of the recording, where it is known.
        strata: Within what they are tested: "label" (as recorded), a column of the user's table, or None.
        weights: How the digest of the SAE's weights begins, where the hypotheses come from notes.

    Raises:
        InputError: There is no hypothesis, two have one id, or `alpha` is not between 0 and 1.
    """

    hypotheses: tuple[Hypothesis, ...]
    alpha: float = ALPHA
    halves: Halves = Halves()
    sae: str | None = None
    shards: str | None = None
    strata: str | None = None
    weights: str = ""

    def __post_init__(self) -> None:
        _check(self.hypotheses, self.alpha)

    def frozen(self, sae: SparseAutoencoder, shards: str, now: datetime) -> "Frozen":
        """Freeze them for an SAE and a recording.

        Args:
            sae: The SAE whose latents they are on.
            shards: Content id of the recording.
            now: The time, with its zone.

        Raises:
            InputError: They are on another SAE or another recording, on a latent that there is not, or a threshold is
                missing.
        """
        self.check(sae, shards)
        date = now.astimezone(UTC).isoformat(timespec="seconds")
        return Frozen(self.hypotheses, self.alpha, self.halves, sae_digest(sae), shards, date, self.strata)

    def check(self, sae: SparseAutoencoder, shards: str) -> None:
        """Check whether they are on an SAE and a recording.

        Raises:
            InputError: As `frozen`, but for missing thresholds.
        """
        _check_about(self, sae, shards)
        weights = weights_digest(sae)
        if not weights.startswith(self.weights):
            raise InputError(
                f"the notes are from a gallery of an SAE whose weights have a SHA-256 of {self.weights}..., not "
                f"{weights[:16]}... as those of the one given: give the SAE of that gallery"
            )
        for one in self.hypotheses:
            if max(one.latents.all) >= sae.d_sae:
                raise InputError(
                    f"hypothesis {one.id}: latent {max(one.latents.all)}: the SAE has latents 0 to {sae.d_sae - 1}"
                )

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return _body(self)

    def write(self, path: Path) -> None:
        """Write them as JSON in one step, in the place of what is there.

        Raises:
            InputError: If the disk does not take it.
        """
        _write(path, self.to_dict())


@final
@dataclass(frozen=True)
class Frozen:
    """Hypotheses that are tested as they are.

    Args:
        hypotheses: At least one, each with an id of its own and all thresholds.
        alpha: The error that is allowed over all of them.
        halves: How the pictures are divided.
        sae: Digest of the SAE.
        shards: Content id of the recording.
        date: When they were frozen, in UTC as ISO 8601.
        strata: As in `Draft`.

    Raises:
        InputError: As `Draft`, and where a threshold is missing.
    """

    hypotheses: tuple[Hypothesis, ...]
    alpha: float
    halves: Halves
    sae: str
    shards: str
    date: str
    strata: str | None = None

    def __post_init__(self) -> None:
        _check(self.hypotheses, self.alpha)
        for one in self.hypotheses:
            if one.latents.thresholds is None:
                raise InputError(f"hypothesis {one.id} has no threshold: nothing is frozen without one")

    def check(self, sae: SparseAutoencoder, shards: str) -> None:
        """Check whether they are on an SAE and a recording, by its content id.

        Raises:
            InputError: If they are not.
        """
        _check_about(self, sae, shards)

    @property
    def hash(self) -> str:
        """SHA-256 of all that is frozen."""
        return canonical_digest(_body(self))

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return _body(self) | {"hash": self.hash}

    def write(self, path: Path) -> None:
        """Write them as JSON in one step.

        Raises:
            InputError: If something is there already, or the disk does not take it.
        """
        if path.exists():
            raise InputError(f"{path} is there already: what is frozen is not overwritten, name another file")
        _write(path, self.to_dict())


def _body(what: Draft | Frozen) -> dict[str, object]:
    """All but the hash."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "sae": what.sae,
        "shards": what.shards,
        **({"date": what.date} if isinstance(what, Frozen) else {}),
        "alpha": float(what.alpha),
        # Files from before there were strata have the same hash.
        **({} if what.strata is None else {"strata": what.strata}),
        "halves": what.halves.to_dict(),
        "hypotheses": [one.to_dict() for one in what.hypotheses],
    }


def _write(path: Path, value: dict[str, object]) -> None:
    write_whole(path, f"{json.dumps(value, indent=2)}\n".encode("ascii"))


def _check_about(what: Draft | Frozen, sae: SparseAutoencoder, shards: str) -> None:
    for name, own, given in (("SAE", what.sae, sae_digest(sae)), ("recording", what.shards, shards)):
        if own not in (None, given):
            raise InputError(f"the hypotheses are on the {name} {own}, not on {given}: give that {name}")


def _check(hypotheses: tuple[Hypothesis, ...], alpha: float) -> None:
    if not hypotheses:
        raise InputError("there is no hypothesis")
    if not 0 < alpha < 1:
        raise InputError(f"alpha {alpha}: give a probability between 0 and 1, such as {ALPHA}")
    seen: set[str] = set()
    for one in hypotheses:
        if one.id.casefold() in seen:  # some file systems do not tell them apart
            raise InputError(f"two hypotheses have the id {one.id}: give each an id of its own")
        seen.add(one.id.casefold())
