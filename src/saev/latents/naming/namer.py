"""Names for latents, found by a CLIP."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

from saev.latents.encoding import ImageCodes, Images, sae_digest
from saev.latents.heatmaps import heatmaps, in_parts
from saev.latents.naming.crop_means import CropMeans
from saev.latents.naming.directions import direction_words
from saev.latents.naming.elsewhere import PictureValues
from saev.latents.naming.kept_words import kept_words
from saev.latents.naming.name_latents import (
    MAX_CROPS,
    LatentName,
    TopPicture,
    embedded_crops,
    named_by_crops,
    named_words,
)
from saev.latents.naming.names_file import ClipId, Names
from saev.latents.naming.vocabulary import read_vocabulary, words_digest
from saev.latents.naming.words import EmbeddedWords
from saev.latents.pictures import RecordedPictures
from saev.latents.survey import LatentSurvey
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection
from saev.vit.text import Clip, load_clip


@final
class Namer:
    """A CLIP and the words that may become names, embedded when they are first needed, or taken from the cache."""

    def __init__(self, clip: Clip, vocabulary: Sequence[str]) -> None:
        self.clip = clip
        self._vocabulary = vocabulary

    @cached_property
    def words(self) -> EmbeddedWords:
        """The words as points of the CLIP's space."""
        return kept_words(self.clip, self._vocabulary)

    @property
    def _clip_id(self) -> ClipId:
        return ClipId(self.clip.ckpt, self.clip.digest)

    @classmethod
    def load(cls, clip: str, weights: str | None = None, vocabulary: Path | None = None) -> Self:
        """A CLIP or SigLIP of open_clip with a text tower, and a list of words.

        Args:
            clip: Its name, such as ViT-B-32/openai.
            weights: Its weights from a file instead of the network.
            vocabulary: File of the words, one a line; by default those that come with saev.

        Raises:
            InputError: If the CLIP or the vocabulary cannot be had, or one of them is of no use.
        """
        return cls(load_clip(clip, weights), read_vocabulary(vocabulary))

    def by_pictures(
        self, codes: ImageCodes, survey: LatentSurvey, latents: Sequence[int], pictures: RecordedPictures, seed: int
    ) -> tuple[dict[int, LatentName], CropMeans | None]:
        """Names of latents by the crops on which they are strongest; those that chance explains, or that do not hold on
        other pictures, are left out.

        And what is kept of the crops, if there are any.

        Args:
            codes: Those of the images.
            survey: What was found of the latents.
            latents: Those that may get a name.
            pictures: Of the recording.
            seed: Draws the shuffled latents that stand for chance, and the whole pictures.
        """
        top = survey.top["patch"]
        images, values = (table[list(latents), :MAX_CROPS].tolist() for table in (top.images, top.values))
        found = {
            latent: [(i, v) for i, v in zip(*row, strict=True) if i >= 0]
            for latent, *row in zip(latents, images, values, strict=True)
        }
        shown: dict[int, Images] = {latent: [image for image, _ in examples] for latent, examples in found.items()}
        tops: dict[int, list[TopPicture]] = {}
        for part in in_parts(shown, codes.grid):
            maps = heatmaps(codes, part, survey.moments.max_value.numpy())
            for latent in part:
                tops[latent] = [TopPicture(i, value, maps[latent][i]) for i, value in found[latent]]
        seen = PictureValues(*survey.image_values.table())
        crops = embedded_crops(tops, lambda image: pictures[image].view, self.clip, seen, seed)
        kept = ((latent, crops.embeddings_ne[numbers], odds_k) for latent, numbers, odds_k in crops.of_latents())
        return _named(named_by_crops(crops, self.words, seen, seed)), CropMeans.of(self._clip_id, kept)

    def names_file(
        self,
        sae: SparseAutoencoder,
        shards: str,
        names: Mapping[int, LatentName],
        half: tuple[int, tuple[str, ...]] | None,
    ) -> Names:
        """Names as a file has them.

        Args:
            sae: Whose latents they are of.
            shards: Content id of the recording.
            names: Of `by_pictures`.
            half: As `Names` has it.
        """
        return Names(
            sae=sae_digest(sae),
            shards=shards,
            named_by=self._clip_id,
            vocabulary=words_digest(self._vocabulary),
            half=half,
            names={latent: (one.words[0].word, one.words[0].z) for latent, one in names.items()},
        )

    def by_directions(
        self, sae: SparseAutoencoder, latents: Sequence[int], tokens: TokenSelection, seed: int
    ) -> dict[int, LatentName]:
        """Names by the decoder directions of an SAE on the last layer of this very CLIP; none for any other."""
        if not self._is_last_layer(tokens):
            return {}
        rows_sd = sae.W_dec.detach().cpu().float() * sae.scale_d.cpu()
        best = direction_words(rows_sd, *self.clip.visual_projection(), self.words, latents, seed)
        return _named(dict(zip(latents, named_words(best, self.words), strict=True)))

    def _is_last_layer(self, tokens: TokenSelection) -> bool:
        recorded = tokens.reader.recording
        visual: Any = self.clip.model.visual
        blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
        model = recorded.model["family"], recorded.model["ckpt"]
        is_same = model == ("clip", self.clip.ckpt) and self.clip.has_projection
        is_last = len(tokens.readers) == 1 and len(blocks) > 0 and recorded.layer == len(blocks) - 1
        return is_same and is_last and recorded.model["weights_digest"] == self.clip.tower_digest


def _named(names: Mapping[int, LatentName]) -> dict[int, LatentName]:
    return {latent: one for latent, one in names.items() if one.name is not None}
