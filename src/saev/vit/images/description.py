"""Rebuild a source of pictures from what it said of itself."""

from collections.abc import Mapping
from inspect import signature

from saev.errors import InputError
from saev.vit.images.base import ImageSource, _Without
from saev.vit.images.folder import ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages
from saev.vit.images.image_list import ImageList
from saev.vit.images.segmentation import SegmentationFolder

_CLASSES: dict[str, type[ImageSource]] = {
    **{kind.__name__: kind for kind in (ImageFolder, SegmentationFolder, HuggingFaceImages, ImageList)},
    "Without": _Without,
}


def from_description(content: object) -> ImageSource:
    """Rebuild a source from the dict of `ImageSource.describe`; only the known classes are built.

    Raises:
        InputError: Another form, class or arguments; or the pictures are not there any more.
    """
    if not isinstance(content, Mapping) or set(content) != {"class", "args"}:
        raise InputError(f"a source of pictures is described by class and args, not by {content!r}")
    name, args = content["class"], content["args"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise InputError(f"unknown source of pictures {name!r}; known are {', '.join(_CLASSES)}")
    known = signature(_CLASSES[name]).parameters
    if not isinstance(args, Mapping) or not set(args) <= set(known):
        raise InputError(f"{name} takes the arguments {', '.join(known)}, not {args!r}")
    if name == "Without":
        args = {**args, "source": from_description(args.get("source"))}
    try:
        return _CLASSES[name](**args)
    except TypeError as error:
        raise InputError(f"{name} cannot be built from {dict(content['args'])!r}: {error}") from error
