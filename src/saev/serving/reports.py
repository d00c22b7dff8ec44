"""Reports that a gallery links to: pages of `saev probe test` and `saev probe intervene`, wherever they lie.

A request names a report by a digest of the link in the gallery's data, so that no path comes from it. Only pages that
saev wrote are served: index.html beside what the report says as JSON, with the policy of such a page.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from saev.files import UnreadableFile, read_regular
from saev.pages.embedding import address
from saev.serving.site import MAX_FILE_BYTES

_PAGE: Final = "index.html"
_BESIDE: Final = ("verdicts.json", "interventions.json")
_LINK: Final = re.compile(rb'"link":"([^"#\\]+)')  # texts of users have no quotation mark without a backslash
_HASHES: Final = rb"(?: 'sha256-[A-Za-z0-9+/]{43}=')*"
_POLICY: Final = re.compile(
    rb"<meta http-equiv=\"Content-Security-Policy\" content=\"(default-src 'none'; script-src" + _HASHES
    + rb"; style-src" + _HASHES + rb"; img-src data:; base-uri 'none'; form-action 'none')\">"
)  # fmt: skip
_HEAD_BYTES: Final = 4096


def with_reports(overview: bytes, folder: Path, live: str) -> bytes:
    """The overview of a gallery with links to where the server has its reports; other links stay as they are.

    Args:
        overview: data/overview.js.
        live: Address of the folder of what the server answers, such as "/NAME/live".
    """

    def moved(found: re.Match[bytes]) -> bytes:
        link = found[1]
        is_there = _report(link, folder) is not None
        return b'"link":"' + f"{live}/reports/{_key(link)}.html".encode() if is_there else found[0]

    return _LINK.sub(moved, overview)


def report_page(overview: bytes, folder: Path, key: str) -> tuple[bytes, str] | None:
    """A report and its policy; None if the gallery links to none with this key.

    Its links to latents lead to the served gallery.

    Args:
        overview: data/overview.js.
        key: What `with_reports` made of the link.
    """
    for link in dict.fromkeys(_LINK.findall(overview)):
        if _key(link) == key and (path := _report(link, folder)) is not None:
            try:
                page = read_regular(path, MAX_FILE_BYTES)
            except UnreadableFile:
                return None
            policy = _POLICY.search(page[:_HEAD_BYTES])
            back = address(folder / _PAGE, path.parent)
            page = page.replace(f'href="{back}#latent='.encode(), b'href="../../#latent=')
            return None if policy is None else (page, policy[1].decode("ascii"))
    return None


def _key(link: bytes) -> str:
    return hashlib.sha256(link).hexdigest()[:16]


def _report(link: bytes, folder: Path) -> Path | None:
    """The page that a link names, if it is one of a report."""
    path = Path(os.path.abspath(folder / unquote(link.decode("ascii", "replace"))))  # noqa: PTH100 - as browsers do
    try:
        if path.name != _PAGE or not path.is_file() or not any((path.parent / one).is_file() for one in _BESIDE):
            return None
        with path.open("rb") as file:
            return path if _POLICY.search(file.read(_HEAD_BYTES)) else None
    except (OSError, ValueError):  # not readable, no name of a file
        return None
