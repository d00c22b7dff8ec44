"""What a gallery was made from, so that pages which it lacks can be made later, as its own are."""

import base64
import zlib
from dataclasses import dataclass
from typing import Any, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from saev.gallery.options import RenderOptions
from saev.latents.survey import ORDERS, Order
from saev.shards.tokens import TokenSelection


@final
@dataclass(frozen=True)
class Recipe:
    """Images and options of a gallery."""

    shards: str  # Content id of the recording.
    images: NDArray[np.int64]  # Numbers of the images that were looked at, ascending.
    top_k: int  # Images of a latent, in each order.
    sort_by: Order  # The order that comes first.
    seed: int  # Of the random choices.

    @classmethod
    def of(cls, tokens: TokenSelection, images: NDArray[np.int64], options: RenderOptions) -> Self:
        """What galleries of some images are made from."""
        return cls(tokens.reader.recording.content_id, images, options.top_k, options.sort_by, options.seed)

    def to_json(self) -> dict[str, Any]:
        """For `from_json`; the images as bits, deflated."""
        bits = np.zeros(int(self.images.max(initial=-1)) + 1, dtype=np.bool_)
        bits[self.images] = True
        packed = base64.b64encode(zlib.compress(np.packbits(bits).tobytes())).decode("ascii")
        return {"shards": self.shards, "images": packed, "topK": self.top_k, "sortBy": self.sort_by, "seed": self.seed}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: If it is something else.
            TypeError: Likewise.
            KeyError: Likewise.
        """
        try:
            bits = np.frombuffer(zlib.decompress(base64.b64decode(raw["images"], validate=True)), np.uint8)
        except zlib.error as error:
            raise ValueError("its images cannot be read") from error
        if raw["sortBy"] not in ORDERS:
            raise ValueError(f"it knows no order {raw['sortBy']!r}")
        images = np.flatnonzero(np.unpackbits(bits))
        sort_by = cast(Order, raw["sortBy"])
        return cls(str(raw["shards"]), images, max(1, int(raw["topK"])), sort_by, max(0, int(raw["seed"])))
