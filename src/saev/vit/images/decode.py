"""Bytes of any common picture to proper RGB, or one readable error."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from saev.errors import InputError

# Where Pillow, too, refuses to go on: twice its warning at 89 megapixels.
MAX_PIXELS = 178_956_970
_LEAVE_OUT = ", or leave it out with --data.on_bad_image skip"


class BadImage(InputError):  # noqa: N818 - what is bad is the input
    """One picture or mask cannot be used; its name is in the message.

    A DataLoader rebuilds an exception of a worker process from one text that holds the whole traceback: what
    follows the class name on its last line is the message, and only that is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.rpartition("BadImage: ")[2].split()))


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS, otherwise: str = _LEAVE_OUT) -> Image.Image:
    """Decode a picture to RGB, turned upright by its EXIF orientation.

    Transparent pictures are laid over white, 16-bit grey is scaled to 8 bits, an animation gives its
    first frame.

    Args:
        data: The file.
        name: What messages call it.
        max_pixels: Upper bound of its pixels.
        otherwise: Ends messages: what can be done beside replacing the picture.

    Raises:
        BadImage: Empty, no picture, truncated, corrupt, or more than `max_pixels` pixels; names the picture.
    """
    if not data:
        raise BadImage(f"picture '{name}' is empty (0 bytes); replace it{otherwise}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of sizes that are checked here
        try:
            return _decoded(data, name, max_pixels, otherwise)
        except InputError:
            raise
        except Exception as error:  # a decoder fed with broken bytes may raise anything
            # Pillow's own text names only the address of a buffer in memory.
            unknown = isinstance(error, UnidentifiedImageError)
            reason = "no known picture format" if unknown else f"{type(error).__name__}: {error}"
            raise BadImage(
                f"picture '{name}' cannot be decoded ({reason}; {len(data)} bytes); replace it{otherwise}"
            ) from error


def _decoded(data: bytes, name: str, max_pixels: int, otherwise: str) -> Image.Image:
    smaller = f"at most {max_pixels} are decoded: make it smaller{otherwise}"
    try:
        picture: Image.Image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise BadImage(f"picture '{name}' is enormous ({error}); {smaller}") from error
    if picture.width * picture.height > max_pixels:
        raise BadImage(f"picture '{name}' is enormous: {picture.width} x {picture.height} pixels; {smaller}")
    picture.load()
    return _rgb(ImageOps.exif_transpose(picture))


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
