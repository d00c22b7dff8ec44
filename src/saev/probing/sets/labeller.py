r"""A CLIP labels the pictures of claims in words, and knows nothing of what latents do on them.

With unit embeddings p of a picture, w of a phrase (the mean over the prompts) and the mean :math:`\bar w` of the words
of a vocabulary, a picture's similarity and its standard score are

.. math:: s = p \cdot (w - \bar w), \qquad z = (s - m) / d,

with m the median of s over pictures of the proposal half, and d the distance from it to their 15.9 % quantile (one
standard deviation of a normal distribution). Both are those of pictures without the phrase as long as these are the
most, because pictures with it lie above. A picture has the phrase where z exceeds `CUT`. What all phrases share is
taken off with the mean; how a phrase lies to pictures in general, as the namer does, with m and d.

Shape suffixes: n = pictures, v = phrases, e = width of the common space.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from saev.device import chosen_device
from saev.errors import InputError, tell
from saev.latents.naming.kept_words import kept_words
from saev.latents.naming.names_file import ClipId
from saev.latents.naming.vocabulary import read_vocabulary, words_digest
from saev.latents.naming.words import embed_phrases, prompts
from saev.latents.recorded_files import RecordedFiles
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.pictures.attributes import Attribute, Attributes
from saev.probing.pictures.units import check_sides
from saev.probing.sets.files import View
from saev.probing.sets.image_set import ImageSet
from saev.probing.sets.labelling import LABELLER, Labelling
from saev.probing.sets.unseen import Unseen
from saev.probing.statistics.arrays import Floats
from saev.progress import progress_bar
from saev.ranges import Ints
from saev.shards.tokens import random_subset
from saev.vit.images.decode import decode
from saev.vit.refusals import Options
from saev.vit.text import PICTURES_AT_ONCE, Clip, load_clip

CUT: Final = 2.0
N_PROPOSAL: Final = 2_000
"""Pictures of the proposal half that say what is usual, at most."""
N_TEST: Final = 5_000
"""Pictures of the test half that are labelled, at most."""
_BELOW: Final = 0.1587  # Of a normal distribution, this share lies more than a standard deviation below the median.
_OPTIONS: Final = Options("--labeller", "--labeller_weights")


@final
class Labeller:
    """A CLIP and the words whose mean embedding is taken off those of phrases.

    Args:
        clip: Embeds pictures and phrases.
        vocabulary: The words.
    """

    def __init__(self, clip: Clip, vocabulary: Sequence[str]) -> None:
        self.clip = clip
        self._vocabulary = vocabulary

    @classmethod
    def load(cls, clip: str, weights: str | None, vocabulary: str | Path | None, device: str | None) -> Self:
        """A CLIP or SigLIP of open_clip with a text tower, and a list of words.

        Args:
            clip: Its name, such as ViT-B-32/openai.
            weights: Its weights from a file instead of the network.
            vocabulary: File of the words, one a line; by default those that come with saev.
            device: Where to compute; by default a GPU if there is one.

        Raises:
            InputError: If the CLIP or the vocabulary cannot be had, or one of them is of no use.
        """
        return cls(
            load_clip(clip, weights, _OPTIONS).to(chosen_device(device)),
            read_vocabulary(None if vocabulary is None else Path(vocabulary)),
        )

    def check(self, hypotheses: Sequence[Hypothesis]) -> None:
        """Check whether the CLIP reads claims whole.

        Raises:
            InputError: For the first one that it does not.
        """
        for one in hypotheses:
            if any(self.clip.is_cut_off(text) for text in prompts([one.attribute.name])):
                raise InputError(
                    f"hypothesis {one.id}: {self.clip.ckpt} does not read so long a claim whole: shorten it"
                )

    def sets(
        self, half: Unseen, hypotheses: Sequence[Hypothesis], files: RecordedFiles, view: View, n: int, seed: int
    ) -> dict[str, ImageSet]:
        """Sets of claims in words, by the ids of the hypotheses, with labels.

        Pictures of both halves are labelled, at random where there are many. A claim that fits too few of them, or too
        few not, has no set, and a line says so.

        Args:
            half: The test half, and what is known of all pictures.
            hypotheses: One or more.
            files: Of the pictures.
            view: What the ViT saw of a picture, which the CLIP sees, too.
            n: Of the sample of each set, at most.
            seed: Of the choice of pictures.

        Raises:
            InputError: If a picture is gone or another one by now, all fit a phrase equally, no claim has a set, or as
                `Unseen.labelled`.
        """
        phrases = list(dict.fromkeys(one.attribute.name for one in hypotheses))
        proposal, test = np.flatnonzero(~half.is_test_i), np.flatnonzero(half.is_test_i & ~half.duplicates.left_out_i)
        proposal, test = (i[random_subset(len(i), most, seed)] for i, most in ((proposal, N_PROPOSAL), (test, N_TEST)))
        images = np.concatenate([proposal, test])
        similarity_nv = self._similarities(images, phrases, half, files, view)
        found, without = {}, []
        for one in hypotheses:
            phrase, y_i = one.attribute.name, np.full(len(half.is_test_i), -1, dtype=np.int8)
            how, y_i[images] = self._labelled(phrase, similarity_nv[:, phrases.index(phrase)], len(proposal))
            try:
                check_sides(f"{one.id}, {phrase!r}", y_i, half.units, half.is_test_i)
            except InputError as error:
                without.append(str(error))
                continue
            # One at a time: a label of each picture for each of thousands of names is much memory.
            own = Attributes([Attribute("words", "words", phrase)], y_i[:, None], [], np.empty((len(y_i), 0)))
            made = replace(half, known=replace(half.known, attributes=own)).labelled(one, n, seed)
            found[one.id] = replace(made, recipe={**made.recipe, LABELLER: how.to_dict()})
        if not found:
            raise InputError(f"{self.clip.ckpt} cannot label the pictures: {without[0]}")
        for why in without:
            tell(f"no set by {self.clip.ckpt} for {why}")
        return found

    def _labelled(self, phrase: str, similarity_n: Floats, n_proposal: int) -> tuple[Labelling, NDArray[np.bool_]]:
        """How a phrase is labelled, and the labels; the first pictures are those of the proposal half."""
        median, low = np.quantile(similarity_n[:n_proposal], (0.5, _BELOW))
        spread = float(median - low)
        if not spread > 0:
            raise InputError(f"{self.clip.ckpt} finds that {phrase!r} fits all pictures equally: give another labeller")
        has_n = similarity_n > median + CUT * spread
        labelling = Labelling(
            clip=ClipId(self.clip.ckpt, self.clip.digest),
            tower_digest=self.clip.tower_digest,
            prompts=tuple(prompts([phrase])),
            vocabulary=words_digest(self._vocabulary),
            cut=CUT,
            median=float(median),
            spread=spread,
            n_proposal=n_proposal,
            proposal_rate=float(has_n[:n_proposal].mean()),
            n_test=len(has_n) - n_proposal,
            test_rate=float(has_n[n_proposal:].mean()),
        )
        return labelling, has_n

    def _similarities(
        self, images: Ints, phrases: Sequence[str], half: Unseen, files: RecordedFiles, view: View
    ) -> Floats:
        """(n, v) how well phrases fit pictures."""
        mean_e = kept_words(self.clip, self._vocabulary).embeddings_ve.mean(0)
        phrases_ve = torch.cat([embed_phrases(self.clip, [one]) for one in phrases]) - mean_e
        found = []
        for start in progress_bar(range(0, len(images), PICTURES_AT_ONCE), desc="labelling", unit=" batches"):
            pictures: list[Image.Image] = []
            for image in images[start : start + PICTURES_AT_ONCE].tolist():
                record = half.known.records[image]
                pictures.append(view(decode(files.read(record), record.path)))
            found.append((self.clip.embed_images(pictures) @ phrases_ve.T).double().numpy())
        return np.concatenate(found)
