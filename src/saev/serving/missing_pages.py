"""What an image set of a gallery lacks, made when the page asks for it: pages of latents and of pictures, thumbnails.

The survey of the set's images, from which pages come, is made anew in the background at the first request. It is the
same survey, so that a page says what the gallery would have said. Only a table of the user's (`--metadata`) is not
known here (that of a source of pictures is).
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
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
from saev.latents.remembered import KEPT_BYTES, RememberedCodes, Stopped
from saev.latents.source_metadata import telling_columns
from saev.latents.survey import survey_images
from saev.nn import SparseAutoencoder
from saev.pages.embedding import jpeg
from saev.serving.asked import BadRequest
from saev.serving.turn import Ended, Turn, Wanted, always
from saev.shards.tokens import TokenSelection

log = logging.getLogger(__name__)

MAX_PAGES: Final = 64
"""Pages that stay in memory, those asked for last."""
_FILE: Final = re.compile(r"([0-9]{8})\.(?:js|jpg)", re.ASCII)


@final
class MissingPages:
    """Makes what an image set lacks; safe for several threads, one page at a time.

    Args:
        sae: The SAE, on its device.
        codes: Its codes of the recording, computed or saved.
        tokens: The recording, and which of the tokens.
        recipe: What the set was made from, of that recording.
        scale_s: What level 255 stands for, by latent.
        surveying: Held while images are surveyed, which takes long, and much memory.
        n_bytes: Upper bound of the codes that are kept.

    Raises:
        InputError: If the recording has fewer images.
    """

    def __init__(
        self,
        sae: SparseAutoencoder,
        codes: ImageCodes,
        tokens: TokenSelection,
        recipe: Recipe,
        scale_s: NDArray[np.float32],
        surveying: Lock,
        n_bytes: int = KEPT_BYTES,
    ) -> None:
        reader = tokens.reader
        if recipe.images.max(initial=-1) >= reader.n_examples:
            raise InputError(f"it shows pictures that {reader.path} does not have")
        self._sae, self._tokens, self._recipe, self._scale_s = sae, tokens, recipe, scale_s
        self._codes = RememberedCodes(codes, n_bytes if isinstance(codes, Encoding) else 0)
        self._images = set(recipe.images.tolist())
        self._pictures = RecordedPictures(reader)
        self._records = reader.examples()
        self._made: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._starting, self._making, self._surveying = Lock(), Turn(), surveying
        self._thread: Thread | None = None
        self._waits = True  # until its survey begins
        self._pages: Pages | None = None
        self._fault: str | None = None

    def latent(self, text: str, is_wanted: Wanted = always) -> dict[str, Any]:
        """The page of a latent, or how far its making is.

        Args:
            text: The number of the latent.
            is_wanted: Asked when its turn comes, and before each batch of pictures.

        Returns:
            {"page": as `saev.gallery.scripts.latent_value`, "pictures": [[image, name, label or null], ...]}, or, as
            long as the images are surveyed, {"done", "of": images, "waits": whether those of another set come first}.

        Raises:
            BadRequest: If there is no such latent, it fires nowhere, or the survey failed.
            InputError: If a shard is damaged.
            Left: If the page is not wanted any more.
        """
        latent = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else -1
        if not 0 <= latent < self._sae.d_sae:
            raise BadRequest(f"latents are numbers from 0 to {self._sae.d_sae - 1}")
        self._start()
        if self._fault is not None:
            raise BadRequest(self._fault)
        pages = self._pages
        if pages is None:
            return {"done": min(self._codes.n_given, len(self._images)), "of": len(self._images), "waits": self._waits}
        if latent not in pages:
            raise BadRequest(f"latent {latent} never fired")
        with self._turn(is_wanted):
            if latent not in self._made:
                page = pages.page(latent, partial(self._making.check, is_wanted))
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
        with self._turn(always):
            ((_, codes),) = self._codes.each([image], None)
        return picture_script(patch_codes(codes.at(patches), self._scale_s)).encode("ascii")

    def stop(self) -> None:
        """End the survey at its next batch."""
        self._codes.stop.set()

    def finish(self, timeout: float = 10) -> None:
        """End the survey, and wait for what is being made, for so many seconds at most."""
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout)
        self._making.end(timeout)

    @contextmanager
    def _turn(self, is_wanted: Wanted) -> Iterator[None]:
        try:
            with self._making.of(is_wanted):
                yield
        except Stopped as error:
            raise Ended("the server ends") from error

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._survey, daemon=True)
                self._thread.start()

    def _survey(self) -> None:
        try:
            with self._surveying:
                self._waits = False
                self._pages = self._surveyed()
        except Stopped:
            return
        except InputError as error:
            self._fault = f"the recorded pictures could not be looked at: {error}"
        except Exception as error:
            log.exception("a survey failed")
            self._fault = f"the recorded pictures could not be looked at: {type(error).__name__}: {error}"

    def _surveyed(self) -> Pages:
        recipe, tokens = self._recipe, self._tokens
        labels = Labels.of(tokens.reader, telling_columns(tokens.reader))
        found = survey_images({"": self._codes}, recipe.images, labels, top_k=recipe.top_k, seed=recipe.seed)[""]
        alive = found.moments.fires.nonzero().squeeze(1).tolist()
        subject, counted = Subject(self._sae, self._codes, found), LatentLabels(found, labels)
        judging = Judging(self._sae, self._codes.spots, found, labels, tokens, counted.best(), recipe.seed)
        return Pages(subject, alive, counted, recipe.sort_by, judging=judging, scale_s=self._scale_s)


PagesOfSets = Mapping[str, MissingPages | str]
"""By the folder of the image set, "" for the first one; where there is nothing that makes pages, why not."""
