"""The HTTP server of a run's galleries, for this machine alone."""

import io
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, final
from urllib.parse import quote

from typing_extensions import override

from saev.artifacts import RunDirectory
from saev.errors import InputError
from saev.files import UnreadableFile, read_regular
from saev.serving.asked import BadRequest
from saev.serving.guard import HEADERS, refusal
from saev.serving.incoming import (
    BODY_SECONDS,
    REQUEST_SECONDS,
    Refused,
    TimedStream,
    check_said_once,
    content_length,
    drop_rest,
    has_body,
    read_body,
)
from saev.serving.kept_pictures import Forgotten
from saev.serving.live_gallery import MAX_BYTES, LiveGalleries, LiveGallery
from saev.serving.reports import report_page, with_reports
from saev.serving.run_notes import MAX_CHANGES_BYTES, RunNotes
from saev.serving.site import MAX_FILE_BYTES, MIME_TYPES, file_of, gallery_names, list_page, live_page, parts_of
from saev.serving.text_search import MAX_BODY_BYTES, TextSearch

log = logging.getLogger(__name__)

ADDRESS: Final = "127.0.0.1"
LIVE: Final = "live"
"""The folder of each gallery that is no folder: what the SAE answers."""
MAX_CONNECTIONS: Final = 64
"""At once; a browser keeps six."""
MAX_BODIES: Final = 4
"""Pictures and edits that are taken at once; others wait."""
_MAX_EDIT_BYTES: Final = 2**16
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HTML, _JSON, _PNG = MIME_TYPES[".html"], "application/json", MIME_TYPES[".png"]


@final
class GalleryServer(ThreadingHTTPServer):
    """Serves the files of RUN/features, and the answers of live SAEs, on 127.0.0.1.

    Args:
        port: Where to listen; 0 takes one that is free.
        features: RUN/features.
        live: What answers for each gallery.
        namer_weights: Those of the namers that answer to texts; by default from the network.

    Raises:
        InputError: If the port is taken or may not be used.
    """

    request_queue_size = MAX_CONNECTIONS  # that come at the same moment
    daemon_threads = True  # a browser that keeps its connection open must not keep the process alive

    def __init__(self, port: int, features: Path, live: LiveGalleries, namer_weights: str | None = None) -> None:
        self.features, self.live, self.texts = features, live, TextSearch(features, namer_weights)
        self.bodies = BoundedSemaphore(MAX_BODIES)
        self._connections = BoundedSemaphore(MAX_CONNECTIONS)
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
    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection; it gets a thread, and gives its place back at its end."""
        if self._connections.acquire(blocking=False):
            return True
        request.sendall(_FULL)
        return False

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

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
    timeout = REQUEST_SECONDS  # for an answer to be taken; what comes in has limits of its own

    @override
    def setup(self) -> None:
        """Read through a stream that ends in time."""
        super().setup()
        self.rfile.close()
        self._timed = TimedStream(self.connection)
        self.rfile = self._stream = io.BufferedReader(self._timed)

    @override
    def handle_one_request(self) -> None:
        """One request of the connection, which must have come in time."""
        self._timed.allow(REQUEST_SECONDS)
        super().handle_one_request()

    def do_GET(self) -> None:
        """A file, a page, or what the SAE says."""
        self._answer(self._get)

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A picture, an edit, or notes."""
        self._answer(self._post)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, such as an unknown method, gets the same headers as everything else."""
        self.close_connection = True  # what follows the headers is no request
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _answer(self, act: Callable[[list[str]], None]) -> None:
        # What of a body is not read must not count as a request.
        self.close_connection |= self.command == "POST" or has_body(self.headers)
        try:
            check_said_once(self.headers)
            reason = refusal(self.command, self.headers)  # type: ignore[arg-type] # maps names to values
            if reason is not None:
                raise Refused(HTTPStatus.FORBIDDEN, reason)
            parts = parts_of(self.path.partition("?")[0])
            if parts is None:
                raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")
            act(parts)
        except Refused as refused:
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
            case [name, folder, "probe"] if folder == LIVE and name in names:
                self._send_json(self._live(name).probe(start=False))
            case [name, folder, "notes"] if folder == LIVE and name in names:
                self._send_json(self._notes(name).state())
            case [name, folder, "pictures", key] if folder == LIVE and name in names:
                live, (key, _, kind) = self._live(name), key.rpartition(".")
                self._send(*((live.again(key), _JSON) if kind == "json" else (live.view(key), _PNG)))
            case [name, "data", "overview.js"] | [name, "sets", _, "data", "overview.js"] if name in names:
                data = with_reports(self._read(parts), self.server.features / name, f"/{quote(name)}/{LIVE}")
                self._send(data, MIME_TYPES[".js"])
            case [name, folder, "reports", page] if folder == LIVE and name in names:
                self._send_report(name, page.removesuffix(".html"))
            case [name, _, *_] if name in names:
                self._send(self._read(parts), MIME_TYPES[Path(parts[-1]).suffix])
            case _:
                raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")

    def _send_report(self, name: str, key: str) -> None:
        overview = self._read([name, "data", "overview.js"])
        try:
            found = report_page(overview, self.server.features / name, key)
        except UnreadableFile:
            found = None
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        page, policy = found
        self._send(page, _HTML, more={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})

    def _post(self, parts: list[str]) -> None:
        match parts:
            case [name, folder, "pictures"] if folder == LIVE:
                self._send_json(self._sent(self._live(name).look, MAX_BYTES))
            case [name, folder, "variants" | "edits" | "effects" | "occlusion" as what] if folder == LIVE:
                live = self._live(name)
                uses = {"variants": live.variant, "edits": live.edit, "effects": live.effect, "occlusion": live.occlude}
                self._send_json(self._sent(uses[what], _MAX_EDIT_BYTES))
            case [name, folder, "probe"] if folder == LIVE:
                live = self._live(name)
                self._send_json(self._sent(lambda _: live.probe(start=True), _MAX_EDIT_BYTES))
            case [name, folder, "search"] if folder == LIVE and name in gallery_names(self.server.features):
                self._send_json(self._sent(lambda body: self.server.texts.search(name, body), MAX_BODY_BYTES))
            case [name, folder, "notes"] if folder == LIVE and name in gallery_names(self.server.features):
                self._send_json(self._sent(self._notes(name).change, MAX_CHANGES_BYTES))
            case _:
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be sent there")

    def _read(self, parts: list[str]) -> bytes:
        path = file_of(self.server.features, parts)
        if path is None or path.suffix != Path(parts[-1]).suffix:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        try:
            return read_regular(path, MAX_FILE_BYTES)
        except UnreadableFile as error:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing is there any more") from error

    def _live(self, name: str) -> LiveGallery:
        found = self.server.live.get(name, "this gallery was not there when the server was started")
        if isinstance(found, str):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, found)
        return found

    def _notes(self, name: str) -> RunNotes:
        return RunNotes(RunDirectory(self.server.features.parent).notes(name))

    def _state(self, name: str) -> dict[str, Any]:
        try:
            state = self._live(name).state()
        except Refused as off:
            state = {"reason": str(off)}
        return state | {"search": self.server.texts.state(name)}

    def _sent(self, use: Callable[[bytes], dict[str, Any]], most: int) -> dict[str, Any]:
        """What is made of the body; few are taken at once, for they are kept in memory."""
        n_bytes = content_length(self.headers, most)
        if not self.server.bodies.acquire(timeout=BODY_SECONDS):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "other pictures are still coming: send this one again")
        try:
            self._timed.allow(BODY_SECONDS)
            return use(read_body(self._stream, n_bytes))
        finally:
            self.server.bodies.release()

    def _send_json(self, value: object) -> None:
        self._send(json.dumps(value, allow_nan=False).encode("ascii"), _JSON)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self._send(json.dumps({"error": text}).encode("ascii"), _JSON, status)
        if self.command == "POST":
            drop_rest(self.connection, self._timed, self._stream)

    def _redirect(self, path: str) -> None:
        self._send(b"", _HTML, HTTPStatus.FOUND, {"Location": path})

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.connection.settimeout(self.timeout)
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(content)), **(more or {})}
        for header, value in {**HEADERS, **own}.items():
            self.send_header(header, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
