"""Texts, numbers and pictures in a page: none can become a tag, a script, or an address."""

import base64
import html
import io
import json
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

# Pages get mailed and zipped; this is sharp enough at the size in which they show a picture.
_JPEG_QUALITY = 85


def ascii_json(value: object) -> str:
    """JSON for a script: ASCII without `<`, so that no tag, separator of lines or broken name ends anything early.

    Arrays stand in it as base64 of their bytes: give little-endian ones.

    >>> ascii_json(["</script>", "\\u2028"])
    '["\\\\u003c/script>","\\\\u2028"]'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_packed)
    return text.replace("<", "\\u003c")


def _packed(value: object) -> str:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} has no place in JSON")
    return base64.b64encode(value.tobytes()).decode("ascii")


def data_script(value: object) -> str:
    """A script that hands a JSON value over to the page of a gallery: `assets/data.js` knows who asked for it."""
    return f"saevTake({ascii_json(value)});\n"


def user_text(text: str) -> str:
    """HTML of a user's text; its direction of writing stays its own.

    >>> user_text("<b> & 'c'")
    '<bdi>&lt;b&gt; &amp; &#x27;c&#x27;</bdi>'
    """
    return f"<bdi>{html.escape(text)}</bdi>"


def address(file: Path, folder: Path) -> str:
    """Where a file is, from a page in a folder on, as browsers go: they do not resolve links of the file system.

    >>> address(Path("/runs/a b/index.html"), Path("/runs/reports/1"))
    '../../a%20b/index.html'
    """
    path, start = (os.path.abspath(one) for one in (file, folder))  # noqa: PTH100 - links stay
    try:
        return quote(Path(os.path.relpath(path, start)).as_posix())
    except ValueError:  # on another drive
        return Path(path).as_uri()


def jpeg(view: Image.Image, longest: int, quality: int = _JPEG_QUALITY) -> tuple[bytes, tuple[int, int]]:
    """A picture as JPEG, with no side above `longest` pixels, and its width and height."""
    picture = view.convert("RGB")
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue(), picture.size


def data_uri(content: bytes, media_type: str) -> str:
    """An address that is its own content.

    >>> data_uri(b"<svg/>", "image/svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
