"""What `saev probe intervene` found: interventions.json, read as untrusted. docs/files.md describes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import given_path, read_regular
from saev.shards.format.strict_json import JsonObject, parse_json

FORMAT: Final = "saev-interventions"
VERSION: Final = 2
FILE: Final = "interventions.json"
_MAX_BYTES: Final = 2**28
_KEYS: Final = ("format", "version", "sae", "model", "layer", "edit", "target", "n_measured", "n_changed", "effects")
_REST: Final = (
    "sae_tokens", "images", "masks", "seed", "zero_shot", "head", "block", "n_images", "relative_norm", "latents",
    "random_latents", "notes", "accuracy", "curves", "maps",
)  # fmt: skip
_HOWS: Final = ("zero", "set", "scale", "add")


@final
@dataclass(frozen=True)
class Moved:
    """A mean difference of pairs, with its 95 % interval (None of a single picture) and p.

    Of what can only fall, as the cosine from 1, there is neither interval nor p.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None  # For all figures of the run (Holm).


@final
@dataclass(frozen=True)
class Effect:
    """What an edit does to one figure."""

    figure: str  # Such as "probe: own class".
    n: int  # Pictures.
    untouched: float  # Means over them: without a change,
    edited: float  # with the edit,
    random: float  # and along random latents.
    effect: Moved  # Edited less untouched.
    beyond_random: Moved  # Edited less the mean of the draws.
    random_effects: tuple[float, ...]  # Of each draw.
    random_bound: float  # The 95 % quantile of their sizes.
    specific: bool  # Whether it is more than what random latents do.

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"'n' must be an integer of at least 1, found {self.n}")


@final
@dataclass(frozen=True)
class Interventions:
    """An edit of latents inside a ViT, and what became of its output."""

    directory: Path  # Where it lies; index.html is there, too.
    sae: str  # Digest of the SAE.
    model: str  # Family and name of the ViT.
    layer: int  # The block, from 0.
    target: str | None  # The class that the latents are thought to stand for.
    latents: tuple[int, ...]  # That were changed, together.
    how: str  # "zero", "set", "scale" or "add".
    value: float | None  # None for "zero".
    tokens: str | tuple[int, ...]  # "all", "mask", or places.
    n_measured: int  # Pictures that effects are measured on.
    n_changed: int  # Those that the edit changes.
    effects: tuple[Effect, ...]  # By figure.
    rest: dict[str, Any]  # All else of the file, as it stands there: seed, curves, maps, ...


def read_interventions(directory: str | Path) -> Interventions:
    """Read what an intervention found.

    Args:
        directory: What `saev probe intervene` printed.

    Raises:
        InputError: If it holds none, or anything in them is missing, unknown or of another kind.
    """
    path = given_path(directory, "interventions") / FILE
    value, where = parse_json(read_regular(path, _MAX_BYTES), str(path)), str(path)
    if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (FORMAT, VERSION):
        raise InputError(
            f"{where} holds no interventions of version {VERSION}: give what `saev probe intervene` printed"
        )
    found = JsonObject(value, where, (*_KEYS, *_REST))
    _check_rest(found)
    edit = JsonObject(found.mapping("edit"), f"{where}: edit", ("latents", "how", "value", "tokens"))
    return Interventions(
        path.parent,
        found.text("sae"),
        found.text("model"),
        found.integer("layer"),
        found.optional_text("target"),
        edit.integers("latents", max(1, len(edit.array("latents")))),
        edit.choice("how", _HOWS),
        edit.optional_number("value"),
        _tokens(edit, value["edit"]["tokens"]),
        found.integer("n_measured", 1),
        found.integer("n_changed"),
        tuple(from_json(Effect, one, f"{where}: effects[{i}]") for i, one in enumerate(found.array("effects"))),
        {key: value[key] for key in _REST},
    )


def _tokens(edit: JsonObject, value: object) -> str | tuple[int, ...]:
    if isinstance(value, list):
        return edit.integers("tokens", len(value))
    return edit.choice("tokens", ("all", "mask"))


def _check_rest(found: JsonObject) -> None:
    """What is not looked into is at least of its kind."""
    for text in ("sae_tokens", "images"):
        found.text(text)
    for text in ("zero_shot", "head"):
        found.optional_text(text)
    for number in ("seed", "block", "n_images"):
        found.integer(number)
    found.boolean("masks")
    found.number("relative_norm")
    for array in ("latents", "random_latents", "maps"):
        found.array(array)
    found.texts("notes")
    for mapping in ("accuracy", "curves"):
        found.mapping(mapping)
