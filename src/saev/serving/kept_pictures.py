"""The pictures that were sent last, in memory, bounded by number and bytes."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final, final

from torch import Tensor

from saev.serving.asked import BadRequest

MAX_PICTURES: Final = 256
"""Pictures and variants that are kept, the ones used last."""
MAX_KEPT_BYTES: Final = 512 * 2**20
"""Upper bound of what they take together."""


class Forgotten(BadRequest):
    """The picture is not kept any more."""


@final
@dataclass(frozen=True)
class Kept:
    """What is known of a picture."""

    mean_s: Tensor  # Its mean code.
    png: bytes  # Its view.
    answer: bytes  # What the page was told of it, as JSON.

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        return self.mean_s.nbytes + len(self.png) + len(self.answer)


@final
class KeptPictures:
    """Pictures by their ids; safe for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def new_id() -> str:
        """An id that nobody can guess."""
        return secrets.token_hex(8)

    def add(self, key: str, picture: Kept) -> None:
        """Keep a picture, and drop those that were not used for longest as far as there is no room for them."""
        with self._lock:
            self._kept[key] = picture
            while len(self._kept) > MAX_PICTURES or sum(one.n_bytes for one in self._kept.values()) > MAX_KEPT_BYTES:
                self._kept.popitem(last=False)

    def find(self, key: str) -> Kept:
        """A picture, which is now the one used last.

        Raises:
            Forgotten: If it is not kept any more.
        """
        with self._lock:
            if key not in self._kept:
                raise Forgotten(f"only the last {MAX_PICTURES} pictures are kept: open this one again")
            self._kept.move_to_end(key)
            return self._kept[key]
