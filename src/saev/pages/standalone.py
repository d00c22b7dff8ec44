"""Pages that are one HTML file: nothing beside it is read, and no script runs in it but those of saev."""

import base64
import hashlib
import html
from collections.abc import Sequence

from saev.pages.embedding import ascii_json, data_uri
from saev.pages.shared import shared


def standalone_page(
    title: str,
    body: str,
    *,
    controls: str = "",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: object = None,
) -> bytes:
    """A page with the look of all pages, a bar at its top, and the switch of its theme.

    The page's policy names the styles and scripts by their hashes, and forbids everything else. So `style="..."` does
    nothing in the body; attributes of SVG, classes, and `element.style` in a script do.

    Args:
        title: Of the page, as text.
        body: HTML behind the bar, with a `<main>`. Texts of users in it come from `embedding.user_text` and pictures
            from `embedding.data_uri`.
        controls: HTML in the bar, before the switch of the theme.
        styles: Style sheets, in ASCII, behind `look.css`.
        scripts: Classic scripts, in ASCII, which run once the body is there. They find the names of storage.js and
            theme.js; name `shared("show.js")` where they need more.
        data: JSON for them: `JSON.parse(document.getElementById("data").textContent)`.

    Returns:
        The file, in ASCII.

    >>> b"<main>&#26085;</main>" in standalone_page("A page", "<main>日</main>")
    True
    """
    sheets = [shared("look.css"), *styles]
    first = [shared("storage.js"), shared("theme.js")]
    last = [*scripts, shared("theme_button.js")]
    policy = (
        f"default-src 'none'; script-src {_hashes(first + last)}; style-src {_hashes(sheets)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    icon = data_uri(shared("icon.svg").encode(), "image/svg+xml")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<link rel="icon" href="{icon}" type="image/svg+xml">
{"".join(f"<style>{sheet}</style>" for sheet in sheets)}
{"".join(f"<script>{script}</script>" for script in first)}
</head>
<body>
<div class="bar">
<a class="home" href="#">saev</a>
<span class="bar-title"><bdi>{html.escape(title)}</bdi></span>
{controls}
<button type="button" id="theme" hidden></button>
</div>
{body}
<script type="application/json" id="data">{ascii_json(data)}</script>
{"".join(f"<script>{script}</script>" for script in last)}
</body>
</html>
"""
    return page.encode("ascii", "xmlcharrefreplace")


def _hashes(sources: Sequence[str]) -> str:
    assert all(source.isascii() for source in sources), "in a script no letter can be written as a number"
    assert not any("</" in source for source in sources), "a tag that ends would end the style or script"
    digests = [hashlib.sha256(source.encode("ascii")).digest() for source in sources]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
