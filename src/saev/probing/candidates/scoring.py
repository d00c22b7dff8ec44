"""Every latent against every attribute, on the pictures of the proposal half.

Shape suffixes: i = pictures of the proposal half, l = latents, j = attributes, those that are numbers last.
"""

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.pictures.attributes import Attribute, Attributes
from saev.probing.statistics.all_latents import LatentScores, correlations, latent_scores
from saev.probing.statistics.arrays import Bools, Floats, Integers, equal_ones
from saev.probing.statistics.correction import benjamini_hochberg
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.max_t import max_t
from saev.probing.statistics.of_units import observations, p_of_labels, p_of_numbers
from saev.progress import progress_bar

Q_LEVEL: Final = 0.05


@final
@dataclass(frozen=True)
class Scored:
    """The proposal half and what was found on it."""

    pooled_il: csc_array  # Pooled values of the latents.
    group_i: Integers  # The unit of each picture.
    attributes: Attributes  # The binary ones and the numbers, of these pictures alone.
    scores: LatentScores  # Of the binary ones.
    r_lj: Floats  # Correlations with the numbers, only those.
    effect_lj: NDArray[np.float32]
    """What candidates are ranked by: the MCC of the binary ones that is farthest from 0, r of the others."""
    p_lj: Floats  # Two-sided; NaN for latents that never fire.
    q_lj: Floats  # `benjamini_hochberg` of all of these.

    @classmethod
    def of(cls, pooled_il: csc_array, attributes: Attributes, group_i: Integers) -> "Scored":
        """Score every latent for every attribute.

        Args:
            pooled_il: Pooled values, none below 0.
            attributes: Of these pictures.
            group_i: The unit of each picture.

        Raises:
            InputError: If no latent fires on any of these pictures.
        """
        fires_l: Bools = np.diff(pooled_il.indptr) > 0
        if not fires_l.any():
            raise InputError("no latent fires on any picture of the proposal half: is this the SAE of these shards?")
        n_pairs = pooled_il.shape[1] * len(attributes.binary)
        with progress_bar(total=n_pairs, desc="scoring", unit=" pairs", unit_scale=True) as bar:
            scores = latent_scores(pooled_il, attributes.y_ij, bar.update)
        numbers = correlations(pooled_il, attributes.x_ij)
        if len(np.unique(group_i)) < len(group_i):
            p_lj = np.concatenate(
                [
                    p_of_labels(pooled_il, attributes.y_ij, group_i),
                    p_of_numbers(pooled_il, attributes.x_ij, group_i),
                ],
                axis=1,
            )
        else:
            p_lj = np.concatenate([scores.p, numbers.p], axis=1).astype(np.float64)
        p_lj[~fires_l] = np.nan
        is_low_lj = -scores.lowest_mcc > scores.mcc
        effect_lj = np.where(is_low_lj, scores.lowest_mcc, scores.mcc)
        effect_lj = np.concatenate([effect_lj, numbers.r.astype(np.float32)], axis=1)
        return cls(
            pooled_il, group_i, attributes, scores, numbers.r, effect_lj, p_lj, benjamini_hochberg(np.minimum(p_lj, 1))
        )

    @property
    def every(self) -> list[Attribute]:
        """All attributes (j,)."""
        return [*self.attributes.binary, *self.attributes.numeric]

    def labels(self, attribute: int) -> NDArray[np.int8]:
        """(i,) of a binary attribute."""
        found: NDArray[np.int8] = self.attributes.y_ij[:, attribute]
        return found

    def survives(self) -> Bools:
        """(l, j) whether q is small enough for a draft."""
        return self.q_lj <= Q_LEVEL  # NaN is not

    def best(self) -> Integers:
        """(j,) the latent of each attribute whose effect is farthest from 0, of those that survive where some do."""
        size_lj, survives_lj = np.abs(self.effect_lj), self.survives()
        none_j = ~survives_lj.any(0)
        found: Integers = np.where(survives_lj | none_j, size_lj, -1).argmax(0)
        return found

    def wanted(self) -> list[int]:
        """The binary attributes for which a latent survives."""
        return np.flatnonzero(self.survives()[:, : len(self.attributes.binary)].any(0)).tolist()

    def class_mcc(self, class_i: Integers, column: str | None = None) -> Floats:
        """(j,) the best MCC of each attribute's best latent once a picture's value is the mean of its class.

        NaN for the classes themselves, for numbers, and where pictures have fewer than two classes. A latent that is a
        proxy of a class does as well without its own values.

        Args:
            class_i: The class of each picture of the proposal half, -1 for none.
            column: Of the table that says it; None for the recorded labels.
        """
        found = np.full(len(self.every), np.nan)
        known_i = np.flatnonzero(class_i >= 0)
        if len(np.unique(class_i[known_i])) < 2:
            return found
        size_c = np.bincount(class_i[known_i])
        for j, latent in enumerate(self.best()[: len(self.attributes.binary)].tolist()):
            attribute = self.attributes.binary[j]
            if (attribute.source, attribute.family) == (("metadata", column) if column else ("label", "label")):
                continue
            value_i = self.pooled_il[:, [latent]].toarray()[known_i, 0]
            mean_c = np.bincount(class_i[known_i], weights=value_i) / np.maximum(size_c, 1)
            scores = latent_scores(csc_array(mean_c[class_i[known_i]][:, None]), self.labels(j)[known_i][:, None])
            found[j] = float((scores.mcc if self.effect_lj[latent, j] > 0 else -scores.lowest_mcc)[0, 0])
        return found

    def p_of_best(self, n: int, seed: int) -> Floats:
        """(j,) p of the best latent of each binary attribute, corrected for having looked at all latents and signs.

        By `max_t`; NaN where none survives, and for numbers. Attributes that divide no unit, known for the same
        pictures, are permuted together, the others one by one.

        Args:
            n: Permutations of each.
            seed: Of the permutations.
        """
        rng, found = np.random.default_rng(seed), np.full(len(self.every), np.nan)
        best, wanted = self.best(), self.wanted()
        tasks: list[list[int]] = []
        for unit_i, places in equal_ones(observations(self.labels(j), self.group_i) for j in wanted):
            columns, known_i = [wanted[place] for place in places], unit_i >= 0
            divides_none = len(np.unique(self.group_i[known_i])) == len(np.unique(unit_i[known_i]))
            tasks += [columns] if divides_none else [[j] for j in columns]
        with progress_bar(total=n * len(tasks), desc="permuting", unit=" times") as bar:
            for own in tasks:
                known = np.flatnonzero(self.labels(own[0]) >= 0)
                first = Exchange.of(self.labels(own[0])[known], self.group_i[known])
                of_unit = known[np.unique(first.unit_i, return_index=True)[1]]
                sign_j = np.sign(self.effect_lj[best[own], own])
                exchanges = [replace(first, y_u=self.labels(j)[of_unit] == 1) for j in own]
                found[own] = max_t(self.pooled_il[known], exchanges, best[own], sign_j, n, rng, bar.update)
        return found
