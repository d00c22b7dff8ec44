"""Hashes that depend on what is hashed and on nothing else, so that samples don't depend on the order of images.

Both are one-to-one: no two images of a latent and no two tokens get the same hash, and no tie needs to be broken.
They are the finalisers of MurmurHash3 (Appleby, https://github.com/aappleby/smhasher) and of SplitMix64 (Steele et
al. 2014, https://doi.org/10.1145/2660193.2660195).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
LongWords = NDArray[np.uint64]
_MURMUR = (0x85EBCA6B, 0xC2B2AE35)
_INVERSE = tuple(pow(factor, -1, 2**32) for factor in _MURMUR)
_SPLITMIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_GOLDEN = 0x9E3779B97F4A7C15


def mix32(x: Words) -> Words:
    """A permutation of the 32-bit integers that looks random."""
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(_MURMUR[0])
    x ^= x >> np.uint32(13)
    x *= np.uint32(_MURMUR[1])
    x ^= x >> np.uint32(16)
    return x


def unmix32(x: Words) -> Words:
    """Inverse of `mix32`.

    >>> unmix32(mix32(np.array([0, 7, 2**32 - 1], dtype=np.uint32))).tolist()
    [0, 7, 4294967295]
    """
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(_INVERSE[1])
    x ^= (x >> np.uint32(13)) ^ (x >> np.uint32(26))
    x *= np.uint32(_INVERSE[0])
    x ^= x >> np.uint32(16)
    return x


def mix64(x: LongWords) -> LongWords:
    """A permutation of the 64-bit integers that looks random."""
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(_SPLITMIX[0])
    x ^= x >> np.uint64(27)
    x *= np.uint64(_SPLITMIX[1])
    x ^= x >> np.uint64(31)
    return x


def latent_keys(d_sae: int, seed: int) -> Words:
    """(s,) a key for the hashes of each latent."""
    start = mix64(_seed_word(seed))
    numbers = start + np.arange(1, d_sae + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    keys: Words = (mix64(numbers) >> np.uint64(32)).astype(np.uint32)
    return keys


def token_hashes(image_ids: NDArray[Any], n_positions: int, seed: int) -> NDArray[np.int64]:
    """(b, t) hashes of all tokens of images whose ids (b,) fit 32 bits."""
    tokens = (image_ids.astype(np.uint64)[:, None] << np.uint64(32)) | np.arange(n_positions, dtype=np.uint64)
    # Two rounds: without the second one, another seed would permute the hashes of neighbouring images only.
    hashes: NDArray[np.int64] = mix64(mix64(tokens ^ mix64(_seed_word(seed)))).view(np.int64)
    return hashes


def image_hashes(image_ids: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """(b,) hashes from 0 to 2^32 - 1 of images whose ids (b,) fit 32 bits; `hashed_images` is the inverse."""
    key = _image_key(seed)
    return mix32(mix32(image_ids.astype(np.uint32) ^ key) ^ key).astype(np.int64)


def hashed_images(hashes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(b,) the ids of which these are the hashes.

    >>> hashed_images(image_hashes(np.array([0, 7, 2**32 - 1]), seed=3), seed=3).tolist()
    [0, 7, 4294967295]
    """
    key = _image_key(seed)
    return (unmix32(unmix32(hashes.astype(np.uint32)) ^ key) ^ key).astype(np.int64)


def _image_key(seed: int) -> np.uint32:
    return np.uint32(mix64(_seed_word(seed))[0] >> np.uint64(32))


def _seed_word(seed: int) -> LongWords:
    return np.array([(seed * _GOLDEN + 1) % 2**64], dtype=np.uint64)
