"""The sets that a test is given, checked against the hypotheses and the recording, with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from saev.errors import InputError, tell
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.hypotheses.ledger import LedgerEntry, Ledgers, SetInUse
from saev.probing.sets.answers import Labelled, labels_of
from saev.probing.sets.files import SET_FILE, read_set
from saev.probing.sets.image_set import ImageSet
from saev.probing.sets.paired_set import EditedPair, PairedEdit, PairedSet, read_pairs
from saev.probing.statistics.arrays import Bools
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.strict_json import located


@final
@dataclass(frozen=True)
class GivenSet:
    """What one hypothesis is tested on."""

    hypothesis: Hypothesis
    place: int  # Its place in the frozen file.
    directory: Path  # Where its set is.
    made: ImageSet
    pairs: PairedSet | None  # Those of the set, if it has any.
    labelled: Labelled  # The labels of its pictures.
    tried: Sequence[LedgerEntry] = ()
    """Tests on it before, and tests of its attribute on any of its pictures with other sets."""
    n_earlier: int = 0  # Tests of its attribute on other pictures of the recording before.

    @property
    def looks(self) -> int:
        """By what p is multiplied, so that any number of tests of one claim confirms by chance in 2 alpha at most."""
        return 1 << self.n_earlier

    @property
    def edits(self) -> list[PairedEdit]:
        """Edits with the pairs that count.

        Their picture has the attribute, by the set or by the answers of people, and a new background lacks it.
        """
        label = dict(zip((one.id for one in self.made.pictures), self.labelled.y_k.tolist(), strict=True))

        def counts(one: EditedPair) -> bool:
            return label.get(one.id, 1) == 1 and (one.background is None or label[one.background] == 0)

        edits = () if self.pairs is None else self.pairs.edits
        return [replace(edit, pairs=tuple(filter(counts, edit.pairs))) for edit in edits]

    @property
    def in_use(self) -> SetInUse:
        """What ledgers note of it."""
        own = frozenset(one.sha256 for one in self.made.pictures)
        pictures = own if self.pairs is None else own | self.pairs.sources
        return SetInUse(self.directory, self.hypothesis.attribute.words, pictures)

    @property
    def n_left(self) -> int:
        """Pictures that it could have been chosen from, and that are not in it."""
        n_tested = int(self.made.recipe.get("tested", 0))  # of another set, for the same claim
        return max(0, sum(stratum.size for stratum in self.made.strata) - len(self.made.pictures) - n_tested)

    @property
    def n_unrecorded(self) -> int:
        """Pictures that were never recorded."""
        return sum(one.image is None for one in self.made.pictures)


def given_sets(
    sets: Path,
    frozen: Frozen,
    records: Sequence[ExampleRecord],
    is_test_i: Bools,
    answers: Sequence[str | Path],
    ledgers: Ledgers,
) -> list[GivenSet]:
    """The set of each hypothesis that has one. A line names those that have none.

    Args:
        sets: The directory that holds them.
        is_test_i: Whether each is in the test half.
        answers: Files that pages of sets exported.
        ledgers: Where tests of other sets are noted.

    Raises:
        InputError: If no hypothesis has one; if one was edited, is for something else, holds a picture of the half that
            proposed the hypotheses, or says of a picture what is not so; if all labels of one are the same; as
            `labels_of`; if a ledger cannot be read.
    """
    tested = [
        (place, one, sets / one.id)
        for place, one in enumerate(frozen.hypotheses)
        if (sets / one.id / SET_FILE).exists()
    ]
    if not tested:
        raise InputError(
            f"{sets} holds no set of {frozen.hypotheses[0].id} or another hypothesis of the file: build one"
        )
    if missing := {one.id for one in frozen.hypotheses} - {one.id for _, one, _ in tested}:
        tell(f"{sets} holds no set of {', '.join(sorted(missing))}: not tested, and p is corrected for them, too")
    made = {directory: read_set(directory) for *_, directory in tested}
    pairs = {directory: read_pairs(directory, own) for directory, own in made.items()}
    for _, one, directory in tested:
        with located(str(directory)):
            _check(made[directory], pairs[directory], one.id, frozen, records, is_test_i)
    labelled = labels_of(made, answers)
    given = [GivenSet(one, place, own, made[own], pairs[own], labelled[own]) for place, one, own in tested]
    in_use = [one.in_use for one in given]
    known = zip(ledgers.tried(in_use), ledgers.earlier(in_use, (one.digest for one in records)), strict=True)
    return [replace(one, tried=tried, n_earlier=n) for one, (tried, n) in zip(given, known, strict=True)]


def _check(
    made: ImageSet,
    pairs: PairedSet | None,
    id: str,
    frozen: Frozen,
    records: Sequence[ExampleRecord],
    is_test_i: Bools,
) -> None:
    for what, own, given in (
        ("hypothesis", made.hypothesis, id),
        ("hypotheses with the hash", made.hypotheses, frozen.hash),
        ("SAE", made.sae, frozen.sae),
        ("recording", made.shards, frozen.shards),
    ):
        if own != given:
            raise InputError(f"the set is for the {what} {own}, not for {given}: build a set for that")
    recorded = {one.digest for one in records}
    for one in made.pictures:
        if one.image is None:
            if one.sha256 in recorded:
                raise InputError(f"picture {one.id} was recorded, and the set denies it: build the set again")
        elif one.image >= len(records) or records[one.image].digest != one.sha256:
            raise InputError(f"picture {one.id} is not picture {one.image} of the recording: build the set again")
        elif not is_test_i[one.image]:
            raise InputError(f"picture {one.id} is in the half that proposed the hypotheses: build the set again")
    proposed = {one.digest for one, is_test in zip(records, is_test_i.tolist(), strict=True) if not is_test}
    if pairs is not None and not proposed.isdisjoint(pairs.sources):
        raise InputError("a pair has a picture of the half that proposed the hypotheses: build the set again")
    labels = {one.label for one in made.pictures if one.stratum is not None}
    if labels in ({True}, {False}):
        raise InputError(f"all {len(made.pictures)} pictures of the set have the same label: nothing can be compared")
