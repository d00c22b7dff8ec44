"""The half of the pictures that hypotheses are tested on, and the sets that are chosen from it.

Shape suffixes: i = pictures of the recording, n = pictures that a set is chosen from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, tell
from saev.latents.codes import Codes
from saev.latents.recorded_files import RecordedFiles
from saev.nn import SparseAutoencoder
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis
from saev.probing.hypotheses.ledger import Ledgers
from saev.probing.pictures.folders import NewPicture
from saev.probing.pictures.known import Known
from saev.probing.pictures.units import Units, check_sides
from saev.probing.sets.choosing import Pool, by_label, chosen
from saev.probing.sets.hard import mean_activations, nearest_pictures, neighbours_of, of_neighbours, of_same_class
from saev.probing.sets.image_set import ImageSet, Role
from saev.probing.sets.near_duplicates import Hash, NearDuplicates, difference_hash, near_duplicates, points_of
from saev.probing.sets.sampling import Sample, stratified_sample
from saev.probing.sets.unrecorded import Unrecorded
from saev.ranges import Ints
from saev.shards.format.strict_json import located
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import random_subset
from saev.vit.images.decode import decode

N_HARD: Final = 100
"""Pictures of each role beside the sample."""
MOST_READ: Final = 5_000
"""Pictures whose activations are read, at random."""
_FEWEST: Final = 10


@final
@dataclass(frozen=True)
class Unseen:
    """The test half of a recording, without near-duplicates."""

    frozen: Frozen
    sae: SparseAutoencoder  # The SAE that they are on.
    reader: ShardReader
    known: Known  # What is known of its pictures.
    codes: Codes  # Of the SAE on it.
    units: Units  # What belongs together.
    is_test_i: NDArray[np.bool_]  # The half of each picture.
    duplicates: NearDuplicates  # What is left out.
    hash_of: Callable[[int], Hash]  # Gives the hash of a recorded picture.
    class_column: str | None = None  # The column of the table that says a picture's class; None for the recorded label.
    _means: dict[bytes, NDArray[np.floating[Any]]] = field(default_factory=dict)
    _of_tasks: dict[AttributeName, Unrecorded] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        frozen: Frozen,
        sae: SparseAutoencoder,
        reader: ShardReader,
        known: Known,
        files: RecordedFiles,
        codes: Codes,
        class_column: str | None = None,
    ) -> Self:
        """Divide the pictures as the hypotheses say, and leave near-duplicates out.

        One line for the user counts these.

        Raises:
            InputError: If columns are missing, all pictures fall into one half, they are divided otherwise than when
                the hypotheses were frozen, or a file is gone or damaged.
        """
        units = known.units(frozen.halves.columns)
        is_test_i = frozen.halves.divide(units)

        def hash_of(image: int) -> Hash:
            record = known.records[image]
            return difference_hash(decode(files.read(record), record.path))

        found = near_duplicates(points_of(sae, codes), is_test_i, hash_of)
        if found.left_out_i.any():
            n_proposal, n_another = int(found.of_proposal_i.sum()), int(found.of_another_i.sum())
            tell(
                f"left out of the test half's {int(is_test_i.sum()):,} pictures: {n_proposal:,} near-duplicates of the "
                f"proposal half, {n_another:,} of each other"
            )
        return cls(frozen, sae, reader, known, codes, units, is_test_i, found, hash_of, class_column)

    def asked(self, hypothesis: Hypothesis, n: int, seed: int, ledgers: Ledgers) -> ImageSet:
        """A set of about n pictures that people label.

        Pictures that were tested on for the same attribute are left out, unless that leaves fewer than n, or less than
        half of those on which the latents fire: the rest would be no test half any more. A line counts them.

        Raises:
            InputError: If there are too few pictures; names the hypothesis; or a ledger cannot be read.
        """
        threshold = hypothesis.latents.threshold
        with located(f"hypothesis {hypothesis.id}"):
            pool = self._pool(hypothesis, self.is_test_i & ~self.duplicates.left_out_i)
            digests = [self.known.records[image].digest for image in pool.images_n.tolist()]
            tested_n = np.array(ledgers.tested(hypothesis.attribute.words, digests))
            fires_n = pool.values_n > threshold
            is_enough = (~tested_n).sum() >= n and 2 * (fires_n & ~tested_n).sum() >= fires_n.sum()
            n_left_out = int(tested_n.sum()) if is_enough else 0
            if n_left_out:
                tell(f"{hypothesis.id}: {n_left_out:,} pictures are left out, which were tested on for it before")
            sample = stratified_sample(pool.values_n, threshold, n, seed, ~tested_n | (not n_left_out))
        return self._set(hypothesis, pool, sample, {}, {"kind": "range", "n_pictures": n, "tested": n_left_out}, seed)

    def labelled(self, hypothesis: Hypothesis, n: int, seed: int) -> ImageSet:
        """A set of pictures whose labels are known, at most n in its sample.

        Raises:
            InputError: If the attribute is not known, or one of the halves has too few pictures with or without it;
                names the hypothesis.
        """
        name = hypothesis.attribute
        with located(f"hypothesis {hypothesis.id}"):
            if self.known.attributes is None:
                raise InputError(f"nothing is known of {name.source} {name.name!r}: give labels or a table, or --blind")
            y_i = self.known.attributes.labels_of(name.source, name.name)
            new = self._new(hypothesis.attribute, y_i)
            y_i = np.where(self.duplicates.left_out_i, -1, y_i).astype(np.int8)
            more_y = [one.positive for one in new.kept]
            check_sides(f"{name.source} {name.name!r}", y_i, self.units, self.is_test_i, more=more_y)
            pool = self._pool(hypothesis, self.is_test_i & (y_i >= 0), y_i, len(new.kept))
            neighbours = neighbours_of(self.sae, hypothesis.latents.any)
            more = self._hard(hypothesis, pool, neighbours, seed)
            pool = pool.with_more(new.kept, len(self.known.records))
            sample = by_label(pool, n, seed)
        recipe = {
            "kind": "labelled",
            "n_pictures": n,
            "attribute": {"source": name.source, "name": name.name},
            "class_column": self.class_column,
            "neighbours": [*neighbours],
            "roles": {role: len(places) for role, places in more.items()},
            "unrecorded": new.to_dict(),
        }
        return self._set(hypothesis, pool, sample, more, recipe, seed, new.kept)

    def _new(self, attribute: AttributeName, y_i: NDArray[np.int8]) -> Unrecorded:
        """The pictures of a task of folders that were never recorded, read once for all hypotheses on it."""
        own = [one for one in self.known.tasks if (attribute.source, attribute.name) == ("folders", one.name)]
        new = own[0].new if own else ()
        if attribute not in self._of_tasks:
            seed, recorded = self.frozen.halves.seed, np.flatnonzero(y_i >= 0)
            self._of_tasks[attribute] = Unrecorded.of(new, seed, recorded, self.hash_of)
        return self._of_tasks[attribute]

    def _pool(
        self,
        hypothesis: Hypothesis,
        is_in_i: NDArray[np.bool_],
        y_i: NDArray[np.int8] | None = None,
        n_more: int = 0,
    ) -> Pool:
        images = np.flatnonzero(is_in_i)
        if len(images) + n_more < _FEWEST:
            raise InputError(
                f"the test half has {len(images) + n_more} pictures for it, {_FEWEST} are needed: record or label more"
            )
        x_nl = hypothesis.pooled(self.codes, images, np.array(hypothesis.latents.all))
        groups = [self.units.names[group] for group in self.units.group_i[images].tolist()]
        return Pool(images, hypothesis.latents.values(x_nl), groups, None if y_i is None else y_i[images] == 1)

    def _hard(self, hypothesis: Hypothesis, pool: Pool, neighbours: Mapping[int, float], seed: int) -> dict[Role, Ints]:
        """Places of pictures that do not fit the claim, by role; roles of which there are none are not there."""
        assert pool.has_n is not None
        if pool.has_n.all() or not pool.has_n.any():
            return {}
        fits_n = pool.has_n if hypothesis.claim == "fires on" else ~pool.has_n
        read = random_subset(len(pool.images_n), MOST_READ, seed)
        found: dict[Role, Ints] = {}
        if not self._is_class(hypothesis.attribute):
            class_n = self.known.classes(self.class_column)[pool.images_n]
            found["same-class"] = of_same_class(fits_n, class_n, N_HARD, np.random.default_rng(seed))
        if fits_n[read].any():
            found["hard-near"] = read[nearest_pictures(fits_n[read], self._means_of(pool.images_n[read]), N_HARD)]
        pooled_nl = hypothesis.pooled(self.codes, pool.images_n, np.array([*neighbours], dtype=np.int64))
        found["hard-neighbour"] = of_neighbours(fits_n, pooled_nl, [*neighbours.values()], N_HARD)
        return {role: places for role, places in found.items() if len(places)}

    def _is_class(self, name: AttributeName) -> bool:
        """Whether an attribute is the class itself, so that nothing is of the same class and differs in it."""
        if self.class_column is None:
            return name.source == "label"
        return name.source == "metadata" and name.name.partition("=")[0] == self.class_column

    def _means_of(self, images: Ints) -> NDArray[np.floating[Any]]:
        """Mean activations of pictures, read once for all hypotheses of which the same ones are known."""
        key = images.tobytes()
        if key not in self._means:
            self._means[key] = mean_activations(self.reader, images)
        return self._means[key]

    def _set(
        self,
        hypothesis: Hypothesis,
        pool: Pool,
        sample: Sample,
        more: Mapping[Role, Ints],
        recipe: Mapping[str, Any],
        seed: int,
        new: Sequence[NewPicture] = (),
    ) -> ImageSet:
        left_out = {
            "near_proposal": int(self.duplicates.of_proposal_i.sum()),
            "near_each_other": int(self.duplicates.of_another_i.sum()),
        }
        return ImageSet(
            hypothesis=hypothesis.id,
            hypotheses=self.frozen.hash,
            sae=self.frozen.sae,
            shards=self.frozen.shards,
            text=hypothesis.text,
            recipe={**recipe, "left_out": left_out},
            seed=seed,
            strata=sample.strata,
            pictures=chosen(pool, sample, more, self.known.records, new, np.random.default_rng([seed, 1])),
        )
