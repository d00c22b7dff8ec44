"""Rebuild a source of pictures from what it said of itself."""

import reprlib
from collections.abc import Mapping
from inspect import signature

from saev.errors import InputError
from saev.vit.images.base import ImageSource, _Without
from saev.vit.images.folder import ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages
from saev.vit.images.image_list import ImageList
from saev.vit.images.segmentation import SegmentationFolder
from saev.vit.network import cache_alone

_CLASSES: dict[str, type[ImageSource]] = {
    **{kind.__name__: kind for kind in (ImageFolder, SegmentationFolder, HuggingFaceImages, ImageList)},
    "Without": _Without,
}


def from_description(content: object) -> ImageSource:
    """Rebuild a source from the dict of `ImageSource.describe`; only the known classes are built.

    Nothing is fetched from the network: a description is part of a file, which may come from anybody.

    Raises:
        InputError: Another form, class or arguments; or the pictures are not there any more.
    """
    if not isinstance(content, Mapping) or set(content) != {"class", "args"}:
        raise InputError(f"a source of pictures is described by class and args, not by {reprlib.repr(content)}")
    name, args = content["class"], content["args"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise InputError(f"unknown source of pictures {reprlib.repr(name)}; known are {', '.join(_CLASSES)}")
    known = signature(_CLASSES[name]).parameters
    if not isinstance(args, Mapping) or not set(args) <= set(known):
        raise InputError(f"{name} takes the arguments {', '.join(known)}, not {reprlib.repr(args)}")
    if name == "Without":
        args = {**args, "source": from_description(args.get("source"))}
    try:
        with cache_alone("what a recording names is not fetched"):
            return _CLASSES[name](**args)
    except TypeError as error:
        raise InputError(f"{name} cannot be built from {reprlib.repr(content['args'])}: {error}") from error
