"""The files of a run's galleries: which file an address names, and the pages that are not files."""

import html
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from saev.files import UnreadableFile, read_regular

MAX_FILE_BYTES: Final = 2**31
"""Upper bound of a file of a gallery."""
MIME_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
"""All that a gallery consists of; nothing else is served."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""As strict as the page's own policy, but for requests to the server that it came from."""
_OWN_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n?')
_BODY = re.compile(r"<body[^>]*>|\Z")
_OTHER_VERSION = (
    '\n<p role="status">Your own pictures cannot be looked at here: this page is of another version of saev. '
    "<code>saev render --run_dir RUN</code> makes it anew.</p>\n"
)
_LIVE = '<meta name="saev-live" content="{}">'


def gallery_names(features: Path) -> list[str]:
    """The galleries of a run: directories in RUN/features that hold one."""
    found = (path.parent.parent for path in features.glob("*/data/overview.js"))
    return sorted(path.name for path in found if not path.name.startswith(".") and (path / "index.html").is_file())


def parts_of(path: str) -> list[str] | None:
    """The decoded parts of an address's path, the last one empty if it names a folder; None if it is not plain.

    >>> parts_of("/a%20b/index.html"), parts_of("/a/..%2fb"), parts_of("/")
    (['a b', 'index.html'], None, [''])
    """
    if not path.startswith("/"):
        return None
    try:
        parts = [unquote(part, errors="strict") for part in path[1:].split("/")]
    except UnicodeDecodeError:
        return None
    bad = any(part.startswith(".") or not part.isprintable() or "/" in part or "\\" in part for part in parts)
    return None if bad or "" in parts[:-1] else parts


def file_of(features: Path, parts: list[str]) -> Path | None:
    """The file below `features` that the parts of a path name; None if there is none that may be served.

    Symbolic links count as what they point to: one that leads out of the directory names nothing.
    """
    root = features.resolve()
    if "" in parts:
        return None
    try:
        path = root.joinpath(*parts).resolve(strict=True)
        is_own = path.is_relative_to(root) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # nothing there, a loop of links, a name too long
        return None
    return path if is_own and path.suffix in MIME_TYPES else None


def content_of(features: Path, parts: list[str]) -> bytes | None:
    """What is in the file that the parts of a path name; None if it may not be served, or is gone."""
    path = file_of(features, parts)
    if path is None or path.suffix != Path(parts[-1]).suffix:
        return None
    try:
        return read_regular(path, MAX_FILE_BYTES)
    except UnreadableFile:
        return None


def takes_live_part(index: bytes) -> bool:
    """Whether a gallery's page is of this version of saev, so that `live_page` can add to it."""
    return _LIVE.format("").encode() in index


def live_page(index: str) -> str:
    """The page of a gallery with live inference switched on; its policy comes in a header instead.

    A page of another version of saev stays without it, and gets a line that says so.
    """
    if not takes_live_part(index.encode("utf-8")):
        return _BODY.sub(lambda found: found[0] + _OTHER_VERSION, index, count=1)
    return _OWN_POLICY.sub("", index.replace(_LIVE.format(""), _LIVE.format("yes")), count=1)


def list_page(names: list[str]) -> str:
    """A page that links to each of several galleries."""
    items = "".join(f'<li><a href="{quote(name)}/"><bdi>{html.escape(name)}</bdi></a></li>\n' for name in names)
    said = f"<ul>\n{items}</ul>" if names else "<p>This run has no galleries any more.</p>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>saev galleries</title>\n</head>\n'
        f"<body>\n<main>\n<h1>Galleries of this run</h1>\n{said}\n</main>\n</body>\n</html>\n"
    )
