"""Words as points of the space that a CLIP shares between pictures and texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from saev.errors import InputError
from saev.viz.naming.vocabulary import FEWEST_WORDS, distinct

TEMPLATES = ("a photo of a {}", "a close-up photo of {}", "{}")  # Things, stuff and patterns, and all else.


class Embedder(Protocol):
    """A model that embeds pictures and texts in one space, such as `saev.vit.text.Clip`."""

    def embed_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Unit embeddings (n, e)."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings (n, e)."""


@final
@dataclass(frozen=True)
class EmbeddedWords:
    """Different words and their unit embeddings (v, e); made once for all SAEs that are named."""

    words: tuple[str, ...]
    embeddings_ve: Tensor


def embed_words(clip: Embedder, vocabulary: Sequence[str], templates: Sequence[str] = TEMPLATES) -> EmbeddedWords:
    """Embed words, each as the mean over the embeddings of the templates with the word in place of ``{}``.

    Args:
        clip: Embeds the texts.
        vocabulary: See `read_vocabulary`; repetitions are left out.
        templates: One or more.

    Raises:
        InputError: Fewer than `FEWEST_WORDS` words.
    """
    words = distinct(vocabulary)
    if len(words) < FEWEST_WORDS:
        raise InputError(f"{len(words)} words are no vocabulary: a name is the best of {FEWEST_WORDS} or more")
    bar = tqdm(templates, desc="embedding words", unit=" templates")
    embedded = [clip.embed_texts([template.replace("{}", word) for word in words]) for template in bar]
    mean_ve = torch.stack(embedded).float().mean(0)
    assert bool(mean_ve.isfinite().all()), "embeddings must be finite"
    return EmbeddedWords(tuple(words), normalize(mean_ve, dim=-1))
