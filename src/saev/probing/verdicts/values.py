"""What the latents of a hypothesis do on the pictures of its set, and what is known of these.

Shape suffix: k = pictures of the set.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.sets.image_set import ImageSet
from saev.probing.statistics.arrays import Bools, Floats, Integers


@final
@dataclass(frozen=True)
class SetValues:
    """A hypothesis on the pictures of its set."""

    hypothesis: Hypothesis
    made: ImageSet
    a_k: Floats  # (k,) values of its latents; they fire above its threshold.
    y_k: NDArray[np.int8]  # (k,) int8: 1 has the attribute, 0 has not, -1 not known.
    weights_k: Floats  # (k,) for how many pictures each stands; 0 for those outside the sample.
    stratum_k: Integers  # (k,) confounders: labels change places among pictures of one number; -1 not known.
    group_k: Integers  # (k,) numbers of the units that no resampling parts.

    @property
    def fires_k(self) -> Bools:
        """(k,) whether the latents fire."""
        found: Bools = self.a_k > self.hypothesis.latents.threshold
        return found

    @property
    def used_k(self) -> Bools:
        """(k,) the pictures that the effect is measured on: of the sample, with a label and a stratum."""
        return self._labelled_k & (self.stratum_k >= 0)

    @property
    def n_no_stratum(self) -> int:
        """Pictures of the sample with a label that are left out, because nobody knows their stratum."""
        return int(np.count_nonzero(self._labelled_k & (self.stratum_k < 0)))

    @property
    def _labelled_k(self) -> Bools:
        found: Bools = (self.weights_k > 0) & (self.y_k >= 0)
        return found

    @property
    def drawn_from_k(self) -> Integers:
        """(k,) the stratum that each was drawn from; -1 outside the sample."""
        return np.array([-1 if one.stratum is None else one.stratum for one in self.made.pictures], dtype=np.int64)

    @property
    def is_by_label(self) -> bool:
        """Whether the strata that the sample was drawn from were made by labels."""
        return any(stratum.label is not None for stratum in self.made.strata)

    def claimed(self, fires_k: Bools) -> Bools:
        """Firing turned such that it goes with the attribute if the claim holds."""
        return fires_k if self.hypothesis.claim == "fires on" else ~fires_k
