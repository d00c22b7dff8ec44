"""The names of a gallery as a file, `names.json`: which CLIP gave them, from which words, looking at which pictures."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self, final

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import read_regular
from saev.shards.format.strict_json import JsonObject, parse_json

NAMES_FILE: Final = "names.json"
FORMAT: Final = "saev-names"
VERSION: Final = 1
_MAX_BYTES: Final = 2**28
_SIZE: Final = re.compile(r"vit[-_]([a-z])[a-z0-9]*[-_](?:patch)?(\d+)")
_ORIGIN: Final = re.compile(r"openai|laion\d+[mb]|datacomp|dfn\d+b|metaclip|commonpool|siglip")


@final
@dataclass(frozen=True)
class ClipId:
    """Which CLIP it was.

    Args:
        ckpt: Its name, such as ViT-B-32/openai.
        weights_digest: SHA-256 over all of its tensors, as `saev.vit.weights.weights_digest`; None where nobody knows.
    """

    ckpt: str
    weights_digest: str | None

    def is_like(self, ckpt: str, weights_digest: str | None) -> bool:
        """Whether a model is this one, or may be it: by its weights, or by what it is called.

        Names count beside weights because the same weights have another digest in another precision, at another image
        size, and in another library, where they have another name, too.

        >>> clip = ClipId("ViT-B-32/laion2b_s34b_b79k", "a" * 64)
        >>> clip.is_like("my-own", "a" * 64), clip.is_like("ViT-B-32/laion2b_s34b_b79k", "b" * 64)
        (True, True)
        >>> clip.is_like("vit_base_patch32_clip_224.laion2b_ft_in1k", None), clip.is_like("ViT-B-16/laion2b", None)
        (True, False)
        """
        is_same = weights_digest is not None and weights_digest == self.weights_digest
        return is_same or ckpt == self.ckpt or None is not _training(ckpt) == _training(self.ckpt)


@final
@dataclass(frozen=True)
class Names:
    """Names of latents, and where they come from.

    Args:
        sae: Digest of the SAE, as `saev.latents.encoding.sae_digest`.
        shards: Content id of the recording.
        named_by: The CLIP.
        vocabulary: SHA-256 of the words, each with a line feed.
        half: Seed and columns of the proposal half that was looked at; None for pictures of both halves.
        names: By latent, with the score.
    """

    sae: str
    shards: str
    named_by: ClipId
    vocabulary: str
    half: tuple[int, tuple[str, ...]] | None
    names: Mapping[int, tuple[str, float]]

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "sae": self.sae,
            "shards": self.shards,
            "named_by": asdict(self.named_by),
            "vocabulary": self.vocabulary,
            "half": None if self.half is None else {"seed": self.half[0], "group": list(self.half[1])},
            "names": [{"latent": latent, "name": name, "score": score} for latent, (name, score) in self.names.items()],
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give, a second name of a latent, or no name at all.
        """
        if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (FORMAT, VERSION):
            raise InputError(f"{where} holds no names of version {VERSION}: give names.json of a gallery with a namer")
        keys = ("format", "version", "sae", "shards", "named_by", "vocabulary", "half", "names")
        found = JsonObject(value, where, keys)
        names: dict[int, tuple[str, float]] = {}
        for number, one in enumerate(found.array("names")):
            own = JsonObject(one, f"{where}: names[{number}]", ("latent", "name", "score"))
            latent = own.integer("latent")
            if latent in names:
                raise InputError(f"{where}: names[{number}] is a second one of latent {latent}")
            names[latent] = own.text("name"), own.number("score")
        if not names:
            raise InputError(
                f"{where}: no latent got a name: chance explains what fits, or other pictures do not agree"
            )
        return cls(
            sae=found.text("sae"),
            shards=found.text("shards"),
            named_by=from_json(ClipId, value["named_by"], f"{where}: named_by"),
            vocabulary=found.text("vocabulary"),
            half=None if value["half"] is None else _half(value["half"], f"{where}: half"),
            names=names,
        )


def read_names(path: Path) -> Names:
    """Read the names of a gallery.

    Args:
        path: names.json, or the directory of the gallery.

    Raises:
        InputError: If there is none, or anything in it is missing, unknown or of another kind.
    """
    path = path / NAMES_FILE if path.is_dir() else path
    return Names.from_json(parse_json(read_regular(path, _MAX_BYTES), str(path)), str(path))


def _training(ckpt: str) -> tuple[str, ...] | None:
    """Size, patch and origin of the weights of a CLIP's tower, by the names of open_clip, of timm and of the hub."""
    size, origin = _SIZE.search(ckpt.lower()), _ORIGIN.search(ckpt.lower())
    return None if size is None or origin is None else (*size.groups(), origin.group())


def _half(value: object, where: str) -> tuple[int, tuple[str, ...]]:
    found = JsonObject(value, where, ("seed", "group"))
    return found.integer("seed"), tuple(found.texts("group"))
