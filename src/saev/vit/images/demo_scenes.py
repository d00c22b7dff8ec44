"""Generated scenes as pictures: what is in them is known without a file."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from PIL import Image
from typing_extensions import override

from saev.errors import InputError, WrongArgument
from saev.progress import progress_bar
from saev.scenes.captions import check_value
from saev.scenes.drawing import draw, object_mask
from saev.scenes.factors import FACTORS, OBJECT_FACTORS, SHAPES, SIDE, Scene
from saev.scenes.pairs import without_value
from saev.scenes.sampling import sample, samples
from saev.vit.images.base import ImageEntry, ImageSource
from saev.vit.images.plain_png import n_bytes_of_png, plain_png

VERSION: Final = 1
"""Of what is drawn for a seed: it rises with each change of that, so that no other pictures stand for recorded ones."""
_MAX_SCENES: Final = 1_000_000  # of which names and labels are held
_QUICK: Final = 100_000  # scenes, made in about a second


@final
class DemoScenes(ImageSource):
    """Generated scenes of 64 x 64 pixels: coloured shapes on a background, each known in all that it holds.

    Each is made when it is read, from the seed and its number, the same on every machine. Its label is its background.
    Patches are labelled by the shape that a fifth of their pixels shows, and as background where all are; the others
    have no label. What else objects have says `metadata`: no fact is told twice, since one would stand behind the other
    in every test. Only the shape, where it is the label, is that of patches, too.

    Args:
        n_scenes: How many, at most 1,000,000.
        seed: Of chance; other seeds give other scenes.
        n_objects: The fewest and the most objects of a scene, from 0 to 4.
        label: The factor whose value is the label of a scene: background, or, where each scene has one object alone,
            shape, colour, texture, size or position.
        version: Of the generator, as recordings note it; there is one.

    Raises:
        InputError: A number is out of range, or this version of saev draws other scenes.

    >>> scenes = DemoScenes(n_scenes=3, seed=5)
    >>> scenes.record(2).path, scenes.read(2).size, scenes.patch_class_names[:3]
    ('scene-000002.png', (64, 64), ['background', 'disc', 'square'])
    """

    pixel_agg = "prefer-fg"
    threshold = 0.2

    def __init__(
        self,
        n_scenes: int = 2000,
        seed: int = 0,
        n_objects: tuple[int, int] = (1, 3),
        label: str = "background",
        version: int = VERSION,
    ) -> None:
        if version != VERSION:
            raise InputError(f"DemoScenes: these are scenes of version {version}; this saev draws those of {VERSION}")
        if not 1 <= n_scenes <= _MAX_SCENES:
            raise WrongArgument("n_scenes", f"{n_scenes}: give a number from 1 to {_MAX_SCENES:,}")
        if not 0 <= seed < 2**32:
            raise WrongArgument("seed", f"{seed}: give a number from 0 to {2**32 - 1:,}")
        self.n_scenes = n_scenes
        self.seed = seed
        fewest, most = n_objects
        self.n_objects = (fewest, most)
        self.label = label
        self.version = version
        _check_label(label, self.n_objects)
        size = n_bytes_of_png(SIDE, SIDE)
        labels = map(self._label_of, self._scenes())
        self.entries = [ImageEntry(f"scene-{i:06d}.png", name, size) for i, name in enumerate(labels)]

    def scene(self, index: int) -> Scene:
        """What is drawn.

        >>> DemoScenes(n_scenes=1).scene(0).objects[0].size
        'small'
        """
        return _scene(self.seed, index, self.n_objects)

    @property
    @override
    def location(self) -> str:
        return f"DemoScenes of seed {self.seed}"

    @override
    def read_bytes(self, index: int) -> bytes:
        return plain_png(draw(self.scene(index)))

    @property
    @override
    def has_masks(self) -> bool:
        return True

    @override
    def patch_mask(self, index: int) -> Image.Image:
        scene = self.scene(index)
        classes = np.array([0, *(1 + SHAPES.index(thing.shape) for thing in scene.objects)], dtype=np.uint8)
        return Image.fromarray(classes[object_mask(scene)])

    @property
    @override
    def class_names(self) -> list[str]:
        return sorted(FACTORS[self.label])

    @property
    @override
    def patch_class_names(self) -> list[str]:
        return ["background", *SHAPES]

    @override
    def metadata(self) -> Mapping[str, Sequence[str]]:
        """A column of yes and no for each value of colour, texture, size and position: whether some object has it.

        Where each scene has one object alone, there is a column of words for each of these factors instead, and for the
        background, but none for the label.
        """
        told = [factor for factor in OBJECT_FACTORS if factor != "shape"]
        if self._is_single:
            words: dict[str, list[str]] = {name: [] for name in (*told, "background") if name != self.label}
            for scene in self._scenes():
                for factor, cells in words.items():
                    cells.append(scene.background if factor == "background" else getattr(scene.objects[0], factor))
            return words
        answers: dict[str, list[str]] = {value: [] for factor in told for value in OBJECT_FACTORS[factor]}
        for scene in self._scenes():
            has = {getattr(one, factor) for one in scene.objects for factor in told}
            for value, cells in answers.items():
                cells.append("yes" if value in has else "no")
        return answers

    def attribute(self, factor: str, value: str) -> str:
        """What `saev probe` calls a value of a factor: SOURCE:NAME.

        Raises:
            InputError: If there is no such factor, or it has no such value.

        >>> scenes = DemoScenes(n_scenes=1)
        >>> scenes.attribute("background", "mint"), scenes.attribute("shape", "ring"), scenes.attribute("size", "small")
        ('label:mint', 'patch:ring', 'metadata:small')
        """
        check_value(factor, value)
        if factor == self.label:
            return f"label:{value}"
        if factor == "shape":
            return f"patch:{value}"
        return f"metadata:{factor}={value}" if self._is_single else f"metadata:{value}"

    @override
    def identity(self) -> dict[str, Any]:
        return super().identity() | {
            "scenes": self.version,
            "seed": self.seed,
            "n_objects": list(self.n_objects),
            "pixel_agg": self.pixel_agg,
            "threshold": self.threshold,
            "patch_class_names": self.patch_class_names,
        }

    def write_pairs(self, out: str | Path, factor: str, value: str, images: Sequence[int]) -> tuple[Path, Path]:
        """Write scenes that have a value of a factor, and the same ones without it, for pairs of `saev.probing.build`.

        Without it, the objects that had it have another value of that factor, or the background is another one; all
        else is the same. Scenes that never had it are left out, and those in which it has no other place.

        Args:
            out: A folder for both.
            factor: One of `saev.scenes.factors.FACTORS`.
            value: One of its values.
            images: Numbers of scenes: for a test those that are not of the half that proposed the hypotheses.

        Returns:
            `out/without` and `out/with`, where pictures have the same names.

        Raises:
            InputError: If there is no such factor, value or scene, no scene has it, or other files are in the folders.
        """
        for index in {*images} - {*range(len(self))}:
            raise InputError(f"there is no scene {index}: give numbers from 0 to {len(self) - 1:,}")
        without = {index: without_value(self.scene(index), factor, value, index) for index in images}
        pairs = {self.record(index).path: (index, scene) for index, scene in without.items() if scene is not None}
        if not pairs:
            raise InputError(f"none of {len(images):,} scenes has the {factor} {value!r}: give more of them")
        folders = Path(out) / "without", Path(out) / "with"
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            if others := {path.name for path in folder.iterdir()} - pairs.keys():
                raise InputError(f"{folder} holds what is none of these pairs, such as {min(others)!r}: give another")
        for name, (index, scene) in pairs.items():
            for folder, data in zip(folders, (plain_png(draw(scene)), self.read_bytes(index)), strict=True):
                (folder / name).write_bytes(data)
        return folders

    @property
    def _is_single(self) -> bool:
        """Whether each scene has one object: each factor then has one value."""
        return self.n_objects == (1, 1)

    def _scenes(self) -> Iterator[Scene]:
        """All of them, in order."""
        scenes = samples(self.seed, range(self.n_scenes), self.n_objects)
        is_quick = self.n_scenes < _QUICK
        return iter(progress_bar(scenes, total=self.n_scenes, desc="scenes", unit=" scenes", disable=is_quick))

    def _label_of(self, scene: Scene) -> str:
        value: str = scene.background if self.label == "background" else getattr(scene.objects[0], self.label)
        return value


def _check_label(label: str, n_objects: tuple[int, int]) -> None:
    if label not in FACTORS:
        raise WrongArgument("label", f"{label!r}: scenes have the factors {', '.join(FACTORS)}")
    if label != "background" and n_objects != (1, 1):
        raise WrongArgument(
            "label",
            f"{label!r}: scenes of {list(n_objects)} objects may have several or none: give n_objects [1, 1], or the "
            "label background",
        )


@lru_cache(maxsize=64)
def _scene(seed: int, index: int, n_objects: tuple[int, int]) -> Scene:
    return sample(seed, index, n_objects)
