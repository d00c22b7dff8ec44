"""A folder of pictures."""

from pathlib import Path
from typing import final

from typing_extensions import override

from saev.files import given_path
from saev.vit.images.base import ImageFiles
from saev.vit.images.scan import PICTURES, scan


@final
class ImageFolder(ImageFiles):
    """All pictures below a folder, sorted by path; a picture's label is the first folder level, if any.

    Args:
        root: The folder, of any depth.

    Raises:
        InputError: The folder is missing, unreadable, or has no pictures.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     (Path(directory) / "cats").mkdir()
    ...     Image.new("RGB", (32, 24)).save(Path(directory) / "cats" / "one.png")
    ...     pictures = ImageFolder(directory)
    ...     len(pictures), pictures.class_names, pictures.record(0).path, pictures.read(0).size
    (1, ['cats'], 'cats/one.png', (32, 24))
    """

    def __init__(self, root: str | Path) -> None:
        self.root = self.directory = given_path(root, "root")
        self.entries = scan(self.root, PICTURES)

    @property
    @override
    def location(self) -> str:
        return str(self.root.absolute())
