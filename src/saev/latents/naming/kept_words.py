"""Embedded words, kept in the user's cache: a text tower takes minutes for some thousand words, the same each time.

    $XDG_CACHE_HOME/saev/words/DIGEST.safetensors       (~/.cache where the variable is not set)

DIGEST is over the CLIP's name, its tensors but for those of the vision tower, and the tokens of all prompts: another
model, list of words, template or tokenizer has another file. Nothing depends on a file: one that is missing or damaged
is made anew.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from saev.errors import InputError, printable
from saev.files import read_regular, replacing
from saev.latents.naming.vocabulary import distinct
from saev.latents.naming.words import EmbeddedWords, embed_words, prompts
from saev.vit.text import Clip

log = logging.getLogger(__name__)
_MAX_BYTES = 2**31
_N_PROBED = 4
_TOLERANCE = 1e-3


def kept_words(clip: Clip, vocabulary: Sequence[str]) -> EmbeddedWords:
    """Words embedded by a CLIP, from the cache if they are there, otherwise put there.

    A file is taken only if its checksum is right and the first words come out of the CLIP as they stand in it.

    Args:
        clip: Embeds the words.
        vocabulary: See `embed_words`.

    Raises:
        InputError: Fewer words than make a vocabulary.
    """
    words = distinct(vocabulary)
    path = cache_directory() / f"{clip.texts_digest(prompts(words))}.safetensors"
    try:
        return _read(path, clip, words)
    except ValueError as error:
        if os.path.lexists(path):
            log.warning("words are embedded again: %s", printable(str(error)))
    found = embed_words(clip, words)
    _keep(path, found.embeddings_ve)
    return found


def cache_directory() -> Path:
    """Where embedded words are kept; the directory may be removed at any time."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # as it is to be understood
        base = Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111 - Path.home() fails for a user without a home
    return base / "saev" / "words"


def _read(path: Path, clip: Clip, words: Sequence[str]) -> EmbeddedWords:
    """Read a file.

    Raises:
        ValueError: If it is missing, cannot be read, is damaged, or of another model.
    """
    try:
        tensors = safetensors.torch.load(read_regular(path, _MAX_BYTES))
        embeddings_ve, checksum = tensors["embeddings"], bytes(tensors["sha256"].tolist())
    except (safetensors.SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: is damaged") from error
    if embeddings_ve.dtype != torch.float32 or embeddings_ve.ndim != 2 or checksum != _checksum(embeddings_ve):
        raise ValueError(f"{path}: is damaged")
    probed = embed_words(clip, words[:_N_PROBED], quiet=True).embeddings_ve
    if len(embeddings_ve) != len(words) or not _is_close(embeddings_ve[:_N_PROBED], probed):
        raise ValueError(f"{path}: is of another model")
    return EmbeddedWords(tuple(words), embeddings_ve)


def _is_close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=_TOLERANCE)


def _checksum(embeddings_ve: Tensor) -> bytes:
    return hashlib.sha256(embeddings_ve.contiguous().numpy().tobytes()).digest()


def _keep(path: Path, embeddings_ve: Tensor) -> None:
    """Write a file, or say that it cannot be; another process may be doing the same."""
    own = path.with_name(f"{path.stem}-{os.getpid()}{path.suffix}")
    sha256 = torch.tensor(list(_checksum(embeddings_ve)), dtype=torch.uint8)
    try:
        with replacing(own, embeddings_ve.nbytes) as partial:
            safetensors.torch.save_file({"embeddings": embeddings_ve.contiguous(), "sha256": sha256}, partial)
        own.replace(path)
    except (InputError, OSError, safetensors.SafetensorError) as error:
        with suppress(OSError):
            own.unlink(missing_ok=True)
        log.warning("the embedded words are not kept for the next time: %s", printable(str(error)))
