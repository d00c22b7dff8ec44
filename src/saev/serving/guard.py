"""Which requests are answered at all.

A server on 127.0.0.1 is within reach of every page that the browser has open. A page of another site may send
requests to it (hence `refusal` of foreign origins), or have its own name point to 127.0.0.1 and then count as the same
site (DNS rebinding, hence only names that nobody else can have).
"""

import re
from collections.abc import Mapping
from typing import Final

from saev.serving.site import POLICY

_OWN_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_OWN_SITES = ("same-origin", "none")

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # data scripts are no scripts of other sites
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # galleries are rendered anew
}
"""Of every answer."""


def refusal(method: str, headers: Mapping[str, str]) -> str | None:
    """Why a request is not answered; None if it is.

    The port in Host is not compared: a tunnel from another machine may have another one.

    Args:
        method: GET, HEAD or POST.
        headers: With the names in any case, as `http.client.HTTPMessage` has them.
    """
    host = headers.get("Host", "")
    if not _OWN_HOST.fullmatch(host):
        return "the address must be 127.0.0.1 or localhost"
    site = headers.get("Sec-Fetch-Site", "same-origin")
    is_visit = method != "POST" and headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in _OWN_SITES and not is_visit:  # a link from elsewhere may lead here
        return "pages of other sites get no answer"
    if method == "POST" and headers.get("Origin", "").lower() != f"http://{host}".lower():
        return "only the gallery's own page may send something"
    return None
