"""Generated scenes as pictures of 224 x 224 pixels, and as a folder of files of which each may be spoiled."""

from pathlib import Path

from PIL import Image

from saev.scenes.drawing import draw
from saev.scenes.sampling import sample

SIZE = (224, 224)


def scene(index: int, n_objects: int = 1) -> Image.Image:
    """A scene of so many objects."""
    picture = Image.fromarray(draw(sample(0, index, (n_objects, n_objects))))
    return picture.resize(SIZE, Image.Resampling.NEAREST)


def write_scenes(root: Path, n: int) -> None:
    """Write n scenes of one object as `root/SHAPE/NUMBER.png`."""
    for index in range(n):
        path = root / sample(0, index, (1, 1)).objects[0].shape / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene(index).save(path)
