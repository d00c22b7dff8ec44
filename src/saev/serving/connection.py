"""One connection of a browser: what is refused, what comes in too late, and how answers are sent."""

import io
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import MSG_PEEK
from typing import Any, Final

from typing_extensions import override

from saev.errors import InputError
from saev.pages.embedding import ascii_json
from saev.serving.asked import BadRequest
from saev.serving.guard import HEADERS, refusal
from saev.serving.incoming import REQUEST_SECONDS, Refused, TimedStream, check_said_once, drop_rest, has_body
from saev.serving.kept_pictures import Forgotten
from saev.serving.site import MIME_TYPES, parts_of

log = logging.getLogger(__name__)

JSON: Final = "application/json"


class Connection(BaseHTTPRequestHandler, ABC):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "saev", ""
    disable_nagle_algorithm = True  # an answer's content would wait until its headers are acknowledged
    timeout = REQUEST_SECONDS  # for an answer to be taken; what comes in has limits of its own

    @override
    def setup(self) -> None:
        """Read through a stream that ends in time."""
        super().setup()
        self.rfile.close()
        self.timed = TimedStream(self.connection)
        self.rfile = self.stream = io.BufferedReader(self.timed)

    @override
    def handle_one_request(self) -> None:
        """One request of the connection, which must have come in time."""
        self.timed.allow(REQUEST_SECONDS)
        super().handle_one_request()

    def do_GET(self) -> None:
        """A file, a page, or what the SAE says."""
        self._answer(self.get)

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self._answer(self.get)

    def do_POST(self) -> None:
        """A picture, an edit, or notes."""
        self._answer(self.post)

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
            self._refuse(HTTPStatus.GONE if isinstance(error, Forgotten) else HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            log.exception("a request failed")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def is_wanted(self) -> bool:
        """Whether the browser waits for the answer: it closes the connection of a request that it gives up."""
        try:
            self.connection.settimeout(0)
            return bool(self.connection.recv(1, MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    @abstractmethod
    def get(self, parts: list[str]) -> None:
        """Answer GET and HEAD.

        Args:
            parts: Of the path.

        Raises:
            Refused: With the status and the text that are sent instead.
            BadRequest: Sent with status 400, as an InputError is.
        """

    @abstractmethod
    def post(self, parts: list[str]) -> None:
        """Answer POST; arguments and errors as those of `get`."""

    def send_json(self, value: object) -> None:
        """Send a value as JSON."""
        self.send(ascii_json(value).encode("ascii"), JSON)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.send(json.dumps({"error": text}).encode("ascii"), JSON, status)
        if self.command == "POST":
            drop_rest(self.connection, self.timed, self.stream)

    def redirect(self, path: str) -> None:
        """Send the browser to another path."""
        self.send(b"", MIME_TYPES[".html"], HTTPStatus.FOUND, {"Location": path})

    def send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        """Send an answer.

        Args:
            content: Of the answer; a HEAD gets its length alone.
            kind: The MIME type.
            status: Of the answer.
            more: Headers beside those that every answer has.
        """
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
