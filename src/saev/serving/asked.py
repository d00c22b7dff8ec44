"""What the page asks, parsed strictly: everything else is refused with a text for the page."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, final

from saev.serving.variants import KINDS, PASTE, WHOLE

MAX_EDITS: Final = 64
MAX_NEIGHBOURS: Final = 100
MAX_FACTOR: Final = 1000.0
MAX_BLOCK: Final = 8
MAX_WORDS: Final = 64
MAX_WORD: Final = 200
"""Characters of a word."""


class BadRequest(ValueError):  # noqa: N818 - as `BadImage`
    """The page asked for what cannot be; the message is for the page."""


@final
@dataclass(frozen=True)
class AskedNeighbours:
    """The neighbours of a picture whose codes change."""

    picture: str  # Its id.
    factors: Mapping[int, float]  # What codes are multiplied by, by latent; 0 switches one off.
    k: int  # How many.

    @classmethod
    def of(cls, body: bytes, d_sae: int) -> Self:
        """Read {"picture", "factors": [[latent, factor], ...], "k"}.

        Raises:
            BadRequest: If it says something else.
        """
        raw = _object(body, {"picture", "factors", "k"})
        _check(type(raw["k"]) is int and 1 <= raw["k"] <= MAX_NEIGHBOURS, f"k is from 1 to {MAX_NEIGHBOURS}")
        return cls(_picture(raw["picture"]), _factors(raw["factors"], d_sae), raw["k"])


@final
@dataclass(frozen=True)
class AskedEffect:
    """What becomes of the ViT's output when codes of a picture change."""

    picture: str  # Its id.
    factors: Mapping[int, float]  # As for neighbours; one or more.
    patches: Sequence[int] | None  # Where they change; None for all tokens that the SAE takes.
    words: Sequence[str]  # Classes of a zero-shot classifier: none, or two or more.

    @classmethod
    def of(cls, body: bytes, d_sae: int, n_patches: int) -> Self:
        """Read {"picture", "factors", "patches": null or [patch, ...], "words": [text, ...]}.

        Raises:
            BadRequest: If it says something else.
        """
        raw = _object(body, {"picture", "factors", "patches", "words"})
        factors, words = _factors(raw["factors"], d_sae), raw["words"]
        _check(bool(factors), "an effect is that of one changed latent or more")
        _check(
            isinstance(words, list)
            and len(words) <= MAX_WORDS
            and all(isinstance(word, str) and word.strip() and len(word) <= MAX_WORD for word in words),
            f"words are at most {MAX_WORDS}, of {MAX_WORD} characters",
        )
        _check(len(set(words)) != 1, "one word alone has always the probability 1: give two or more")
        patches = None if raw["patches"] is None else _patches(raw["patches"], n_patches)
        return cls(_picture(raw["picture"]), factors, patches, list(dict.fromkeys(words)))


@final
@dataclass(frozen=True)
class AskedVariant:
    """A variant of a picture, see `saev.serving.variants`."""

    picture: str  # Its id.
    kind: str  # One of `KINDS`.
    patches: Sequence[int]  # The region.
    onto: str | None  # The id of the picture that a region is pasted onto.

    @classmethod
    def of(cls, body: bytes, n_patches: int) -> Self:
        """Read {"picture", "kind", "patches": [patch, ...], "onto": an id or null}.

        Raises:
            BadRequest: If it says something else.
        """
        raw = _object(body, {"picture", "kind", "patches", "onto"})
        kind = raw["kind"]
        _check(isinstance(kind, str) and kind in KINDS, f"a variant is one of {', '.join(KINDS)}")
        patches = [] if kind in WHOLE else _patches(raw["patches"], n_patches)
        onto = _picture(raw["onto"]) if kind == PASTE else None
        return cls(_picture(raw["picture"]), kind, patches, onto)


@final
@dataclass(frozen=True)
class AskedOcclusion:
    """Which parts of a picture a latent rests on."""

    picture: str  # Its id.
    latent: int
    block: int  # Rows and columns of patches that are filled together.

    @classmethod
    def of(cls, body: bytes, d_sae: int) -> Self:
        """Read {"picture", "latent", "block"}.

        Raises:
            BadRequest: If it says something else.
        """
        raw = _object(body, {"picture", "latent", "block"})
        latent, block = raw["latent"], raw["block"]
        _check(type(latent) is int and 0 <= latent < d_sae, f"latents are numbers from 0 to {d_sae - 1}")
        _check(type(block) is int and 1 <= block <= MAX_BLOCK, f"block is from 1 to {MAX_BLOCK}")
        return cls(_picture(raw["picture"]), latent, block)


def _check(is_right: bool, text: str) -> None:
    if not is_right:
        raise BadRequest(text)


def _object(body: bytes, keys: set[str]) -> dict[str, Any]:
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("it is no JSON") from error
    if not isinstance(raw, dict) or set(raw) != keys:
        raise BadRequest(f"it must be an object of {', '.join(sorted(keys))}")
    return raw


def _picture(raw: object) -> str:
    if not isinstance(raw, str):
        raise BadRequest("picture is the id of one, a text")
    return raw


def _list_of(raw: object, is_one: Callable[[Any], bool], text: str) -> list[Any]:
    if not isinstance(raw, list) or not all(is_one(one) for one in raw):
        raise BadRequest(text)
    return raw


def _patches(raw: object, n_patches: int) -> list[int]:
    def is_patch(one: Any) -> bool:
        return type(one) is int and 0 <= one < n_patches

    found = _list_of(raw, is_patch, f"patches are numbers from 0 to {n_patches - 1}")
    _check(bool(found), "no patch is brushed: drag over the picture first")
    return sorted(set(found))


def _factors(raw: object, d_sae: int) -> dict[int, float]:
    pairs = _list_of(raw, lambda one: isinstance(one, list) and len(one) == 2, "factors are [[latent, factor], ...]")
    _check(len(pairs) <= MAX_EDITS, f"{MAX_EDITS} latents can be changed at once")
    _check(
        all(type(latent) is int and 0 <= latent < d_sae for latent, _ in pairs),
        f"latents are numbers from 0 to {d_sae - 1}",
    )
    _check(
        all(type(factor) in (int, float) and 0 <= factor <= MAX_FACTOR for _, factor in pairs),
        f"factors are numbers from 0 to {MAX_FACTOR:g}",
    )
    return {latent: float(factor) for latent, factor in pairs}
