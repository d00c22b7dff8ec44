"""What a gallery lacks, made when the page asks for it: pages of latents and of pictures, and thumbnails.

The survey of the gallery's images, from which pages come, is made anew in the background at the first request. It is
the same survey, so that a page says what the gallery would have said. Only a table of the user's (`--metadata`) is not
known here (that of a source of pictures is), and near misses are not looked for.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock, Thread
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.gallery.fitting import FULL
from saev.gallery.judging import Judging
from saev.gallery.labels import LatentLabels
from saev.gallery.pages import Pages, Subject
from saev.gallery.recipe import Recipe
from saev.gallery.scripts import latent_value, picture_script
from saev.latents.encoding import Encoding, ImageCodes
from saev.latents.heatmaps import patch_codes
from saev.latents.labels import Labels
from saev.latents.pictures import RecordedPictures
from saev.latents.remembered import RememberedCodes, Stopped
from saev.latents.source_metadata import telling_columns
from saev.latents.survey import survey_images
from saev.nn import SparseAutoencoder
from saev.pages.embedding import jpeg
from saev.serving.asked import BadRequest
from saev.serving.turn import Turn
from saev.shards.tokens import TokenSelection

log = logging.getLogger(__name__)

MAX_PAGES: Final = 64
"""Pages that stay in memory, those asked for last."""
_FILE: Final = re.compile(r"([0-9]{8})\.(?:js|jpg)", re.ASCII)


@final
class MissingPages:
    """Makes what a gallery lacks; safe for several threads, one page at a time.

    Args:
        sae: The SAE, on its device.
        codes: Its codes of the recording, computed or saved.
        tokens: The recording, and which of the tokens.
        recipe: What the gallery was made from.
        max_value_s: What level 255 stands for, by latent.

    Raises:
        InputError: If the gallery was made from another recording.
    """

    def __init__(
        self,
        sae: SparseAutoencoder,
        codes: ImageCodes,
        tokens: TokenSelection,
        recipe: Recipe,
        max_value_s: NDArray[np.float32],
    ) -> None:
        reader = tokens.reader
        if reader.recording.content_id != recipe.shards or recipe.images.max(initial=-1) >= reader.n_examples:
            raise InputError(f"the gallery shows other pictures than those of {reader.path}: --shards names others")
        self._sae, self._tokens, self._recipe, self._max_value_s = sae, tokens, recipe, max_value_s
        self._codes = RememberedCodes(codes) if isinstance(codes, Encoding) else RememberedCodes(codes, 0)
        self._images = set(recipe.images.tolist())
        self._pictures = RecordedPictures(reader)
        self._records = reader.examples()
        self._made: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._starting, self._making = Lock(), Turn()
        self._thread: Thread | None = None
        self._pages: Pages | None = None
        self._fault: str | None = None

    def latent(self, text: str) -> dict[str, Any]:
        """The page of a latent, or how far its making is.

        Args:
            text: The number of the latent.

        Returns:
            {"page": as `saev.gallery.scripts.latent_value`, "pictures": [[image, name, label or null], ...]}, or, as
            long as the images are surveyed, {"done", "of"}: images.

        Raises:
            BadRequest: If there is no such latent, it fires nowhere, or the survey failed.
        """
        latent = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else -1
        if not 0 <= latent < self._sae.d_sae:
            raise BadRequest(f"latents are numbers from 0 to {self._sae.d_sae - 1}")
        self._start()
        if self._fault is not None:
            raise BadRequest(self._fault)
        pages = self._pages
        if pages is None:
            return {"done": min(self._codes.n_given, len(self._images)), "of": len(self._images)}
        if latent not in pages:
            raise BadRequest(f"latent {latent} never fired")
        with self._making:
            if latent not in self._made:
                page = pages.page(latent)
                records = [(image, self._records[image]) for image in sorted(page.shown)]
                told = [[image, record.path, record.label] for image, record in records]
                self._made[latent] = {"page": latent_value(page), "pictures": told}
            self._made.move_to_end(latent)
            while len(self._made) > MAX_PAGES:
                self._made.popitem(last=False)
            return self._made[latent]

    def file(self, parts: Sequence[str]) -> bytes | None:
        """A thumbnail, or the script of a picture, by its path in the gallery; None for anything else.

        Raises:
            InputError: If a shard is damaged.
        """
        found = _FILE.fullmatch(parts[-1])
        image = int(found[1]) if found else -1
        if image not in self._images:
            return None
        if list(parts[:-1]) == ["images"] and parts[-1].endswith(".jpg"):
            view = self._pictures[image].view
            return None if view is None else jpeg(view, *FULL)[0]
        patches = self._codes.spots.patches
        if list(parts[:-1]) != ["data", "pictures"] or not parts[-1].endswith(".js") or not patches:
            return None
        with self._making:
            ((_, codes),) = self._codes.each([image], None)
        return picture_script(patch_codes(codes.at(patches), self._max_value_s)).encode("ascii")

    def finish(self, timeout: float = 10) -> None:
        """End the survey, and wait for what is being made, for so many seconds at most."""
        self._codes.stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
        self._making.end(timeout)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._survey, daemon=True)
                self._thread.start()

    def _survey(self) -> None:
        recipe = self._recipe
        try:
            labels = Labels.of(self._tokens.reader, telling_columns(self._tokens.reader))
            found = survey_images({"": self._codes}, recipe.images, labels, top_k=recipe.top_k, seed=recipe.seed)[""]
            alive = found.moments.fires.nonzero().squeeze(1).tolist()
            subject = Subject(self._sae, self._codes, found)
            counted, spots = LatentLabels(found, labels), self._codes.spots
            judging = Judging(self._sae, spots, found, labels, self._tokens, counted.best(), recipe.seed)
            self._pages = Pages(subject, alive, counted, recipe.sort_by, judging=judging)
        except Stopped:
            return
        except InputError as error:
            self._fault = f"the recorded pictures could not be looked at: {error}"
        except Exception as error:
            log.exception("a survey failed")
            self._fault = f"the recorded pictures could not be looked at: {type(error).__name__}: {error}"
