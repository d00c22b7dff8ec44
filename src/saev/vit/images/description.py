"""What a recording says of its source of pictures, and the source that this makes again."""

import json
import reprlib
from collections.abc import Mapping
from inspect import signature
from typing import Any

from saev.errors import InputError, one_line
from saev.registry import path_of
from saev.vit.images.base import IMAGE_SOURCES, ImageSource, _Without
from saev.vit.images.demo_scenes import DemoScenes
from saev.vit.images.folder import ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages
from saev.vit.images.image_list import ImageList
from saev.vit.images.segmentation import SegmentationFolder
from saev.vit.network import cache_alone

for _kind in (ImageFolder, SegmentationFolder, HuggingFaceImages, ImageList, DemoScenes, _Without):
    IMAGE_SOURCES.add(_kind)


def description(source: ImageSource) -> dict[str, Any]:
    """What a recording says of a source, and make its class known: asked before pictures are recorded.

    Raises:
        InputError: If another class has its name, or what it says could not be saved or would not make it again.
    """
    kind, content = type(source), source.describe()
    IMAGE_SOURCES.add(kind)
    if isinstance(source, _Without):
        description(source.source)
    where = f"{path_of(kind)}.describe()"
    try:
        saved = json.loads(json.dumps(content))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} cannot be saved as JSON ({one_line(error)}): give texts, numbers and lists"
        ) from error
    found, _ = _class_and_args(saved, where)
    if found is not kind:
        raise InputError(f"{where} names the class {content['class']!r}: give {kind.__name__!r}")
    return content


def from_description(content: object) -> ImageSource:
    """Rebuild a source from the dict of `ImageSource.describe`; only known classes are built.

    Nothing is fetched from the network: a description is part of a file, which may come from anybody.

    Raises:
        InputError: Another form, class or arguments; or the pictures are not there any more.
    """
    kind, args = _class_and_args(content, "the recording")
    if kind is _Without:
        args = {**args, "source": from_description(args.get("source"))}
    try:
        with cache_alone("what a recording names is not fetched"):
            return kind(**args)
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{kind.__name__} cannot be built from {reprlib.repr(args)}: {one_line(error)}") from error


def class_with_metadata(content: object) -> str | None:
    """The class of a described source, if it may have `ImageSource.metadata`; nothing is opened for the answer.

    None also for a class that is not known.
    """
    try:
        kind, args = _class_and_args(content, "the recording")
    except InputError:
        return None
    if kind is _Without:
        return class_with_metadata(args.get("source"))
    return None if kind.metadata is ImageSource.metadata else kind.__name__


def _class_and_args(content: object, where: str) -> tuple[type[ImageSource], dict[str, Any]]:
    if not isinstance(content, Mapping) or set(content) != {"class", "args"}:
        raise InputError(
            f"{where}: a source of pictures is described by class and args, not by {reprlib.repr(content)}"
        )
    kind, args = IMAGE_SOURCES.named(content["class"], where), content["args"]
    known = signature(kind).parameters
    if not isinstance(args, Mapping) or not set(args) <= set(known):
        raise InputError(f"{where}: {kind.__name__} takes the arguments {', '.join(known)}, not {reprlib.repr(args)}")
    inner = args.get("source")
    if kind is _Without and isinstance(inner, Mapping) and inner.get("class") == content["class"]:
        raise InputError(f"{where}: pictures are left out of a source of which pictures are left out")
    return kind, dict(args)
