"""The HTTP server of a run's galleries, for this machine alone."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar, final
from urllib.parse import quote

from typing_extensions import override

from saev.artifacts import RunDirectory
from saev.errors import InputError
from saev.gallery.image_sets import SETS_FOLDER, read_sets
from saev.serving.connection import JSON, Connection
from saev.serving.incoming import BODY_SECONDS, Refused, content_length, place_in, read_body
from saev.serving.live_gallery import MAX_BYTES, LiveGalleries, LiveGallery
from saev.serving.missing_pages import MissingPages, PagesOfSets
from saev.serving.reports import report_page, with_reports
from saev.serving.run_notes import MAX_CHANGES_BYTES, RunNotes
from saev.serving.site import MIME_TYPES, content_of, gallery_names, list_page, live_page
from saev.serving.text_search import MAX_BODY_BYTES, TextSearch

log = logging.getLogger(__name__)
T = TypeVar("T")

ADDRESS: Final = "127.0.0.1"
LIVE: Final = "live"
"""The folder of each gallery that is no folder: what the SAE answers."""
MAX_CONNECTIONS: Final = 64
"""At once; a browser keeps six."""
MAX_BODIES: Final = 4
"""Pictures that are taken at once, and as many changes of notes; others wait. What is asked is too small to wait."""
_LATER: Final = "this gallery was not there when the server was started"
_SET_LATER: Final = "this image set was not there when the server was started"
_MAX_EDIT_BYTES: Final = 2**16
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HTML, _PNG = MIME_TYPES[".html"], MIME_TYPES[".png"]


@final
class GalleryServer(ThreadingHTTPServer):
    """Serves the files of RUN/features, and the answers of live SAEs, on 127.0.0.1.

    Args:
        port: Where to listen; 0 takes one that is free.
        namer_weights: Those of the namers that answer to texts; by default from the network.

    Raises:
        InputError: If the port is taken or may not be used.
    """

    request_queue_size = MAX_CONNECTIONS  # that come at the same moment
    daemon_threads = True  # a browser that keeps its connection open must not keep the process alive

    def __init__(self, port: int, features: Path, live: LiveGalleries, namer_weights: str | None = None) -> None:
        self.features, self.live, self.texts = features, live, TextSearch(features, namer_weights)
        self.pages: Mapping[str, PagesOfSets | str] = {}  # what makes those that galleries lack
        self.rooms = {most: BoundedSemaphore(MAX_BODIES) for most in (MAX_BYTES, MAX_CHANGES_BYTES)}
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
        self.texts.finish()
        sets = [one for each in self.pages.values() if not isinstance(each, str) for one in each.values()]
        making = [one for one in sets if not isinstance(one, str)]
        for one in making:  # they wait for each other
            one.stop()
        for each in (*self.live.values(), *making):
            if not isinstance(each, str):
                each.finish()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""
        log.debug("a connection broke", exc_info=True)


@final
class GalleryHandler(Connection):
    """Answers one connection."""

    server: GalleryServer

    @override
    def get(self, parts: list[str]) -> None:
        """A file, a page, or what the SAE says."""
        names = gallery_names(self.server.features)
        match parts:
            case [""] if len(names) != 1:
                self.send(list_page(names).encode(), _HTML)
            case [""]:
                self.redirect(f"/{quote(names[0])}/")
            case [name] if name in names:
                self.redirect(f"/{quote(name)}/")
            case [name, "" | "index.html"] if name in names:
                page = live_page(self._read([name, "index.html"]).decode("utf-8"))
                self.send(page.encode(), _HTML)
            case [name, folder, "state"] if folder == LIVE and name in names:
                self.send_json(self._state(name))
            case [name, folder, "probe"] if folder == LIVE and name in names:
                self.send_json(self._live(name).probe(start=False))
            case [name, folder, "notes"] if folder == LIVE and name in names:
                self.send_json(self._notes(name).state())
            case [name, folder, "pictures", key] if folder == LIVE and name in names:
                live, (key, _, kind) = self._live(name), key.rpartition(".")
                self.send(*((live.again(key), JSON) if kind == "json" else (live.view(key), _PNG)))
            case [name, "data", "overview.js"] | [name, "sets", _, "data", "overview.js"] if name in names:
                data = with_reports(self._read(parts), self.server.features / name, f"/{quote(name)}/{LIVE}")
                self.send(data, MIME_TYPES[".js"])
            case [name, folder, "latents", number] if folder == LIVE and name in names:
                self.send_json(self._pages(name, "").latent(number, self.is_wanted))
            case [name, "sets", one, folder, "latents", number] if folder == LIVE and name in names:
                self.send_json(self._pages(name, one).latent(number, self.is_wanted))
            case [name, folder, "reports", page] if folder == LIVE and name in names:
                self._send_report(name, page.removesuffix(".html"))
            case [name, _, *_] if name in names:
                self.send(self._read(parts), MIME_TYPES[Path(parts[-1]).suffix])
            case _:
                raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")

    def _send_report(self, name: str, key: str) -> None:
        found = report_page(self._read([name, "data", "overview.js"]), self.server.features / name, key)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        page, policy = found
        self.send(page, _HTML, more={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})

    @override
    def post(self, parts: list[str]) -> None:
        """A picture, an edit, or notes."""
        match parts:
            case [name, folder, "pictures"] if folder == LIVE:
                live = self._live(name)
                self.send_json(self._sent(lambda body: live.look(body, self.is_wanted), MAX_BYTES))
            case [name, folder, "variants" | "edits" | "effects" | "occlusion" as what] if folder == LIVE:
                live = self._live(name)
                uses = {"variants": live.variant, "edits": live.edit, "effects": live.effect, "occlusion": live.occlude}
                self.send_json(self._sent(lambda body: uses[what](body, self.is_wanted), _MAX_EDIT_BYTES))
            case [name, folder, "probe"] if folder == LIVE:
                live = self._live(name)
                self.send_json(self._sent(lambda _: live.probe(start=True), _MAX_EDIT_BYTES))
            case [name, folder, "search"] if folder == LIVE and name in gallery_names(self.server.features):
                self.send_json(self._sent(lambda body: self.server.texts.search(name, body), MAX_BODY_BYTES))
            case [name, folder, "notes"] if folder == LIVE and name in gallery_names(self.server.features):
                self.send_json(self._sent(self._notes(name).change, MAX_CHANGES_BYTES))
            case _:
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be sent there")

    def _read(self, parts: list[str]) -> bytes:
        found = content_of(self.server.features, parts)
        if found is None:
            one, path = (parts[2], parts[3:]) if parts[1] == SETS_FOLDER and len(parts) > 3 else ("", parts[1:])
            pages = self._pages_of(parts[0], one)
            found = None if isinstance(pages, str) else pages.file(path)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        return found

    def _live(self, name: str) -> LiveGallery:
        return _started(self.server.live.get(name, _LATER))

    def _pages(self, name: str, image_set: str) -> MissingPages:
        return _started(self._pages_of(name, image_set))

    def _pages_of(self, name: str, image_set: str) -> MissingPages | str:
        found = self.server.pages.get(name, _LATER)
        return found if isinstance(found, str) else found.get(image_set, _SET_LATER)

    def _notes(self, name: str) -> RunNotes:
        return RunNotes(RunDirectory(self.server.features.parent).notes(name))

    def _state(self, name: str) -> dict[str, Any]:
        sets = read_sets(self.server.features / name)
        found = {one: self._pages_of(name, one) for one in ("", *(one.name for one in sets[1:]))}
        pages = {one: pages if isinstance(pages, str) else None for one, pages in found.items()}
        try:
            state = self._live(name).state()
        except Refused as off:
            state = {"reason": str(off)}
        return state | {"pages": pages, "search": self.server.texts.state(name)}

    def _sent(self, use: Callable[[bytes], dict[str, Any]], most: int) -> dict[str, Any]:
        """What is made of the body; of large ones few are taken at once, for they are kept in memory."""
        n_bytes = content_length(self.headers, most)
        with place_in(self.server.rooms.get(most)):
            self.timed.allow(BODY_SECONDS)
            return use(read_body(self.stream, n_bytes))


def _started(found: T | str) -> T:
    """What answers, which may not be there.

    Raises:
        Refused: With the reason.
    """
    if isinstance(found, str):
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, found)
    return found
