"""Commands whose `--images` takes a folder of pictures, or any source of pictures with its options."""

import argparse
from pathlib import Path


def source_options(argv: list[str]) -> dict[str, type]:
    """What `typed.run` builds in the place of a folder, if the command line asks for a source: its base class.

    A source is meant where it has options, is a path of a class, or is called as one; a folder of that name goes first.

    >>> source_options(["--images", "pictures"]), source_options(["--images", "../pictures"])
    ({}, {})
    >>> source_options(["--images", "DemoScenes"])
    {'images': <class 'saev.vit.images.base.ImageSource'>}
    """
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    known.add_argument("--images", default="")
    given: str = known.parse_known_args(argv)[0].images
    has_options = any(option.startswith("--images.") for option in argv)
    is_name = all(part.isidentifier() for part in given.split("."))
    if not has_options and (not is_name or Path(given).exists()):
        return {}
    from saev.vit.images import IMAGE_SOURCES, ImageSource  # here and not above: the help answers without it

    return {"images": ImageSource} if has_options or "." in given or given in IMAGE_SOURCES else {}
