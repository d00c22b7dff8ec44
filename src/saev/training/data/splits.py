"""Which images and tokens of a data set are trained on, and which are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

import numpy as np

from saev.artifacts import HeldOut, TrainingSet
from saev.errors import InputError
from saev.files import UnreadableFile, read_regular
from saev.ranges import Ints
from saev.shards.format.examples import EXAMPLES_FILE
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection, random_subset

MAX_LIST_BYTES: Final = 2**30
"""Upper bound of a list of images: some ten million lines."""


@final
@dataclass(frozen=True)
class Split:
    """The tokens of a data set, and which of its images are used and held out."""

    everything: TokenSelection  # The tokens of all images.
    chosen: Ints  # The images that are used, held out or not, by their ascending numbers.
    n_held_out: int  # How many of these are held out: those that `random_subset` gives with the seed.
    seed: int  # Fixes them.

    @classmethod
    def of(cls, tokens: TokenSelection, share: float, examples: Path | None, val_share: float, seed: int) -> Self:
        """A random share of all images, or those that a file lists; and a share of these to validate on.

        Raises:
            InputError: If the file lists no images of the data set.
        """
        n = tokens.reader.n_examples
        if examples is not None:
            chosen = listed_images(examples, tokens.reader)
        else:
            chosen = random_subset(n, max(1, round(n * share)), seed)
        # At least one where the share is positive, and at least one image is left to train on.
        n_held_out = min(max(round(len(chosen) * val_share), int(val_share > 0)), len(chosen) - 1)
        return cls(tokens, chosen, n_held_out, seed)

    def training(self) -> TokenSelection:
        """The tokens that are trained on."""
        return self.everything.among(
            np.setdiff1d(self.chosen, self._some_held_out(self.n_held_out), assume_unique=True)
        )

    def used(self) -> TokenSelection:
        """The tokens of all images that are used."""
        return self.everything.among(self.chosen)

    def held_out(self, share: float) -> TokenSelection:
        """The tokens of a share of the images that are held out, of one at least."""
        return self.everything.among(self._some_held_out(max(1, int(self.n_held_out * share))))

    def provenance(self) -> TrainingSet:
        """For the SAE's config.json."""
        reader, held_out = self.everything.reader, HeldOut(self.n_held_out, self.seed)
        if len(self.chosen) < reader.n_examples and self.n_held_out:
            held_out = HeldOut(self.n_held_out, None, tuple(self._some_held_out(self.n_held_out).tolist()))
        return TrainingSet(reader.recording.content_id, held_out)

    def _some_held_out(self, n: int) -> Ints:
        """So many of the images that are held out, or all of them: more contain fewer."""
        return self.chosen[random_subset(len(self.chosen), min(n, self.n_held_out), self.seed)]


def listed_images(path: Path, reader: ShardReader) -> Ints:
    """The numbers, ascending, of the images that a text file lists, one a line: by number, or by relative path.

    Empty lines are passed over.

    Raises:
        InputError: If the file cannot be read, names an image that is not there or one twice, or none at all.
    """
    try:
        text = read_regular(path, MAX_LIST_BYTES).decode("utf-8", "surrogateescape")
    except UnreadableFile as error:
        raise InputError(f"{error}: give a text file of images") from error
    # Not splitlines(): a file name may hold what it takes for the end of a line.
    lines = {line: name.removesuffix("\r") for line, name in enumerate(text.split("\n"), 1) if name.strip()}
    by_name = reader.manifest.has_names and any(not name.strip().isdecimal() for name in lines.values())
    find = {record.path: number for number, record in enumerate(reader.examples())} if by_name else {}
    seen: dict[int, int] = {}
    for line, name in lines.items():
        number = int(name) if name.strip().isdecimal() and len(name) < 20 else find.get(name, -1)
        if not 0 <= number < reader.n_examples:
            raise InputError(
                f"{path}: line {line}: {name[:200]!r} is no image of {reader.path}: give a relative path as in its "
                f"{EXAMPLES_FILE}, or a number from 0 to {reader.n_examples - 1}"
            )
        if number in seen:
            raise InputError(f"{path}: line {line}: {name[:200]!r} stands in line {seen[number]}, too: leave one out")
        seen[number] = line
    if not seen:
        raise InputError(f"{path}: lists no image: give one a line")
    return np.sort(np.fromiter(seen, dtype=np.int64))


def held_out_tokens(splits: Sequence[Split], n_tokens: int) -> list[TokenSelection]:
    """At most so many tokens of the images that are held out, unless that is less than an image of each data set."""
    splits = [split for split in splits if split.n_held_out]
    total = sum(split.n_held_out * len(split.everything.positions) for split in splits)
    return [split.held_out(min(1.0, n_tokens / total)) for split in splits]


def some_tokens(tokens: TokenSelection, n_tokens: int, seed: int) -> TokenSelection:
    """At most so many tokens of a random choice of images, and one image at least."""
    n_examples = max(1, n_tokens // len(tokens.positions))
    return tokens.take(random_subset(len(tokens.examples), n_examples, seed))
