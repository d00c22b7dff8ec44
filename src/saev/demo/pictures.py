"""Pictures that a demo writes beside its recordings: pairs, fresh scenes in folders; and answers to pages of sets."""

from pathlib import Path
from typing import Final

from PIL import Image

from saev.csv_text import csv_text
from saev.demo.known_scenes import KnownScenes, index_of
from saev.files import write_whole
from saev.probing.sets.answers import COLUMNS
from saev.probing.sets.files import read_set
from saev.scenes.drawing import draw
from saev.scenes.factors import COLOURS, SHAPES, Scene
from saev.scenes.pairs import changed
from saev.scenes.sampling import sample

FRESH: Final = 2**31
"""Added to the seed of a demo, it is the seed of scenes that nothing has seen."""
_NAME: Final = "scene-{:06d}.png"
_SECONDS: Final = 1
"""For which the truth looks at a picture: the column must not be empty."""


def write_by_colour(folder: Path, n: int, seed: int) -> None:
    """Write n fresh scenes of one object into each of the folders of its colour, the same scenes but for that.

    Raises:
        InputError: If the disk does not take them.
    """
    for number in range(n):
        scene = sample(seed + FRESH, number, (1, 1))
        for colour in COLOURS:
            _write(folder / colour / _NAME.format(number), changed(scene, "colour", colour))


def write_by_shape(folder: Path, colour: str, n: int, seed: int) -> None:
    """Write n fresh scenes of one object of a colour into each of the folders of its shape, the same but for that.

    Raises:
        InputError: If the disk does not take them.
    """
    for number in range(n):
        scene = changed(sample(seed + FRESH, number, (1, 1)), "colour", colour)
        for shape in SHAPES:
            _write(folder / shape / _NAME.format(number), changed(scene, "shape", shape))


def _write(path: Path, scene: Scene) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(scene)).save(path)


def write_answers(path: Path, directory: Path, known: KnownScenes, claim: str) -> int:
    """Answer the page of a set as somebody would who sees all and makes no mistake; how often the answer is yes.

    Args:
        path: The CSV that the page would export.
        known: The recorded scenes.
        claim: What `KnownScenes.truth` calls what is asked.

    Raises:
        InputError: If the set cannot be read, or the disk does not take the answers.
    """
    made, truth_i = read_set(directory), known.truth(claim)
    answers = {one.id: bool(truth_i[index_of(one.path)]) for one in made.pictures}
    rows = [(name, "yes" if answer else "no", _SECONDS, made.digest) for name, answer in answers.items()]
    write_whole(path, csv_text(COLUMNS, rows).encode())
    return sum(answers.values())
