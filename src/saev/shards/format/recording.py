"""What is recorded: the configuration whose hash names a directory of shards."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self, final

from saev.errors import InputError
from saev.shards.format.layout import ShardLayout
from saev.shards.format.strict_json import JsonObject, canonical_digest, canonical_json, located

PIXEL_AGGREGATIONS: Final = ("majority", "prefer-fg")
UNKNOWN: Final = "unknown"
"""Stands for what the original saev did not write down."""
_MODEL_KEYS: Final = ("family", "ckpt", "weights_digest", "precision")
_CONFIG_KEYS: Final = ("model", "layer", "preprocessing", "image_set", "pixel_agg", "layout")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


@final
@dataclass(frozen=True)
class Recording:
    """One layer of one model over one set of pictures.

    The content id covers all but `name`, `source`, `class_names` (which `image_set` implies) and `dataset`:
    no path of a machine, so that the same recording has the same id everywhere.

    Raises:
        InputError: For a name that is no plain file name, and for what JSON cannot hold.
    """

    name: str
    model: dict[str, object]
    """At least family, ckpt, weights_digest and precision."""
    layer: int
    """Index of the block, counted from 0; from the end (-1) only in what the original saev recorded."""
    preprocessing: dict[str, object]
    image_set: dict[str, object]
    """The identity of the pictures: names, sizes, labels."""
    layout: ShardLayout
    source: dict[str, object] = field(default_factory=dict)
    """How to open the pictures again; may hold paths of this machine."""
    class_names: list[str] = field(default_factory=list)
    dataset: str = ""
    """Where the pictures lie on this machine."""
    pixel_agg: str = "majority"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"name {self.name!r} must be letters, digits, '.', '_' or '-' (at most 151)")
        if self.pixel_agg not in PIXEL_AGGREGATIONS:
            raise InputError(f"pixel_agg {self.pixel_agg!r} must be one of {', '.join(PIXEL_AGGREGATIONS)}")
        for key in _MODEL_KEYS:
            if not isinstance(self.model.get(key), str):
                raise InputError(f"model: {key!r} must be a string, found {self.model.get(key)!r}")
        try:
            canonical_json([self.canonical(), self.source])
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"recording {self.name}: not storable as JSON ({error})") from error

    def canonical(self) -> dict[str, object]:
        """The configuration that is hashed, as plain JSON values."""
        config: dict[str, object] = {
            "model": self.model,
            "layer": self.layer,
            "preprocessing": self.preprocessing,
            "image_set": self.image_set,
            "pixel_agg": self.pixel_agg,
            "layout": self.layout.to_dict(),
        }
        plain: dict[str, object] = json.loads(canonical_json(config))
        return plain

    @classmethod
    def from_canonical(
        cls,
        config: object,
        where: str,
        *,
        name: str,
        source: dict[str, object],
        class_names: list[str],
        dataset: str,
    ) -> Self:
        """The recording of a configuration that `canonical` gave.

        Raises:
            InputError: For any other configuration.
        """
        fields = JsonObject(config, where, _CONFIG_KEYS)
        model, preprocessing = fields.mapping("model"), fields.mapping("preprocessing")
        layer, image_set = fields.integer("layer"), fields.mapping("image_set")
        layout = ShardLayout.from_dict(fields.mapping("layout"), f"{where}: layout")
        pixel_agg = fields.choice("pixel_agg", PIXEL_AGGREGATIONS)
        with located(where):
            return cls(
                name=name,
                model=model,
                layer=layer,
                preprocessing=preprocessing,
                image_set=image_set,
                layout=layout,
                source=source,
                class_names=class_names,
                dataset=dataset,
                pixel_agg=pixel_agg,
            )

    @cached_property
    def content_id(self) -> str:
        """SHA-256, in hex, of the configuration."""
        return canonical_digest(self.canonical())

    @property
    def directory_name(self) -> str:
        """The name and the first 12 digits of the content id."""
        return f"{self.name}-{self.content_id[:12]}"
