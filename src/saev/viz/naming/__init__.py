"""Names for latents by text."""

from saev.viz.naming.crops import crop_box
from saev.viz.naming.directions import direction_words
from saev.viz.naming.name_latents import LatentName, TopPicture, WordScore, name_latents, named_words
from saev.viz.naming.vocabulary import read_vocabulary
from saev.viz.naming.words import EmbeddedWords, Embedder, embed_words

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
