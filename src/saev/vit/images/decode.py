"""Bytes of any common picture to proper RGB, and of a mask to its classes, or one readable error."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from saev.errors import InputError, one_line

# Where Pillow, too, refuses to go on: twice its warning at 89 megapixels.
MAX_PIXELS = 178_956_970
FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
"""What sets of pictures hold. Pillow knows many more; among them are some for which it starts programs, such as
Ghostscript for EPS. JPEG includes the pictures of several frames that cameras write (MPO)."""
_MASK_FORMATS: Final = ("PNG",)


class BadImage(InputError):  # noqa: N818 - what is bad is the input
    """One picture or mask cannot be used; its name is in the message.

    A DataLoader rebuilds an exception of a worker process from one text that holds the whole traceback: what
    follows the class name on its last line is the message, and only that is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.rpartition("BadImage: ")[2].split()))


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture to RGB, turned upright by its EXIF orientation.

    Transparent pictures are laid over white, 16-bit grey is scaled to 8 bits, an animation gives its
    first frame.

    Args:
        name: What messages call it.
        max_pixels: Upper bound of its pixels.

    Raises:
        BadImage: Empty, of none of `FORMATS`, truncated, corrupt, or more than `max_pixels` pixels; names the picture.
    """
    with _told(data, f"picture '{name}'", FORMATS):
        return _rgb(ImageOps.exif_transpose(_loaded(data, FORMATS, max_pixels)))


def decode_mask(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a mask (height, width): an 8-bit PNG, grey or palette, whose values are classes.

    Args:
        name: What messages call it.

    Raises:
        BadImage: As `decode`, and for colours.
    """
    with _told(data, f"mask '{name}'", _MASK_FORMATS):
        mask = _loaded(data, _MASK_FORMATS, MAX_PIXELS)
    if mask.mode not in ("L", "P", "1"):
        raise BadImage(f"mask '{name}' has mode {mask.mode}; masks are grey or palette PNGs of 8 bits (L, P)")
    return np.asarray(mask).astype(np.uint8)


class _EnormousError(Exception):
    """Too many pixels; the message says how many there are and how many may be."""


def _loaded(data: bytes, formats: Sequence[str], max_pixels: int) -> Image.Image:
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=list(formats))
    except Image.DecompressionBombError as error:
        raise _EnormousError(f"{str(error).partition(',')[0]}; at most {max_pixels} are decoded") from error
    if picture.width * picture.height > max_pixels:
        raise _EnormousError(f"{picture.width} x {picture.height} pixels; at most {max_pixels} are decoded")
    picture.load()
    return picture


@contextmanager
def _told(data: bytes, what: str, formats: Sequence[str]) -> Iterator[None]:
    """Raise whatever goes wrong while a file is decoded as one line of `BadImage`."""
    if not data:
        raise BadImage(f"{what} is empty (0 bytes); replace it")
    size = f"{len(data)} bytes"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of sizes that are checked here
        try:
            yield
        except _EnormousError as error:
            raise BadImage(f"{what} is enormous: {error}: make it smaller") from error
        except UnidentifiedImageError as error:
            # Pillow's own text names only the address of a buffer in memory.
            known = ", ".join(formats)
            raise BadImage(
                f"{what} cannot be decoded (no known picture format; {size}): taken are {known}; replace it"
            ) from error
        except Exception as error:  # a decoder fed with broken bytes may raise anything
            reason = one_line(error)
            raise BadImage(
                f"{what} cannot be decoded ({type(error).__name__}: {reason}; {size}); replace it"
            ) from error


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion would cut everything above 255 to white.
        values = np.clip(np.asarray(picture).astype(np.int64), 0, 65535) >> 8
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise ValueError("floating point pixels have no known white; convert it to 8 or 16 bits")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")
