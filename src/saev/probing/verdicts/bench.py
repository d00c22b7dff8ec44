"""Hypotheses on their sets, one after the other, from codes to what is measured.

Shape suffixes: i = pictures of the proposal half, k = pictures of a set, l = latents, m = random latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.proposal_half import ProposalHalf
from saev.probing.sets.image_set import ImageSet
from saev.probing.statistics.arrays import Floats, Integers
from saev.probing.verdicts.all_codes import AllCodes
from saev.probing.verdicts.confounders import confounding, fires_by_value
from saev.probing.verdicts.given_sets import GivenSet
from saev.probing.verdicts.judged import Measured, measured
from saev.probing.verdicts.matched import FEWEST, MatchedLatents, matched_latents
from saev.probing.verdicts.result import Matched
from saev.probing.verdicts.values import SetValues
from saev.progress import progress_bar
from saev.shards.format.strict_json import located

QUANTILE: Final = 0.95


@final
@dataclass(frozen=True)
class Bench:
    """Where hypotheses are measured, and what is looked at for all of them."""

    half: ProposalHalf  # The proposal half.
    codes: AllCodes  # Of the recording, and of pictures that were never recorded.
    stratum: Integers | None
    """Of all pictures of the recording, -1 where it is not known, if labels change places within strata."""

    def measure(self, tested: Sequence[GivenSet], n_permutations: int, seed: int) -> list[Measured]:
        """What is measured of each, in their order.

        Args:
            tested: Hypotheses and their sets.
            n_permutations: Permutations of labels.
            seed: Of all chance; each hypothesis has its own, whichever others are tested.

        Raises:
            InputError: As `measured`; begins with the hypothesis.
        """
        found: dict[int, Measured] = {}
        # Those that pool in the same way share the pooled values, of which one is held at a time.
        for way in dict.fromkeys(_way(one.hypothesis) for one in tested):
            own = [one for one in tested if _way(one.hypothesis) == way]
            pooled_il = own[0].hypothesis.pooled(self.codes.recorded, self.half.images, progress=True)
            for one in progress_bar(own, desc="testing", unit=" hypotheses"):
                rng = np.random.default_rng([seed, one.place])
                with located(f"hypothesis {one.hypothesis.id}"):
                    found[one.place] = self._one(one, pooled_il, n_permutations, rng)
        return [found[one.place] for one in tested]

    def _one(self, given: GivenSet, pooled_il: csc_array, n_permutations: int, rng: np.random.Generator) -> Measured:
        hypothesis, made, labelled = given.hypothesis, given.made, given.labelled
        latents, known = hypothesis.latents, self.half.known
        values_i = latents.values(pooled_il[:, list(latents.all)])
        matched = matched_latents(pooled_il, values_i, latents.threshold, latents.all, rng)
        pictures = [(one.image, one.sha256) for one in made.pictures]
        pooled_kl = self.codes.pooled(hypothesis, [*latents.all, *matched.latents.tolist()], pictures)
        own_kl, random_km = np.split(pooled_kl, [len(latents.all)], axis=1)
        values = SetValues(
            hypothesis, made, latents.values(own_kl), labelled.y_k, labelled.weights_k(made),
            np.zeros(len(made.pictures), np.int64) if self.stratum is None else _of_set(made, self.stratum),
            np.unique([one.group for one in made.pictures], return_inverse=True)[1].astype(np.int64),
        )  # fmt: skip
        if values.n_no_stratum and not values.used_k.any():
            raise InputError("of no labelled picture is the stratum known: leave out strata, or complete the column")
        if not values.used_k.any():
            raise InputError("no picture of the sample has a label: label some")

        guesses = {
            name: fires_by_value(values_i, latents.threshold, value[self.half.images], _of_set(made, value))
            for name, value in confounding(known.labels, known.metadata, hypothesis.attribute)
        }
        return measured(values, _reached(matched, random_km, values), guesses, n_permutations, rng)


def _reached(latents: MatchedLatents, random_km: Floats, values: SetValues) -> Matched | None:
    """What random latents reach on a set; nothing where they are too few."""
    if len(latents.latents) < FEWEST:
        return None
    used_k, sign = values.used_k, 1 if values.hypothesis.claim == "fires on" else -1
    of_used = (values.y_k[used_k] == 1, values.weights_k[used_k], values.stratum_k[used_k])
    quantile = float(np.quantile(sign * latents.mcc(random_km[used_k], *of_used), QUANTILE))
    return Matched(len(latents.latents), quantile, latents.frequency, latents.own_frequency)


def _way(hypothesis: Hypothesis) -> tuple[str, str, float]:
    return hypothesis.tokens, hypothesis.pooling, hypothesis.count_above


def _of_set(made: ImageSet, value: Integers) -> Integers:
    """Numbers (k,) of what is known of a recording's pictures; -1 of pictures that were never recorded."""
    return np.array([-1 if one.image is None else value[one.image] for one in made.pictures], dtype=np.int64)
