"""What the page of a gallery asks of the SAE behind it, as plain JSON."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saev.errors import InputError, one_line
from saev.gallery.scripts import picture_value
from saev.latents.heatmaps import patch_codes
from saev.latents.sparse import SparseCodes
from saev.pages.embedding import ascii_json
from saev.probing.interventions.readouts import Readout
from saev.serving.asked import AskedEffect, AskedNeighbours, AskedOcclusion, AskedVariant, BadRequest
from saev.serving.effects import Words, effect, random_latents
from saev.serving.kept_pictures import MAX_PICTURES, Kept, KeptPictures
from saev.serving.live_sae import LiveSae, Seen
from saev.serving.occlusion import occlusion
from saev.serving.recorded_means import Neighbour, RecordedMeans
from saev.serving.recorded_probe import RecordedProbe
from saev.serving.turn import Turn, Wanted, always
from saev.serving.variants import variant
from saev.vit.images.decode import decode

MAX_BYTES: Final = 32 * 2**20
"""Upper bound of a picture's file."""
MAX_PIXELS: Final = 50_000_000
"""Upper bound of its pixels, 150 MB when it is decoded."""
MAX_LATENTS_A_PATCH: Final = 512
"""Latents that are listed for a patch, the strongest ones."""
_N_STRONGEST: Final = 200


@final
@dataclass(frozen=True)
class Recorded:
    """Recorded images that are compared with: their points, and their names by id."""

    means: RecordedMeans
    names: Sequence[str]


@final
@dataclass(frozen=True)
class Behind:
    """What a gallery's SAE answers with."""

    sae: LiveSae  # The SAE behind its ViT.
    max_value_s: NDArray[np.float32]  # What level 255 stands for, by latent.
    frequency_s: NDArray[np.float32]  # Share of the gallery's pictures on which each latent fires.
    recorded: Recorded | str  # The images that are compared with, or why there are none.
    words: Words  # The text tower of the ViT.
    probe: RecordedProbe  # The probe on recorded pictures.


@final
class LiveGallery:
    """One gallery's SAE: takes pictures, keeps the last ones in memory, and edits their codes.

    One thing is computed at a time, unless it is not wanted any more when its turn comes; safe for several threads.

    Args:
        behind: What answers.
        lock: Held while something is computed; galleries of one process share it.
    """

    def __init__(self, behind: Behind, lock: Turn) -> None:
        self._sae, self._behind = behind.sae, behind
        assert behind.max_value_s.shape == (behind.sae.d_sae,), (
            f"{behind.max_value_s.shape}: {behind.sae.d_sae} latents"
        )
        self._n_patches = behind.sae.grid[0] * behind.sae.grid[1]
        self._kept, self._lock = KeptPictures(), lock

    def state(self) -> dict[str, Any]:
        """What the page can ask for.

        Returns:
            {"reason": null, "neighbours" and "words": why there are none or null, "nRecorded", "maxBytes",
            "maxPictures"}.
        """
        recorded = self._behind.recorded
        return {
            "reason": None,
            "neighbours": recorded if isinstance(recorded, str) else None,
            "nRecorded": 0 if isinstance(recorded, str) else len(recorded.means.images),
            "words": self._behind.words.reason,
            "maxBytes": MAX_BYTES,
            "maxPictures": MAX_PICTURES,
        }

    def look(self, data: bytes, is_wanted: Wanted = always) -> dict[str, Any]:
        """The codes of a picture's file, and the id under which it is kept.

        Returns:
            {"id", "sha256" of the file, "width", "height" of the view, "codes" as `saev.gallery.scripts.picture_value`
            or null where the SAE takes no patches, "strongest": [latent, level] of the whole picture, "largest": the
            latents that fire and their largest codes on a patch (or on all tokens, where it takes none), exactly}.

        Raises:
            BadImage: If it is no picture, or has too many pixels.
        """
        picture = decode(data, "this one", MAX_PIXELS)
        with self._lock.of(is_wanted):
            seen = self._sae.see(picture)
        return self._keep(seen, data)

    def variant(self, body: bytes, is_wanted: Wanted = always) -> dict[str, Any]:
        """The codes of a variant of a picture, as `look` gives them; its digest is that of its view as PNG.

        Args:
            body: What `AskedVariant` reads.

        Raises:
            BadRequest: If the body says something else.
            Forgotten: If a picture is not kept any more.
            InputError: If a preprocessing of the user's does not take views.
        """
        asked = AskedVariant.of(body, self._n_patches)
        view, onto = (None if key is None else self._view(key) for key in (asked.picture, asked.onto))
        assert view is not None, "it has an id"
        made = variant(view, asked.kind, asked.patches, self._sae.grid, onto)
        with self._lock.of(is_wanted):
            seen = self._sae.see_view(made)
        return self._keep(seen, _png(made))

    def again(self, key: str) -> bytes:
        """What `look` or `variant` gave of a picture, as JSON.

        Raises:
            Forgotten: If it is not kept any more.
        """
        return self._kept.find(key).answer

    def view(self, key: str) -> bytes:
        """The picture as the ViT saw it, as PNG.

        Raises:
            Forgotten: If it is not kept any more.
        """
        return self._kept.find(key).png

    def edit(self, body: bytes, is_wanted: Wanted = always) -> dict[str, Any]:
        """The neighbours of a picture before and after its codes are changed.

        Args:
            body: What `AskedNeighbours` reads.

        Returns:
            {"before": [[image, name, cosine], ...], "after": the same}.

        Raises:
            BadRequest: If the body says something else, or there are no recorded images.
            Forgotten: If the picture is not kept any more.
        """
        recorded = self._behind.recorded
        if isinstance(recorded, str):
            raise BadRequest(recorded)
        asked = AskedNeighbours.of(body, self._sae.d_sae)
        kept = self._kept.find(asked.picture)
        with self._lock.of(is_wanted):
            points = [self._sae.reconstruction(kept.mean_s, some) for some in ({}, asked.factors)]
        before, after = (_told(recorded, recorded.means.nearest(point_d, asked.k)) for point_d in points)
        return {"before": before, "after": after}

    def effect(self, body: bytes, is_wanted: Wanted = always) -> dict[str, Any]:
        """What becomes of the ViT's output when codes of a picture change, see `saev.serving.effects.effect`.

        Args:
            body: What `AskedEffect` reads.

        Raises:
            BadRequest: If the body says something else, or the SAE takes no patches and some are named.
            Forgotten: If the picture is not kept any more.
            InputError: If there are too few latents to compare with.
        """
        asked = AskedEffect.of(body, self._sae.d_sae, self._n_patches)
        if asked.patches is not None and self._sae.patches.start == self._sae.patches.stop:
            raise BadRequest("this SAE takes no patches, so that nothing changes on some of them alone")
        view, words = self._view(asked.picture), asked.words
        random_rl = random_latents(list(asked.factors), self._behind.frequency_s)
        with self._lock.of(is_wanted):
            of_words = self._words(words)
            changed = self._sae.changed(view, asked.factors, asked.patches, random_rl)
        return effect(changed, {**of_words, "probe": self._behind.probe.readout})

    def occlude(self, body: bytes, is_wanted: Wanted = always) -> dict[str, Any]:
        """Which parts of a picture a latent rests on, see `occlusion`; `body` is what `AskedOcclusion` reads."""
        asked = AskedOcclusion.of(body, self._sae.d_sae)
        return occlusion(self._sae, self._view(asked.picture), asked.latent, asked.block, self._lock, is_wanted)

    def probe(self, *, start: bool) -> dict[str, Any]:
        """How far the probe on recorded pictures is; `start` begins to fit it."""
        return self._behind.probe.start() if start else self._behind.probe.state()

    def finish(self, timeout: float = 10) -> None:
        """Compute nothing any more, and wait for what is being computed, for so many seconds at most."""
        self._lock.end(timeout)
        self._behind.probe.join(timeout)

    def _keep(self, seen: Seen, data: bytes) -> dict[str, Any]:
        f_ps = seen.f_qs[seen.patches]
        codes = None
        if len(f_ps):
            codes = picture_value(
                patch_codes(SparseCodes.of(f_ps[None]), self._behind.max_value_s), MAX_LATENTS_A_PATCH
            )
        width, height = seen.view.size
        key = KeptPictures.new_id()
        answer = {
            "id": key,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": width,
            "height": height,
            "codes": codes,
            "strongest": self._strongest(seen),
            "largest": _largest(seen),
        }
        text = ascii_json(answer)
        self._kept.add(key, Kept(seen.mean_s, _png(seen.view), text.encode("ascii")))
        told: dict[str, Any] = json.loads(text)
        return told

    def _words(self, words: Sequence[str]) -> Mapping[str, Readout | str]:
        if not words:
            return {}
        try:
            return self._behind.words.readouts(words)
        except InputError as error:
            return {"words": one_line(error)}

    def _view(self, key: str) -> Image.Image:
        return Image.open(io.BytesIO(self._kept.find(key).png), formats=["PNG"]).convert("RGB")

    def _strongest(self, seen: Seen) -> list[list[int]]:
        whole = patch_codes(SparseCodes.of(seen.f_qs.amax(0)[None, None]), self._behind.max_value_s)
        pairs = zip(whole.latents.tolist(), whole.levels.tolist(), strict=True)
        return [list(pair) for pair in pairs][:_N_STRONGEST]


def _largest(seen: Seen) -> dict[str, NDArray[Any]]:
    """The latents that fire, and their largest codes: little-endian uint32 and float32."""
    largest_s = seen.largest_s.float().numpy()
    latents = np.flatnonzero(largest_s)
    return {"latents": latents.astype("<u4"), "values": largest_s[latents].astype("<f4")}


def _png(view: Image.Image) -> bytes:
    out = io.BytesIO()
    view.save(out, "PNG")
    return out.getvalue()


def _told(recorded: Recorded, neighbours: Sequence[Neighbour]) -> list[list[Any]]:
    return [[one.image_id, recorded.names[one.image_id], round(one.cosine, 4)] for one in neighbours]


LiveGalleries = Mapping[str, LiveGallery | str]
"""By name; where there is none, why not."""
