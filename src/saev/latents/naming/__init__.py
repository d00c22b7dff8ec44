"""Names for latents by text."""

from saev.latents.naming.crops import crop_box
from saev.latents.naming.directions import direction_words
from saev.latents.naming.name_latents import LatentName, TopPicture, WordScore, name_latents, named_words
from saev.latents.naming.vocabulary import read_vocabulary
from saev.latents.naming.words import EmbeddedWords, Embedder, embed_words

__all__ = [
    "EmbeddedWords",
    "Embedder",
    "LatentName",
    "TopPicture",
    "WordScore",
    "crop_box",
    "direction_words",
    "embed_words",
    "name_latents",
    "named_words",
    "read_vocabulary",
]
