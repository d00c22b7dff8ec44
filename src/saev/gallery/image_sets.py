"""Image sets of a gallery: the first one lies in its root, each further one, of the same latents, in `sets/NAME/`."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.artifacts import provenance_of
from saev.artifacts.comparable import held_out_for
from saev.errors import InputError, tell
from saev.files import UnreadableFile, read_regular
from saev.gallery.options import SET_NAME
from saev.gallery.overview import Overview, read_overview
from saev.gallery.scripts import read_script
from saev.latents.half import Half
from saev.nn import SparseAutoencoder
from saev.pages.embedding import data_script
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection
from saev.vit.weights import weights_digest

TRAINING: Final = "training"
HELD_OUT: Final = "held_out"
ALL: Final = "all"
EARLIER: Final = "earlier"
"""Of a gallery of an earlier version, which does not say of which images it is."""
TITLES: Final = {TRAINING: "training", HELD_OUT: "held out", ALL: "training and held out", EARLIER: "earlier"}
SETS_FOLDER: Final = "sets"
OVERVIEW: Final = Path("data") / "overview.js"
SETS_FILE: Final = Path("data") / "sets.js"
MAX_BYTES: Final = 2**31


@final
@dataclass(frozen=True)
class ImageSet:
    """Images that are looked at together."""

    name: str  # Tells it from other sets of a gallery; its folder, unless it is the first one.
    title: str  # What it is called.
    shards: str = ""  # Content ids of the recording; empty where they are not known.
    images: str = ""  # Digest of the numbers of the images.
    half: Half | None = None  # The half of the pictures that it keeps to, where it keeps to one.

    @classmethod
    def of(
        cls,
        tokens: TokenSelection,
        saes: Iterable[SparseAutoencoder],
        *,
        name: str | None = None,
        kind: str | None = None,
        half: Half | None = None,
    ) -> Self:
        """What some images are for SAEs.

        Args:
            saes: The SAEs: images that trained them are told from those that were held out.
            name: By default what the images are, otherwise the name of their directory.
            kind: `TRAINING` or `HELD_OUT`, where that is known already.
            half: The half of the pictures that these are of, if any.
        """
        reader = tokens.reader
        kind = kind or _kind(tokens, saes)
        own = kind or re.sub(r"[^\w.+-]+", "_", reader.path.resolve().name).lstrip("._+-")[:100] or "pictures"
        title = TITLES.get(own) or data_set_name(reader)
        return cls(
            name=name or (own if half is None else f"{own}_half"),
            title=TITLES.get(name, name) if name else title if half is None else f"{title}, proposal half",
            shards=" + ".join(one.recording.content_id for one in tokens.readers),
            images=hashlib.sha256(tokens.examples.astype("<i8").tobytes()).hexdigest()[:16],
            half=half,
        )

    def shows_the_same(self, other: Self) -> bool:
        """Whether both are known to be of the same images."""
        return bool(self.shards) and (self.shards, self.images) == (other.shards, other.images)


@final
@dataclass(frozen=True)
class Place:
    """Where an image set goes in a gallery."""

    image_set: ImageSet  # The set.
    sets: Sequence[ImageSet]  # All sets that the gallery then has, the first one first.
    first: Overview | None = None  # What the first one says until now, if there is one.
    before: Overview | None = None  # What stands in the place itself until now, if anything does.
    lost: Sequence[ImageSet] = ()  # Sets of another SAE that the gallery had until now.

    @property
    def is_first(self) -> bool:
        """Whether the set is the first one, which decides which latents the others show, and how bright."""
        return self.sets[0] == self.image_set

    @property
    def folder(self) -> Path:
        """The folder of its data and images, from the gallery's on."""
        return Path() if self.is_first else folder_of(self.image_set)

    @classmethod
    def find(cls, gallery: Path, sae: str, wanted: ImageSet, *, is_named: bool = False) -> Self:
        """Where a set goes: to the place of the one of the same images, or beside those that are there.

        Args:
            gallery: The gallery's folder, which need not be there.
            sae: The id of its SAE; a gallery of another one begins anew.
            is_named: Whether its name was asked for: it then takes no other name, and the place of none that has
                another one.

        Raises:
            InputError: If a set of other images has the name that was asked for.
        """
        restore(gallery)
        found = read_sets(gallery)
        first = overview_of(gallery) if found else None
        if first is None or first.sae_id != sae:
            return cls(wanted, [wanted], lost=found)
        names = [one.name for one in found]
        if is_named and wanted.name in names and not wanted.shows_the_same(found[names.index(wanted.name)]):
            raise InputError(
                f"{gallery} has an image set {wanted.name} of other images: give another --visualizer.image_set"
            )
        same = [one for one in found if one.shows_the_same(wanted) and (one.name == wanted.name or not is_named)]
        if not same:
            own = _renamed(wanted, names)
            return cls(own, [*found, own], first)
        before = first if same[0] == found[0] else overview_of(gallery / folder_of(same[0]))
        return cls(same[0], found, first, before)


def folder_of(image_set: ImageSet) -> Path:
    """The folder of a set that is not the first one, from the gallery's on."""
    return Path(SETS_FOLDER) / image_set.name


def sae_id(sae: SparseAutoencoder) -> str:
    """A digest of the weights: it identifies an SAE, whatever it is called and wherever it lies."""
    return weights_digest(sae)[:16]


def find_places(
    saes: Mapping[str, SparseAutoencoder], image_set: ImageSet, out: Path, *, is_named: bool = False
) -> dict[str, Place]:
    """Where an image set goes in the gallery of each SAE.

    Raises:
        InputError: If its name was asked for, and is that of other images.
    """
    return {name: Place.find(out / name, sae_id(sae), image_set, is_named=is_named) for name, sae in saes.items()}


def tell_of(place: Place, gallery: Path, latents: Sequence[int], max_value_s: NDArray[np.float32]) -> None:
    """Say where a set goes, that shows some latents and their largest values, and what becomes of the others."""
    names = [one.name for one in place.sets]
    if len(place.lost) > 1:
        lost = ", ".join(one.name for one in place.lost)
        tell(f"{gallery} was of another SAE, or cannot be read: its image sets {lost} are gone")
    if place.first is None:
        return
    if place.before is None:
        tell(f"{gallery}: image set {names[-1]} beside {', '.join(names[:-1])}, of the same {len(latents):,} latents")
        if names[0] == EARLIER:
            tell(f"{gallery}: which images {EARLIER} shows is not known: remove the folder to begin anew")
    elif place.is_first and len(names) > 1:
        first = place.first
        if not {*first.pages} <= {*latents} or not np.array_equal(first.max_value, max_value_s):
            tell(f"{gallery}: render {', '.join(names[1:])} again: of {names[0]}, latents or scale have changed")


def restore(gallery: Path) -> None:
    """Bring a gallery back whose new version was to take its place when the process was killed."""
    old = gallery.parent / f".{gallery.name}.old"
    if old.exists() and not gallery.exists():
        old.rename(gallery)


def read_sets(gallery: Path) -> list[ImageSet]:
    """The image sets of a gallery, the first one first; none where there is no gallery."""
    if not (gallery / OVERVIEW).is_file():
        return []
    try:
        value = read_script(read_regular(gallery / SETS_FILE, MAX_BYTES).decode("ascii"))
        found = [_image_set(one) for one in value["sets"]]
    except (UnreadableFile, ValueError, TypeError, KeyError, AttributeError):
        return [ImageSet(EARLIER, TITLES[EARLIER])]
    return [one for number, one in enumerate(found) if not number or (gallery / folder_of(one)).is_dir()]


def sets_script(sets: Sequence[ImageSet]) -> str:
    """The list of a gallery's image sets, for its page and for `read_sets`."""
    listed = [{"folder": one.name if number else "", **asdict(one)} for number, one in enumerate(sets)]
    return data_script({"sets": listed})


def data_set_name(reader: ShardReader) -> str:
    """What a recorded data set is called: the end of its path, or its name."""
    dataset = reader.recording.dataset.strip()
    if dataset.startswith(("/", "~")) or "\\" in dataset:
        dataset = "/".join(re.split(r"[/\\]+", dataset.rstrip("/\\"))[-2:]).lstrip("/")
    return dataset[-80:] or reader.path.resolve().name


def shown_tokens(data: Sequence[TokenSelection], *, tells: bool = True) -> TokenSelection:
    """What galleries show of data sets: the tokens of the first one, with those that training ignores."""
    if len(data) > 1 and tells:
        tell(f"the gallery shows the first of {len(data)} data sets: {data[0].reader.path}")
    return replace(data[0], kept=None)


def not_held_out(tokens: TokenSelection, saes: Iterable[SparseAutoencoder]) -> TokenSelection:
    """The tokens of images that were not held out of training, of all images where there are no others."""
    held_out = held_out_for(map(provenance_of, saes), tokens.reader)
    others = tokens.examples if held_out is None else np.setdiff1d(tokens.examples, held_out)
    return tokens.among(others) if 0 < len(others) < len(tokens.examples) else tokens


def _kind(tokens: TokenSelection, saes: Iterable[SparseAutoencoder]) -> str | None:
    held_out = held_out_for(map(provenance_of, saes), tokens.reader)
    if held_out is None:
        return None
    is_held_out = np.isin(tokens.examples, held_out)
    return HELD_OUT if is_held_out.all() else ALL if is_held_out.any() else TRAINING


def _renamed(wanted: ImageSet, names: Sequence[str]) -> ImageSet:
    """With a number if others have its name."""
    number = next(number for number in range(1, len(names) + 2) if _numbered(wanted.name, number) not in names)
    title = wanted.title if number == 1 else f"{wanted.title} ({number})"
    return ImageSet(_numbered(wanted.name, number), title, wanted.shards, wanted.images, wanted.half)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def overview_of(folder: Path) -> Overview | None:
    """What a set says; None where that cannot be read."""
    try:
        return read_overview(read_regular(folder / OVERVIEW, MAX_BYTES).decode("ascii"))
    except (UnreadableFile, ValueError):
        return None


def _image_set(value: Any) -> ImageSet:
    half = value.get("half")
    name, title, shards, images = (value[key] for key in ("name", "title", "shards", "images"))
    if not all(isinstance(text, str) for text in (name, title, shards, images)) or not SET_NAME.fullmatch(name):
        raise ValueError("no image set")
    return ImageSet(name, title, shards, images, half and Half(int(half["seed"]), tuple(map(str, half["group"]))))
