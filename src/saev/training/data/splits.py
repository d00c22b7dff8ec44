"""Tokens of a data set for training, validation and testing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from saev.artifacts import TrainingSet
from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.tokens import TokenSelection, random_subset
from saev.training.data.image_choice import ImageChoice


@final
@dataclass(frozen=True)
class Split:
    """A data set and the choice of its images."""

    everything: TokenSelection  # The tokens of all images.
    images: ImageChoice  # Which of them are used, and which of these are held out.

    def training(self) -> TokenSelection:
        """The tokens that are trained on."""
        return only(self.everything, self.images.trained_on)

    def used(self) -> TokenSelection:
        """The tokens of all images that are used."""
        return only(self.everything, self.images.chosen)

    def held_out(self, share: float) -> TokenSelection:
        """The tokens of a share of the images that are held out, of one at least."""
        return only(self.everything, self.images.some_held_out(max(1, int(self.images.n_held_out * share))))

    def provenance(self) -> TrainingSet:
        """For the SAE's config.json."""
        return TrainingSet(self.everything.reader.recording.content_id, self.images.held_out)


def held_out_tokens(splits: Sequence[Split], n_tokens: int) -> list[TokenSelection]:
    """At most so many tokens of the images that are held out, unless that is less than an image of each data set."""
    splits = [split for split in splits if split.images.n_held_out]
    total = sum(split.images.n_held_out * len(split.everything.positions) for split in splits)
    return [split.held_out(min(1.0, n_tokens / total)) for split in splits]


def some_tokens(tokens: TokenSelection, n_tokens: int, seed: int) -> TokenSelection:
    """At most so many tokens of a random choice of images, and one image at least."""
    n_examples = max(1, n_tokens // len(tokens.positions))
    return tokens.take(random_subset(len(tokens.examples), n_examples, seed))


def only(tokens: TokenSelection, examples: Ints) -> TokenSelection:
    """Those of some images, ascending.

    Raises:
        InputError: If none of them has a token.
    """
    found = tokens.take(np.flatnonzero(np.isin(tokens.examples, examples)))
    if not len(found.examples):
        raise InputError(f"{tokens.paths}: of {len(examples)} chosen images there is no token left: choose more images")
    return found
