"""The HTTP server of a run's galleries, for this machine alone."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

from typing_extensions import override

from saev.errors import InputError
from saev.serving.guard import refusal
from saev.serving.live_gallery import MAX_BYTES, BadRequest, Forgotten, LiveGalleries, LiveGallery
from saev.serving.site import MIME_TYPES, POLICY, file_of, gallery_names, list_page, live_page, parts_of

log = logging.getLogger(__name__)

ADDRESS: Final = "127.0.0.1"
LIVE: Final = "live"
"""The folder of each gallery that is no folder: what the SAE answers."""
_MAX_EDIT_BYTES: Final = 2**16
_HTML, _JSON, _PNG = MIME_TYPES[".html"], "application/json", MIME_TYPES[".png"]
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # data scripts are no scripts of other sites
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # galleries are rendered anew
}


class _Refused(Exception):  # noqa: N818 - not all of these are errors
    """The request ends with this status and text."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@final
class GalleryServer(ThreadingHTTPServer):
    """Serves the files of RUN/features, and the answers of live SAEs, on 127.0.0.1.

    Args:
        port: Where to listen; 0 takes one that is free.
        features: RUN/features.
        live: What answers for each gallery.

    Raises:
        InputError: If the port is taken or may not be used.
    """

    daemon_threads = True  # a browser that keeps its connection open must not keep the process alive

    def __init__(self, port: int, features: Path, live: LiveGalleries) -> None:
        self.features, self.live = features, live
        try:
            super().__init__((ADDRESS, port), GalleryHandler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"--port {port} of {ADDRESS} cannot be used ({reason}): give another one") from error

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @override
    def server_close(self) -> None:
        """Also wait for what is being computed: torch must not be torn down under it."""
        super().server_close()
        for live in self.live.values():
            if isinstance(live, LiveGallery):
                live.finish()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""
        log.debug("a connection broke", exc_info=True)


@final
class GalleryHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: GalleryServer
    server_version, sys_version = "saev", ""
    timeout = 60  # seconds of silence after which a connection is closed

    def do_GET(self) -> None:
        """A file, a page, or what the SAE says."""
        self._answer(self._get)

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A picture or an edit."""
        self._answer(self._post)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, such as an unknown method, gets the same headers as everything else."""
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _answer(self, act: Callable[[list[str]], None]) -> None:
        try:
            if self.command == "POST":
                self.close_connection = True  # whatever of the body is not read must not count as a request
            reason = refusal(self.command, self.headers)  # type: ignore[arg-type] # maps names to values
            if reason is not None:
                raise _Refused(HTTPStatus.FORBIDDEN, reason)
            parts = parts_of(self.path.partition("?")[0])
            if parts is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")
            act(parts)
        except _Refused as refused:
            self._refuse(refused.status, str(refused))
        except (BadRequest, InputError) as error:
            is_gone = isinstance(error, Forgotten)
            self._refuse(HTTPStatus.GONE if is_gone else HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            log.exception("a request failed")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _get(self, parts: list[str]) -> None:
        names = gallery_names(self.server.features)
        match parts:
            case [""] if len(names) != 1:
                self._send(list_page(names).encode(), _HTML)
            case [""]:
                self._redirect(f"/{quote(names[0])}/")
            case [name] if name in names:
                self._redirect(f"/{quote(name)}/")
            case [name, "" | "index.html"] if name in names:
                page = live_page(self._read([name, "index.html"]).decode("utf-8"))
                self._send(page.encode(), _HTML)
            case [name, folder, "state"] if folder == LIVE and name in names:
                self._send_json(self._state(name))
            case [name, folder, "pictures", key] if folder == LIVE and name in names:
                self._send(self._live(name).view(key.removesuffix(".png")), _PNG)
            case [name, _, *_] if name in names:
                self._send(self._read(parts), MIME_TYPES[Path(parts[-1]).suffix])
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")

    def _post(self, parts: list[str]) -> None:
        match parts:
            case [name, folder, "pictures"] if folder == LIVE:
                live = self._live(name)
                self._send_json(live.look(self._body(MAX_BYTES)))
            case [name, folder, "edits"] if folder == LIVE:
                live = self._live(name)
                self._send_json(live.edit(self._body(_MAX_EDIT_BYTES)))
            case _:
                raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be sent there")

    def _read(self, parts: list[str]) -> bytes:
        path = file_of(self.server.features, parts)
        if path is None or path.suffix != Path(parts[-1]).suffix:
            raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        try:
            return path.read_bytes()
        except OSError as error:
            raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there any more") from error

    def _live(self, name: str) -> LiveGallery:
        found = self.server.live.get(name, "this gallery was not there when the server was started")
        if isinstance(found, str):
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, found)
        return found

    def _state(self, name: str) -> dict[str, Any]:
        try:
            return self._live(name).state()
        except _Refused as off:
            return {"reason": str(off)}

    def _body(self, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") is not None or not (length.isascii() and length.isdigit()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "the length of what is sent must be said first")
        if int(length[:20]) > most:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most / 2**20:g} MiB are taken")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the browser went away")
        return body

    def _send_json(self, value: object) -> None:
        self._send(json.dumps(value, allow_nan=False).encode("ascii"), _JSON)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self._send(json.dumps({"error": text}).encode("ascii"), _JSON, status)

    def _redirect(self, path: str) -> None:
        self._send(b"", _HTML, HTTPStatus.FOUND, {"Location": path})

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(content)), **(more or {})}
        for header, value in {**_HEADERS, **own}.items():
            self.send_header(header, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
