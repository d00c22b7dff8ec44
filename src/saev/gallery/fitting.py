"""The pages and pictures of a gallery, as many as fit into its size.

Pages come in the order of preference. Each is written whole if it then leaves room for small pages of all later ones,
small if not, and not at all if there is no room for that. What counts is the bytes of all files: scripts, thumbnails,
and what the overview says of each picture.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from saev.gallery.by_picture import mask_bytes
from saev.gallery.data import Gallery, LatentPage
from saev.gallery.scripts import LEFT_OUT, SMALL_A_FILE, PictureEntry, latent_value, packed_script, picture_script
from saev.gallery.search_script import SEARCH_ENTRY, SearchIndex
from saev.latents.heatmaps import PatchCodes
from saev.latents.pictures import Picture
from saev.pages.embedding import ascii_json, jpeg
from saev.shards.tokens import random_subset

FULL: Final = (288, 85)
"""Longest side and JPEG quality of thumbnails."""
SMALL: Final = (128, 75)
"""Of those that small pages alone show."""
PICTURES_SHARE: Final = 0.3  # Of the size, for pages of pictures.
_N_MEASURED: Final = 16  # Thumbnails.
_N_OPENED: Final = 4  # Pages of pictures.
_EVERY: Final = 16  # Of so many pages that are written whole, the size of one is measured as a small one.
_SLACK: Final = 1.3  # How much more than there is said to be room for is made ready.
_SMALL_PAGE: Final = 1000  # Bytes of a small page, as long as none was written.
_HEATMAP: Final = 40  # Bytes of a heatmap, with what is said of the picture beside it.
_PAGE_ENTRY: Final = 8 + SEARCH_ENTRY  # Bytes of a latent in the overview and in what is searched.


@final
@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a gallery come from."""

    get: Callable[[int], Picture]  # A picture by its id. For one that is missing a grey tile is shown.
    codes: Callable[[Sequence[int]], Iterator[tuple[int, PatchCodes]]] | None = None
    """What fires where in pictures, given by their ids, ascending; None where no patches are encoded."""
    n_opened: int = 0  # Upper bound of the pictures that get a page of their own, a random choice.
    seed: int = 0  # Fixes it.
    others: Sequence[int] = ()
    """Ids, ascending, of pictures that the gallery has whether pages show them or not: they get thumbnails as long as
    it has fewer than `n_opened`."""
    named: Callable[[int], Picture] | None = None  # A picture of which nothing but the name is needed.


@final
@dataclass(frozen=True)
class Budget:
    """How large a gallery may become, and what is known of it beforehand."""

    n_bytes: int  # Its size.
    n_pages: int  # Pages that are coming.
    images: frozenset[int]  # Ids of all pictures that these show as small ones.
    thumbnail: float  # Mean bytes of a thumbnail.
    small_thumbnail: float  # Mean bytes of a small one.
    opened: float  # Bytes that pages of pictures would like to have.

    @classmethod
    def of(cls, n_bytes: int, n_pages: int, images: Iterable[int], pictures: Pictures) -> "Budget":
        """Measure a few pictures."""
        ids = sorted(images)
        some = [ids[i] for i in random_subset(len(ids), _N_MEASURED, pictures.seed)]
        views = [view for view in (pictures.get(image).view for image in some) if view is not None]
        large, small = (sum(len(jpeg(view, *look)[0]) for view in views) / max(1, len(some)) for look in (FULL, SMALL))
        opened = 0.0
        if pictures.codes is not None and some and pictures.n_opened:
            opened = pictures.n_opened * _mean_of_opened(pictures, some)
        return cls(n_bytes, n_pages, frozenset(ids), large, small, min(opened, PICTURES_SHARE * n_bytes))

    def n_ready(self, pages: Iterable[Sequence[int]]) -> int:
        """How many of the first pages are made with all their pictures, of which some may not get the room.

        Heatmaps of the others would be made for nothing, and images encoded.
        """
        small = len(self.images) * self.small_thumbnail + self.n_pages * _SMALL_PAGE
        left = _SLACK * (self.n_bytes - self.opened - small)
        seen: set[int] = set()
        for number, images in enumerate(pages):
            new = [image for image in images if image not in seen]
            seen.update(new)
            left -= len(images) * _HEATMAP + len(new) * self.thumbnail
            if left < 0:
                return number
        return self.n_pages


def _mean_of_opened(pictures: Pictures, ids: Sequence[int]) -> float:
    assert pictures.codes is not None, "asked for"
    sizes = [len(picture_script(codes)) for _, codes in pictures.codes(sorted(ids[:_N_OPENED]))]
    return sum(sizes) / len(sizes)


@final
class PageWriter:
    """Writes pages, thumbnails and pages of pictures into the folder of a gallery.

    Args:
        budget: How large the gallery may become; by default as large as it gets.
        n_written: Bytes of what is there already, and of an overview without pages.

    Attributes:
        full: Latents with a whole page.
        small: Latents with a small page, in the order of their files.
        entries: What the overview says of pictures.
        searched: What the search finds of latents that have a page.
    """

    def __init__(self, root: Path, gallery: Gallery, pictures: Pictures, budget: Budget | None, n_written: int) -> None:
        self.full: list[int] = []
        self.small: list[int] = []
        self.entries: dict[int, PictureEntry] = {}
        self.searched = SearchIndex()
        self._root, self._gallery, self._pictures, self._budget = root, gallery, pictures, budget
        self._left = math.inf if budget is None else budget.n_bytes - n_written
        self._undrawn = set() if budget is None else set(budget.images)
        self._n_done, self._small_sizes = 0, [0.0, 0.0]  # how many were measured, and their bytes
        self._pending: list[dict[str, Any]] = []  # of the next file of small pages
        self._pending_bytes = 0
        self._takes_full = self._takes_small = True

    def add(self, page: LatentPage) -> None:
        """Write a page as large as it may be."""
        self._n_done += 1
        full = latent_value(page) if not page.is_small and self._takes_full else None
        if full is not None and self._add_full(page, full):
            return
        if self._takes_small:
            self._takes_small = self._add_small(page.small())

    def finish(self) -> None:
        """Write what is left: the last small pages, pictures that none shows, and pages of pictures."""
        self._end_file()
        self._add_others()
        self._open_pictures()

    def _add_full(self, page: LatentPage, value: dict[str, Any]) -> bool:
        script = packed_script(value)
        if self._budget is not None and self._n_done % _EVERY == 1:
            self._measure(page.small())
        n_bytes = len(script) + _PAGE_ENTRY
        if n_bytes > self._left - self._kept():  # without a look at its pictures
            self._takes_full = False
            return False
        drawn = self._drawn(page.shown, FULL)
        if n_bytes + sum(one.n_bytes for one in drawn) > self._left - self._kept(but=page.shown):
            self._takes_full = False
            return False
        self._take(drawn)
        self._put(f"data/latents/{page.index:06d}.js", script)
        self._left -= _PAGE_ENTRY
        self.full.append(page.index)
        self.searched.add(page)
        return True

    def _add_small(self, page: LatentPage) -> bool:
        value = latent_value(page)
        n_bytes = self._measure(page) + _PAGE_ENTRY
        drawn = self._drawn(page.shown, SMALL)
        if n_bytes + sum(one.n_bytes for one in drawn) > self._left:
            return False
        self._take(drawn)
        self._pending.append(value)
        self._pending_bytes += n_bytes - _PAGE_ENTRY
        self._left -= n_bytes  # together they take less, which is seen at the end of the file
        self.small.append(page.index)
        self.searched.add(page)
        if len(self._pending) == SMALL_A_FILE:
            self._end_file()
        return True

    def _measure(self, page: LatentPage) -> int:
        """Bytes of a small page, which later ones are judged by."""
        n_bytes = len(packed_script([latent_value(page)]))
        self._small_sizes = [self._small_sizes[0] + 1, self._small_sizes[1] + n_bytes]
        return n_bytes

    def _kept(self, but: Iterable[int] = ()) -> float:
        """Bytes for small pages of all later latents, for their pictures but for some, and for pages of pictures."""
        if self._budget is None:
            return 0.0
        n, n_bytes = self._small_sizes
        pages = (self._budget.n_pages - self._n_done) * (n_bytes / max(1, n) + _PAGE_ENTRY)
        n_pictures = len(self._undrawn) - sum(image in self._undrawn for image in but)
        return pages + n_pictures * (self._budget.small_thumbnail + _ENTRY) + self._budget.opened

    def _drawn(self, images: Iterable[int], look: tuple[int, int]) -> "list[_Drawn]":
        """Thumbnails of the pictures that have none."""
        return [self._draw(self._pictures.get(image), look) for image in sorted(images) if image not in self.entries]

    def _draw(self, picture: Picture, look: tuple[int, int]) -> "_Drawn":
        content, size = b"", LEFT_OUT if picture.is_left_out else None
        if picture.view is not None:
            content, size = jpeg(picture.view, *look)
        entry = PictureEntry(picture.name, picture.label, size)
        return _Drawn(picture.image_id, content, entry, len(content) + self._entry_bytes(picture.image_id, entry))

    def _entry_bytes(self, image: int, entry: PictureEntry) -> int:
        """Upper bound of what the overview, and scripts of masks, say of a picture."""
        told = [image, entry.name, 10**7, *(entry.size or ()), entry.label, image]  # again with those that are alike
        for column in self._gallery.metadata:
            number = int(column.numbers_i[image])
            told += [10**8, column.values[number] if number >= 0 else None]
        masks = self._gallery.masks
        return len(ascii_json(told)) + 20 + (0 if masks is None else mask_bytes(masks, image) + 16)

    def _take(self, drawn: "Iterable[_Drawn]") -> None:
        for one in drawn:
            if one.content:
                # Not Pillow: it does not say why a file cannot be written.
                (self._root / "images" / f"{one.image:08d}.jpg").write_bytes(one.content)
            self.entries[one.image] = one.entry
            self._undrawn.discard(one.image)
            self._left -= one.n_bytes

    def _end_file(self) -> None:
        if self._pending:
            self._left += self._pending_bytes
            number = (len(self.small) - 1) // SMALL_A_FILE
            self._put(f"data/small/{number:06d}.js", packed_script(self._pending))
            self._pending, self._pending_bytes = [], 0

    def _add_others(self) -> None:
        pictures = self._pictures
        others = [image for image in pictures.others if image not in self.entries]
        n_drawn = max(0, pictures.n_opened - len(self.entries))
        drawn = {others[i] for i in random_subset(len(others), n_drawn, pictures.seed)}
        opened = 0.0 if self._budget is None else self._budget.opened
        for image in others:
            one = self._draw(pictures.get(image), SMALL) if image in drawn else None
            if (one is None or one.n_bytes > self._left - opened) and pictures.named is not None:
                one = self._draw(pictures.named(image), SMALL)
            if one is None or one.n_bytes > self._left:
                return
            self._take([one])

    def _open_pictures(self) -> None:
        pictures = self._pictures
        ids = sorted(image for image, entry in self.entries.items() if entry.size != LEFT_OUT)
        if pictures.codes is None or not ids:
            return
        most = pictures.n_opened
        if self._budget is not None and most:
            mean = _mean_of_opened(pictures, [ids[i] for i in random_subset(len(ids), _N_OPENED, pictures.seed)])
            most = min(most, max(0, int(0.95 * self._left / mean)))
        chosen = [ids[i] for i in random_subset(len(ids), most, pictures.seed)]
        for image, codes in pictures.codes(chosen) if chosen else ():
            script = picture_script(codes)
            if len(script) <= self._left:
                self._put(f"data/pictures/{image:08d}.js", script)

    def _put(self, name: str, text: str) -> None:
        (self._root / name).write_text(text, encoding="ascii")
        self._left -= len(text)


_ENTRY: Final = 60  # Bytes that the overview is thought to say of a picture.


@final
@dataclass(frozen=True)
class _Drawn:
    image: int
    content: bytes
    entry: PictureEntry
    n_bytes: int
