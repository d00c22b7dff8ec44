"""Where an SAE comes from, as its config.json says. Each fact may be unknown: an SAE of another tool has few."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self, final

import numpy as np

from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.ranges import Ints
from saev.shards.format.recording import UNKNOWN, Recording
from saev.shards.format.strict_json import MAX_INTEGER, JsonObject
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import random_subset

_OF_MODEL: Final = ("family", "ckpt", "weights_digest", "precision")
_COMPARED: Final = ("family", "ckpt", "weights_digest", "layer", "preprocessing")


@final
@dataclass(frozen=True)
class HeldOut:
    """Images of a data set that were kept out of training."""

    n: int  # How many.
    seed: int | None = None  # Chosen by `random_subset` with this seed among all images; None where `numbers` has them.
    numbers: tuple[int, ...] = ()  # Their numbers, ascending, where training had a choice of the images only.

    def images(self, n_examples: int) -> Ints:
        """Their numbers, ascending, in a data set of so many images.

        Raises:
            InputError: If it has fewer.
        """
        if max(self.n, *(last + 1 for last in self.numbers[-1:]), 0) > n_examples:
            raise InputError(f"the SAE's config.json was edited: {self.n} images held out of {n_examples}")
        if self.seed is None:
            return np.asarray(self.numbers, dtype=np.int64)
        return random_subset(n_examples, self.n, self.seed)

    def to_json(self) -> dict[str, object]:
        """As JSON."""
        return {"numbers": list(self.numbers)} if self.seed is None else {"n": self.n, "seed": self.seed}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: for anything that `to_json` does not give.
        """
        if isinstance(value, dict) and "numbers" in value:
            found = JsonObject(value, where, ("numbers",))
            numbers = found.integers("numbers", len(found.array("numbers")))
            if list(numbers) != sorted(set(numbers)):
                raise InputError(f"{where}: 'numbers' must ascend")
            return cls(len(numbers), None, numbers)
        found = JsonObject(value, where, ("n", "seed"))
        return cls(found.integer("n"), found.integer("seed"))


@final
@dataclass(frozen=True)
class TrainingSet:
    """A data set that an SAE was trained on: its content id, and the images that were held out."""

    content_id: str
    held_out: HeldOut


@final
@dataclass(frozen=True)
class RecordedLayer:
    """Activations of one layer of a ViT. A fact that is None is not known."""

    family: str | None = None  # Family of the ViT, as in ``--model.family``.
    ckpt: str | None = None  # Its name, as in ``--model.ckpt``.
    weights_digest: str | None = None  # SHA-256 of its weights.
    precision: str | None = None  # Of its forward pass, such as float32.
    layer: int | None = None
    """Index of the block, counted from 0; from the end (-1) where the original saev counted so."""
    preprocessing: Mapping[str, Any] | None = None  # How pictures are prepared for it.
    more: Mapping[str, Any] = field(default_factory=dict)  # What else is known of the recording, as JSON.

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """The activations that a recording holds."""
        return cls.from_json(recording.canonical(), recording.name)

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From the configuration of a recording, or what is known of one.

        Raises:
            InputError: If a fact is of another kind.
        """
        found, more = _with_defaults(value, where, {"model": {}, "layer": None, "preprocessing": {}}, is_open=True)
        model, rest = _with_defaults(found.mapping("model"), f"{where}: model", dict.fromkeys(_OF_MODEL), is_open=True)
        known = {key: text for key in _OF_MODEL if (text := model.optional_text(key)) not in (None, UNKNOWN)}
        preprocessing = found.mapping("preprocessing")
        return cls(
            **known,
            layer=found.optional_integer("layer", -MAX_INTEGER),
            preprocessing=preprocessing if preprocessing.get("library", UNKNOWN) != UNKNOWN else None,
            more=more | ({"model": rest} if rest else {}),
        )

    def to_json(self) -> dict[str, object]:
        """What is known, as the configuration of a recording has it."""
        model = {key: value for key in _OF_MODEL if (value := getattr(self, key)) is not None}
        found = {
            **self.more,
            "model": dict(sorted((self.more.get("model", {}) | model).items())),
            "layer": self.layer,
            "preprocessing": None if self.preprocessing is None else dict(self.preprocessing),
        }
        return {key: value for key, value in sorted(found.items()) if value not in (None, {})}

    def missing(self, facts: Iterable[str] = _COMPARED) -> list[str]:
        """Which of some facts are not known."""
        return [name for name in facts if getattr(self, name) is None]

    def completed(self, other: Self) -> Self:
        """With what another one knows in the place of what is not known here."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        return type(self)(
            **{name: getattr(other, name) if value in (None, {}) else value for name, value in known.items()}
        )

    def check_same(
        self, other: Self, where: str, *, who: str = "the SAE was trained on", layer: bool = True, strict: bool = False
    ) -> None:
        """Compare with other activations: numbers of one ViT, layer or preprocessing mean nothing on another.

        Args:
            where: What the others are.
            who: Begins the message, and is followed by a fact of these.
            layer: Whether the layer must be the same.
            strict: Whether a fact that only one of them knows differs; otherwise it is not compared.

        Raises:
            InputError: If they differ; names both values.
        """
        for name in _COMPARED:
            before, now = getattr(self, name), getattr(other, name)
            skipped = (name == "layer" and not layer) or (None in (before, now) and not strict)
            if before != now and not skipped:
                before, now = (UNKNOWN if value is None else value for value in (before, now))
                raise InputError(f"{who} {name} {before}, {where} has {now}: give shards of the same ViT")


@final
@dataclass(frozen=True)
class Provenance:
    """Where an SAE comes from. What is empty or None is not known.

    Args:
        layers: The activations that it takes: of one layer, or of several where a token is what all of them hold of it.
        tokens: Which tokens of an image: content, cls, registers or all.
        data: All data sets that trained it.
        training: The options that it was trained with, as JSON.
        source: What trained it, such as the name and version of a tool.

    >>> Provenance([RecordedLayer(family="clip", ckpt="ViT-B-32/openai", layer=10)], tokens="content").to_json()
    {'trained_on': {'layer': 10, 'model': {'ckpt': 'ViT-B-32/openai', 'family': 'clip'}}, 'tokens': 'content'}
    """

    layers: Sequence[RecordedLayer] = ()
    tokens: str | None = None
    data: Sequence[TrainingSet] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "data"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def of(cls, readers: Sequence[ShardReader], tokens: str, data: Sequence[TrainingSet] = ()) -> Self:
        """Of an SAE of the activations that some shards hold, one directory for each layer of a token."""
        return cls([RecordedLayer.of(reader.recording) for reader in readers], tokens, data)

    @property
    def one_layer(self) -> RecordedLayer:
        """The activations of an SAE of one layer.

        Raises:
            InputError: If it takes several layers.
        """
        if len(self.layers) > 1:
            layers = ", ".join(str(one.layer) for one in self.layers)
            raise InputError(
                f"the SAE takes layers {layers} at once: only an SAE of one layer can be spliced into a ViT"
            )
        return self.layers[0] if self.layers else RecordedLayer()

    def to_json(self) -> dict[str, object]:
        """What is known, as the "about" of config.json."""
        layers = [layer.to_json() for layer in self.layers]
        data = [{"content_id": one.content_id, "held_out": one.held_out.to_json()} for one in self.data]
        found = {
            "trained_on": layers[0] if layers else None,
            "tokens": self.tokens,
            "data": data,
            "paired_with": layers[1:],
            "training": dict(self.training),
            "source": self.source,
        }
        return {key: value for key, value in found.items() if value}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: for anything that `to_json` does not give.
        """
        defaults: dict[str, object] = {
            "trained_on": {},
            "tokens": None,
            "data": [],
            "paired_with": [],
            "training": {},
            "source": None,
        }
        found, _ = _with_defaults(value, where, defaults)
        first, paired = found.mapping("trained_on"), found.array("paired_with")
        layers = [first, *paired] if first or paired else []
        return cls(
            [RecordedLayer.from_json(layer, f"{where}: activations") for layer in layers],
            found.optional_text("tokens"),
            [_data_set(one, f"{where}: data {number}") for number, one in enumerate(found.array("data"))],
            found.mapping("training"),
            found.optional_text("source"),
        )


def provenance_of(sae: SparseAutoencoder) -> Provenance:
    """Where an SAE comes from, as far as its `provenance` says."""
    return sae.provenance if isinstance(sae.provenance, Provenance) else Provenance()


def trained_on(sae: SparseAutoencoder, data: Provenance | None) -> Provenance:
    """What an SAE was trained on, with what it says itself of how it was trained."""
    own, known = provenance_of(sae), data or Provenance()
    return replace(known, training={**known.training, **own.training}, source=own.source)


def differ_in_seed(one: SparseAutoencoder, other: SparseAutoencoder) -> bool:
    """Whether two SAEs are of one configuration but for the seed of training. SAEs of unknown training are not."""
    first, second = ({**provenance_of(sae).training, **sae.options(), "sae": type(sae)} for sae in (one, other))
    seeds = first.pop("seed", None), second.pop("seed", None)
    return None not in seeds and seeds[0] != seeds[1] and first == second


def _data_set(value: object, where: str) -> TrainingSet:
    entry = JsonObject(value, where, ("content_id", "held_out"))
    return TrainingSet(entry.text("content_id"), HeldOut.from_json(entry.mapping("held_out"), f"{where}: held_out"))


def _with_defaults(
    value: object, where: str, defaults: Mapping[str, object], *, is_open: bool = False
) -> tuple[JsonObject, dict[str, object]]:
    """An object in which each of some keys may be missing, and what stands under other keys, where these may be."""
    if not isinstance(value, dict):
        return JsonObject(value, where, defaults), {}
    more = {key: one for key, one in value.items() if key not in defaults} if is_open else {}
    content = {key: one for key, one in value.items() if key not in more}
    return JsonObject({**defaults, **content}, where, defaults), more
