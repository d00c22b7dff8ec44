"""Words as points of the space that a CLIP shares between pictures and texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from saev.errors import InputError
from saev.latents.naming.vocabulary import FEWEST_WORDS, distinct
from saev.progress import progress_bar

TEMPLATES = ("a photo of a {}", "a close-up photo of {}", "{}")  # Things, stuff and patterns, and all else.
_WORDS_AT_ONCE = 85  # With three templates a batch of a CLIP's text tower.


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


def embed_words(
    clip: Embedder, vocabulary: Sequence[str], templates: Sequence[str] = TEMPLATES, quiet: bool = False
) -> EmbeddedWords:
    """Embed words, each as the mean over the embeddings of the templates with the word in place of ``{}``.

    Args:
        clip: Embeds the texts.
        vocabulary: See `read_vocabulary`; repetitions are left out.
        templates: One or more.
        quiet: Show no progress.

    Raises:
        InputError: Fewer than `FEWEST_WORDS` words.
    """
    words = distinct(vocabulary)
    if len(words) < FEWEST_WORDS:
        raise InputError(f"{len(words)} words are no vocabulary: a name is the best of {FEWEST_WORDS} or more")
    found: list[Tensor] = []
    with progress_bar(total=len(words), desc="embedding words", unit=" words", disable=quiet) as bar:
        for start in range(0, len(words), _WORDS_AT_ONCE):
            some = words[start : start + _WORDS_AT_ONCE]
            found.append(embed_phrases(clip, some, templates))
            bar.update(len(some))
    return EmbeddedWords(tuple(words), torch.cat(found))


def embed_phrases(clip: Embedder, phrases: Sequence[str], templates: Sequence[str] = TEMPLATES) -> Tensor:
    """Unit embeddings (v, e) of a few words or phrases, as those of `embed_words`."""
    mean_ve = clip.embed_texts(prompts(phrases, templates)).reshape(len(templates), len(phrases), -1).mean(0)
    assert bool(mean_ve.isfinite().all()), "embeddings must be finite"
    return normalize(mean_ve, dim=-1)


def prompts(words: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[str]:
    """The texts that stand for words: all words in the first template, then in the next.

    >>> prompts(["cat", "dog"], ["a {}", "{}"])
    ['a cat', 'a dog', 'cat', 'dog']
    """
    return [template.replace("{}", word) for template in templates for word in words]
