"""The pairs of a set: which pictures are edited, and how they are written."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image

from saev.errors import InputError, tell
from saev.files import read_regular
from saev.probing.pictures.units import Units
from saev.probing.sets.edits import MASKED_EDITS, Edited, Mask, edited, other_light, strength
from saev.probing.sets.files import read_picture
from saev.probing.sets.image_set import ImageSet, SetPicture
from saev.probing.sets.paired_set import FOLDERS, PAIRS, PAIRS_FILE, EditedPair, PairedEdit, PairedSet
from saev.probing.sets.wanted_pairs import FEWEST, Pair, WantedPairs
from saev.probing.statistics.arrays import Bools
from saev.progress import progress_bar
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.strict_json import located
from saev.vit.images.base import MAX_FILE_BYTES
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing


@final
@dataclass(frozen=True)
class Pairing:
    """Makes the pairs of sets."""

    wanted: WantedPairs  # Which.
    records: Sequence[ExampleRecord]  # The pictures of the recording.
    units: Units  # What of them belongs together.
    is_test_i: Bools  # Whether each is in the test half.
    preprocessing: Preprocessing  # Of the recording: what the ViT saw of a picture is what is edited.

    def add_to(self, directory: Path, made: ImageSet, attribute: str) -> ImageSet:
        """Write the pairs of a set, and give the set that names them; where none are wanted, the set as it is.

        A line counts them.

        Edited are pictures of the sample that have the attribute, or of which nobody knows yet. What the latents do on
        them plays no part: where they happen to fire strongly, any change would weaken them.

        Args:
            attribute: What edits take away or leave.

        Raises:
            InputError: If fewer than six pairs of an edit can be made, a picture or a mask is not what it should be,
                one of the two folders has a picture of the half that proposed the hypotheses, or the preprocessing
                cannot take pictures as the ViT saw them.
        """
        wanted = self.wanted
        if not wanted.edits and not wanted.folders:
            return made
        height, width = self.preprocessing.image_size
        self.preprocessing.tensor_of_view(Image.new("RGB", (width, height)))  # a test will need it
        recipe: dict[str, object] = {"n_pairs": wanted.n}
        found: list[PairedEdit] = []
        with located(f"hypothesis {made.hypothesis}"):
            if wanted.edits:
                found, recipe["left_out"] = self._edits(directory, made, attribute)
            if wanted.masks is not None:
                recipe["object"] = wanted.masks.class_of(attribute)
            if wanted.folders:
                found.append(self._of_folders(directory, made.seed))
        said = ", ".join(f"{len(one.pairs)} of {one.name}" for one in found)
        if wanted.masks is not None and recipe["object"] is None:
            said += f"; no class of the masks is called {attribute!r}: all but the background is the object"
        tell(f"{made.hypothesis}: pairs: {said}")
        origin = made.hypothesis, made.hypotheses, made.sae, made.shards
        pairs = PairedSet(*origin, recipe, made.seed, tuple(found))
        pairs.write(directory / PAIRS_FILE)
        return replace(made, recipe={**made.recipe, "pairs": pairs.digest})

    def _edits(self, directory: Path, made: ImageSet, attribute: str) -> tuple[list[PairedEdit], dict[str, int]]:
        """Edited pairs, and how many pictures were left out of each edit that left some out."""
        sample = [one for one in made.pictures if one.stratum is not None]
        may = [one for one in sample if one.label is not False]
        chosen = _some(len(may), self.wanted.n, made.seed)
        pairs: dict[str, list[EditedPair]] = {name: [] for name in self.wanted.edits}
        left_out: Counter[str] = Counter()
        view = self.preprocessing.view
        for place in progress_bar(chosen, desc=f"edits for {made.hypothesis}", unit=" images"):
            one = may[place]
            picture = decode(read_picture(directory, one), one.path)
            mask = self._mask(one, picture, attribute)
            original = _Original(one.id, one.path, one.group, (one.sha256,), view(picture))
            for number, (name, own) in enumerate(pairs.items()):
                rng = np.random.default_rng([made.seed, number, place])
                other = _background(one, sample, rng) if name == "background-swapped" else None
                behind = None if other is None else view(decode(read_picture(directory, other), other.path))
                changed = _changed(original.view, name, mask, behind, rng)
                if changed is None:
                    left_out[name] += 1
                else:
                    own.append(original.pair(directory / PAIRS, name, changed, other and other.id))
        for name, own in pairs.items():
            _check_enough(f"edit {name!r}", len(own), f"{len(chosen)} pictures that have the attribute or may have it")
        return [PairedEdit(name, self.wanted.edits[name], tuple(own)) for name, own in pairs.items()], dict(left_out)

    def _of_folders(self, directory: Path, seed: int) -> PairedEdit:
        some, pairs, of_recorded = self.wanted.folders, [], self._units_of_recorded
        chosen = _some(len(some), self.wanted.n, seed)
        for place in progress_bar(chosen, desc="pairs of two folders", unit=" pairs"):
            before, after, sources = self._both(some[place])
            recorded = [of_recorded[one] for one in sources if one in of_recorded]
            if not all(is_test for _, is_test in recorded):
                raise InputError(
                    f"pair '{some[place].name}' has a picture of the half that proposed the hypotheses: leave it out"
                )
            placebo = other_light(before, after, np.random.default_rng([seed, place]))
            changed = Edited(after, placebo, strength(before, after), strength(before, placebo))
            if changed.strength > 0:
                # Pairs of one picture, changed in several ways, are one observation.
                group = recorded[0][0] if recorded else sources[0]
                original = _Original(f"f{place + 1:03d}", some[place].name, group, sources, before)
                pairs.append(original.pair(directory / PAIRS, FOLDERS, changed))
        _check_enough("pairs of two folders", len(pairs), f"{len(chosen)} that differ or not")
        return PairedEdit(FOLDERS, "adds", tuple(pairs))

    def _both(self, pair: Pair) -> tuple[Image.Image, Image.Image, tuple[str, str]]:
        """Both pictures of a pair as the ViT sees them, and the SHA-256 of their files."""
        first, second = (read_regular(path, MAX_FILE_BYTES) for path in (pair.before, pair.after))
        sources = hashlib.sha256(first).hexdigest(), hashlib.sha256(second).hexdigest()
        view = self.preprocessing.view
        return view(decode(first, str(pair.before))), view(decode(second, str(pair.after))), sources

    @property
    def _units_of_recorded(self) -> dict[str, tuple[str, bool]]:
        """The unit of each recorded picture, by its digest, and whether that is in the test half."""
        rows = zip(self.records, self.units.group_i.tolist(), self.is_test_i.tolist(), strict=True)
        return {record.digest: (self.units.names[group], is_test) for record, group, is_test in rows}

    def _mask(self, one: SetPicture, picture: Image.Image, attribute: str) -> Mask | None:
        masks = self.wanted.masks
        if masks is None or one.image is None:  # masks are of recorded pictures
            return None
        return masks.object_of(one.path, picture.size, attribute, self.preprocessing.nearest)


@final
@dataclass(frozen=True)
class _Original:
    """What is changed: see `EditedPair`."""

    id: str
    name: str
    group: str
    sources: tuple[str, ...]
    view: Image.Image

    def pair(self, root: Path, edit: str, changed: Edited, background: str | None = None) -> EditedPair:
        """Write the three pictures of a pair."""
        before = _put(root / "before" / f"{self.id}.png", self.view)
        after = _put(root / edit / f"{self.id}.png", changed.picture)
        placebo = _put(root / edit / f"{self.id}-placebo.png", changed.placebo)
        return EditedPair(
            self.id, self.name, self.group, self.sources, background, before, after, placebo, changed.strength,
            changed.placebo_strength,
        )  # fmt: skip


def _put(path: Path, picture: Image.Image) -> str:
    """Write a picture; the SHA-256 of its file."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def _some(n: int, most: int, seed: int) -> list[int]:
    """At most so many of n, at random, ascending."""
    return sorted(np.random.default_rng(seed).permutation(n)[:most].tolist())


def _changed(
    view: Image.Image, name: str, mask: Mask | None, behind: Image.Image | None, rng: np.random.Generator
) -> Edited | None:
    """What an edit makes; None where there is no object, nothing but the object, or nothing that the edit changes.

    Pictures that an edit leaves as they are, as grey ones that lose their colour, say nothing of it.
    """
    if name in MASKED_EDITS and (mask is None or not 0 < mask.sum() < mask.size):
        return None
    found = edited(view, name, rng, mask=mask, other=behind)
    return found if found.strength > 0 else None


def _background(one: SetPicture, sample: Sequence[SetPicture], rng: np.random.Generator) -> SetPicture:
    """Another picture, which lacks the attribute, or of which nobody knows."""
    others = [other for other in sample if other.label is not True and other.group != one.group]
    if not others:
        raise InputError("background-swapped needs another picture: the sample has none")
    return others[int(rng.integers(len(others)))]


def _check_enough(what: str, n: int, of: str) -> None:
    if n < FEWEST:
        raise InputError(f"{what}: only {n} can be made of {of}; {FEWEST} are needed")
