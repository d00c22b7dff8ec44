"""What is measured beside a hypothesis, of which pictures, and which of it."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from saev.errors import InputError
from saev.probing.statistics.arrays import Bools, Floats, Integers, as_labels, as_weights, same_length

N_PICTURES: Final = 2000
SPARSE_KS: Final = (1, 2, 5, 20)
COMPARED_KS: Final = (5,)


@final
@dataclass(frozen=True)
class Control:
    """How well something else agrees with the attribute, on pictures that neither chose it nor its threshold.

    Args:
        name: What kind of thing it is.
        mcc: At the threshold; within a confounder, where one is given.
        low: Lower end of the 95 % interval of the MCC.
        high: Upper end.
        auroc: Of its values, on all pictures together.
        average_precision: Likewise; chance is the prevalence.
        note: Which one it is, and out of how many it was chosen.
    """

    name: str
    mcc: float
    low: float
    high: float
    auroc: float
    average_precision: float
    note: str


@final
@dataclass(frozen=True)
class LabelledPictures:
    """Recorded pictures whose label is known.

    Shape suffix: i = these pictures.

    Args:
        images: (i,) their numbers in the recording, in any order.
        y_i: (i,) bool, their labels. For the claim that a latent does not fire, the turned ones.
        group_i: (i,) numbers of the units that no split parts.
        weights_i: (i,) for how many pictures each stands; None for 1.
        stratum_i: (i,) strata that the sample was drawn from; None for one.
        is_by_label: Whether these strata were made by labels.
        confounder_i: (i,) values within which an MCC is measured; None for all together.

    Raises:
        InputError: If lengths differ, or one of the labels is missing.
    """

    images: Integers
    y_i: Bools
    group_i: Integers
    weights_i: Floats | None = None
    stratum_i: Integers | None = None
    is_by_label: bool = False
    confounder_i: Integers | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        same_length(n, labels=as_labels(self.y_i), groups=self.group_i, weights=as_weights(self.weights_i, n))
        if self.y_i.all() or not self.y_i.any():
            raise InputError(
                f"controls: {int(self.y_i.sum())} of {n} pictures have the attribute: both kinds are needed"
            )

    def take(self, places: Integers, weights_i: Floats) -> "LabelledPictures":
        """Some of them, with other weights."""
        return LabelledPictures(self.images[places], self.y_i[places], self.group_i[places], weights_i)

    def balanced(self, most: int, rng: np.random.Generator) -> "LabelledPictures":
        """All, or a random choice of at most so many in which the rarer label has up to half of them.

        Weights say for how many pictures of its label each stands, so that an MCC is that of all.

        >>> one = LabelledPictures(np.arange(10), np.arange(10) < 2, np.arange(10))
        >>> some = one.balanced(6, np.random.default_rng(0))
        >>> some.y_i.tolist(), some.weights_i.tolist()
        ([True, True, False, False, False, False], [1.0, 1.0, 2.0, 2.0, 2.0, 2.0])
        """
        n, n_positive = len(self.y_i), int(self.y_i.sum())
        if n <= most:
            return self.take(np.arange(n), np.ones(n))
        n_taken = min(n_positive, max(most // 2, most - (n - n_positive)))
        sides = [(np.flatnonzero(self.y_i), n_taken), (np.flatnonzero(~self.y_i), most - n_taken)]
        places = np.sort(np.concatenate([rng.choice(side, size, replace=False) for side, size in sides]))
        weight = {True: n_positive / n_taken, False: (n - n_positive) / (most - n_taken)}
        return self.take(places, np.where(self.y_i[places], weight[True], weight[False]))


@final
@dataclass(frozen=True)
class ControlTask:
    """One attribute.

    Args:
        proposal: Pictures of the proposal half: they choose.
        test: Pictures of the other half: they judge.

    Raises:
        InputError: If a picture is in both.
    """

    proposal: LabelledPictures
    test: LabelledPictures

    def __post_init__(self) -> None:
        if len(both := np.intersect1d(self.proposal.images, self.test.images)):
            raise InputError(f"controls: {len(both)} pictures are in both halves, such as number {both[0]}")


@final
@dataclass(frozen=True)
class ControlOptions:
    """Which controls are measured, and how. 0, False or nothing leaves one out; the SAEs take most of the time.

    Args:
        n_pictures: Pictures of the proposal half that choose, at most.
        n_directions: Random directions.
        n_components: Principal components.
        n_centres: Centres of k-means.
        neurons: Raw neurons.
        own_latents: The SAE's own best latent, and its sparse probes.
        linear: The difference of class means, and the linear probe.
        random_sae: An SAE with random weights.
        sparse_ks: How many of the SAE's own latents the sparse probes have.
        compared_ks: The same of neurons, and of latents of the SAE with random weights.
        n_draws: Draws of the bootstrap.

    Raises:
        InputError: If a number is out of range.
    """

    n_pictures: int = N_PICTURES
    n_directions: int = 256
    n_components: int = 128
    n_centres: int = 256
    neurons: bool = True
    own_latents: bool = True
    linear: bool = True
    random_sae: bool = True
    sparse_ks: tuple[int, ...] = SPARSE_KS
    compared_ks: tuple[int, ...] = COMPARED_KS
    n_draws: int = 2000

    def __post_init__(self) -> None:
        if (
            min(self.n_directions, self.n_components, self.n_centres) < 0
            or min((*self.sparse_ks, *self.compared_ks), default=1) < 1
        ):
            raise InputError("controls: numbers of directions, components and centres are 0 or more, k is 1 or more")
        if self.n_pictures < 4 or self.n_draws < 1:
            raise InputError(
                f"controls: n_pictures={self.n_pictures} and n_draws={self.n_draws}: at least 4 pictures and a draw"
            )
