"""What the page of a gallery asks of the SAE behind it, as plain JSON."""

import io
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saev.gallery.scripts import picture_value
from saev.latents.heatmaps import patch_codes
from saev.latents.sparse import SparseCodes
from saev.serving.live_sae import LiveSae, Seen
from saev.serving.recorded_means import Neighbour, RecordedMeans
from saev.vit.images.decode import decode

MAX_BYTES: Final = 32 * 2**20
"""Upper bound of a picture's file."""
MAX_PIXELS: Final = 50_000_000
"""Upper bound of its pixels, 150 MB when it is decoded."""
MAX_PICTURES: Final = 16
"""Pictures that are kept, the ones used last."""
MAX_LATENTS_A_PATCH: Final = 512
"""Latents that are listed for a patch, the strongest ones."""
MAX_EDITS: Final = 64
MAX_NEIGHBOURS: Final = 100
MAX_FACTOR: Final = 1000.0
_N_STRONGEST: Final = 200


class BadRequest(ValueError):  # noqa: N818 - as `BadImage`
    """The page asked for what cannot be; the message is for the page."""


class Forgotten(BadRequest):
    """The picture is not kept any more."""


@final
@dataclass(frozen=True)
class Recorded:
    """Recorded images that are compared with: their points, and their names by id."""

    means: RecordedMeans
    names: Sequence[str]


@final
@dataclass(frozen=True)
class _Kept:
    mean_s: Tensor
    png: bytes


@final
class LiveGallery:
    """One gallery's SAE: takes pictures, keeps the last ones in memory, and edits their codes.

    One thing is computed at a time; safe for several threads.

    Args:
        sae: The SAE behind its ViT.
        max_value_s: What level 255 stands for, by latent.
        recorded: The images that are compared with, or why there are none.
        lock: Held while something is computed; galleries of one process share it.
    """

    def __init__(self, sae: LiveSae, max_value_s: NDArray[np.float32], recorded: Recorded | str, lock: Lock) -> None:
        assert max_value_s.shape == (sae.d_sae,), f"{max_value_s.shape} values of {sae.d_sae} latents"
        self._sae, self._max_value_s, self._recorded = sae, max_value_s, recorded
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_lock, self._lock = Lock(), lock

    def state(self) -> dict[str, Any]:
        """What the page can ask for: {"reason": null, "neighbours": why there are none or null, "nRecorded", ...}."""
        is_known = isinstance(self._recorded, Recorded)
        return {
            "reason": None,
            "neighbours": None if is_known else self._recorded,
            "nRecorded": len(self._recorded.means.images) if isinstance(self._recorded, Recorded) else 0,
            "maxBytes": MAX_BYTES,
        }

    def look(self, data: bytes) -> dict[str, Any]:
        """The codes of a picture's file, and the id under which it is kept.

        Returns:
            {"id", "width", "height" of the view, "codes" as `saev.gallery.scripts.picture_value` or null where the
            SAE takes no patches, "strongest": [latent, level] of the whole picture}.

        Raises:
            BadImage: If it is no picture, or has too many pixels.
        """
        with self._lock:
            seen = self._sae.see(decode(data, "this one", MAX_PIXELS))
        key = self._keep(_Kept(seen.mean_s, _png(seen)))
        f_ps = seen.f_qs[seen.patches]
        codes = (
            picture_value(patch_codes(SparseCodes.of(f_ps[None]), self._max_value_s), MAX_LATENTS_A_PATCH)
            if len(f_ps)
            else None
        )
        width, height = seen.view.size
        return {"id": key, "width": width, "height": height, "codes": codes, "strongest": self._strongest(seen)}

    def view(self, key: str) -> bytes:
        """The picture as the ViT saw it, as PNG.

        Raises:
            Forgotten: If it is not kept any more.
        """
        return self._find(key).png

    def edit(self, body: bytes) -> dict[str, Any]:
        """The neighbours of a picture before and after its codes are changed.

        Args:
            body: JSON {"picture": its id, "factors": [[latent, factor], ...], "k": how many neighbours}. The codes of a
                latent are multiplied on all tokens; 0 switches it off.

        Returns:
            {"before": [[image, name, cosine], ...], "after": the same, "cosine": of the picture before and after}.

        Raises:
            BadRequest: If the body says something else, or there are no recorded images.
            Forgotten: If the picture is not kept any more.
        """
        if isinstance(self._recorded, str):
            raise BadRequest(self._recorded)
        key, factors, k = _parsed(body, self._sae.d_sae)
        kept = self._find(key)
        means = self._recorded.means
        with self._lock:
            before_d, after_d = (self._sae.reconstruction(kept.mean_s, some) for some in ({}, factors))
        return {
            "before": self._told(means.nearest(before_d, k)),
            "after": self._told(means.nearest(after_d, k)),
            "cosine": means.cosine(before_d, after_d),
        }

    def finish(self, timeout: float = 10) -> None:
        """Wait for what is being computed, for so many seconds at most."""
        if self._lock.acquire(timeout=timeout):
            self._lock.release()

    def _keep(self, picture: _Kept) -> str:
        key = secrets.token_hex(8)
        with self._kept_lock:
            self._kept[key] = picture
            while len(self._kept) > MAX_PICTURES:
                self._kept.popitem(last=False)
        return key

    def _find(self, key: str) -> _Kept:
        with self._kept_lock:
            if key not in self._kept:
                raise Forgotten(f"only the last {MAX_PICTURES} pictures are kept: open this one again")
            self._kept.move_to_end(key)
            return self._kept[key]

    def _strongest(self, seen: Seen) -> list[list[int]]:
        whole = patch_codes(SparseCodes.of(seen.f_qs.amax(0)[None, None]), self._max_value_s)
        pairs = zip(whole.latents.tolist(), whole.levels.tolist(), strict=True)
        return [list(pair) for pair in pairs][:_N_STRONGEST]

    def _told(self, neighbours: Sequence[Neighbour]) -> list[list[Any]]:
        assert isinstance(self._recorded, Recorded)
        return [[one.image_id, self._recorded.names[one.image_id], round(one.cosine, 4)] for one in neighbours]


def _png(seen: Seen) -> bytes:
    out = io.BytesIO()
    seen.view.save(out, "PNG")
    return out.getvalue()


def _parsed(body: bytes, d_sae: int) -> tuple[str, dict[int, float], int]:
    """The id, the factors by latent, and the number of neighbours."""
    try:
        raw: Any = json.loads(body)
        pairs = [(latent, factor) for latent, factor in raw["factors"]]
        key, k = raw["picture"], raw["k"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRequest("an edit is {picture, factors: [[latent, factor], ...], k}") from error
    if not isinstance(key, str) or type(k) is not int or not 1 <= k <= MAX_NEIGHBOURS:
        raise BadRequest(f"picture is a text, and k a number from 1 to {MAX_NEIGHBOURS}")
    if len(pairs) > MAX_EDITS:
        raise BadRequest(f"{MAX_EDITS} latents can be changed at once")
    if not all(type(latent) is int and 0 <= latent < d_sae for latent, _ in pairs):
        raise BadRequest(f"latents are numbers from 0 to {d_sae - 1}")
    if not all(type(factor) in (int, float) and 0 <= factor <= MAX_FACTOR for _, factor in pairs):
        raise BadRequest(f"factors are numbers from 0 to {MAX_FACTOR:g}")
    return key, {latent: float(factor) for latent, factor in pairs}, k


LiveGalleries = Mapping[str, LiveGallery | str]
"""By name; where there is none, why not."""
