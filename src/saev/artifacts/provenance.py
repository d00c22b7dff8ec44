"""What an SAE was trained on, as its config.json tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np

from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.format.strict_json import JsonObject
from saev.shards.tokens import random_subset

_MODEL_KEYS: Final = ("family", "ckpt", "weights_digest")


@final
@dataclass(frozen=True)
class HeldOut:
    """Images of a data set that were kept out of training.

    Args:
        n: How many.
        seed: Chosen by `random_subset` with this seed among all images; None where `numbers` tells them.
        numbers: Their numbers, ascending, where training had a choice of the images only.
    """

    n: int
    seed: int | None = None
    numbers: tuple[int, ...] = ()

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
class DataSetAbout:
    """A data set that an SAE was trained on: its content id, and the images that were held out."""

    content_id: str
    held_out: HeldOut


@final
@dataclass(frozen=True)
class About:
    """What an SAE was trained on.

    Args:
        trained_on: Configuration of the recording, of the first one of several data sets.
        tokens: Which tokens of each image.
        data: All data sets.
        paired_with: Configurations of the other layers, where a token is what several layers hold of it.
    """

    trained_on: Mapping[str, Any]
    tokens: str
    data: Sequence[DataSetAbout]
    paired_with: Sequence[Mapping[str, Any]] = ()

    @property
    def layers(self) -> list[Mapping[str, Any]]:
        """Configurations of all layers of a token."""
        return [self.trained_on, *self.paired_with]

    def to_json(self) -> dict[str, object]:
        """As JSON; paired_with only where there is any."""
        data = [{"content_id": one.content_id, "held_out": one.held_out.to_json()} for one in self.data]
        about: dict[str, object] = {"trained_on": dict(self.trained_on), "tokens": self.tokens, "data": data}
        return about | ({"paired_with": [dict(config) for config in self.paired_with]} if self.paired_with else {})

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: for anything that `to_json` does not give.
        """
        pairs = ("paired_with",) if isinstance(value, dict) and "paired_with" in value else ()
        found = JsonObject(value, where, ("trained_on", "tokens", "data", *pairs))
        data = []
        for number, one in enumerate(found.array("data")):
            place = f"{where}: data {number}"
            entry = JsonObject(one, place, ("content_id", "held_out"))
            held_out = HeldOut.from_json(entry.mapping("held_out"), f"{place}: held_out")
            data.append(DataSetAbout(entry.text("content_id"), held_out))
        configs = [found.mapping("trained_on"), *(found.array("paired_with") if pairs else ())]
        first, *others = [_checked_config(config, where) for config in configs]
        return cls(first, found.text("tokens"), data, others)


def _checked_config(value: object, where: str) -> Mapping[str, Any]:
    """As much of a recording's configuration as is compared."""
    model = value.get("model") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(model, dict) or not {"layer", "preprocessing"} <= value.keys():
        raise InputError(f"{where}: a configuration of a recording has model, layer and preprocessing")
    return value


def check_same_activations(
    trained: Mapping[str, Any],
    config: Mapping[str, Any],
    where: str,
    *,
    who: str = "the SAE was trained on",
    layer: bool = True,
) -> None:
    """Compare the ViT, layer and preprocessing of two recordings: numbers of one mean nothing on the other.

    Args:
        trained: Configuration of the one.
        config: Configuration of the other.
        where: What the other one is.
        who: Begins the message, and is followed by a value of the one.
        layer: Whether the layer must be the same.

    Raises:
        InputError: If they differ; names both values.
    """
    keys = ("layer", "preprocessing") if layer else ("preprocessing",)
    for key, before, now in (
        *((key, trained["model"].get(key), config["model"][key]) for key in _MODEL_KEYS),
        *((key, trained[key], config[key]) for key in keys),
    ):
        if before != now:
            raise InputError(f"{who} {key} {before}, {where} has {now}: give shards of the same ViT")
