"""What comes in over a connection: bounded in size and in time before it is taken."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from socket import SHUT_WR, socket
from threading import BoundedSemaphore
from typing import Final, final

from typing_extensions import override

REQUEST_SECONDS: Final = 60.0
"""Within which a request's line and headers must have come, the silence before them included."""
BODY_SECONDS: Final = 120.0
"""Within which what is sent must have come."""
_DROP_SECONDS: Final = 2.0
_DROP_BYTES: Final = 2**26
_CHUNK: Final = 2**20
_MAX_DIGITS: Final = 12
_ONCE: Final = ("Host", "Origin", "Content-Length")


class Refused(Exception):  # noqa: N818 - not all of these are errors
    """The request ends with this status and text."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@final
class TimedStream(io.RawIOBase):
    """The bytes of a socket, as long as they come within the time that `allow` gives.

    A limit for each read alone would let somebody who sends a byte now and then keep a thread for ever.
    """

    def __init__(self, connection: socket) -> None:
        self._connection, self._end = connection, 0.0

    def allow(self, seconds: float) -> None:
        """From now on, what comes after so many seconds is too late."""
        self._end = time.monotonic() + seconds

    @override
    def readable(self) -> bool:
        """True."""
        return True

    @override
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override] # any writable buffer
        """Read some bytes.

        Raises:
            TimeoutError: If none come in time.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def has_body(headers: Message) -> bool:
    """Whether bytes follow the headers, of whatever method."""
    return "Content-Length" in headers or "Transfer-Encoding" in headers


def check_said_once(headers: Message) -> None:
    """Raise Refused for headers that come twice, whose first and last could mean different things."""
    for name in _ONCE:
        if len(headers.get_all(name, [])) > 1:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is said more than once")


def content_length(headers: Message, most: int) -> int:
    """How many bytes follow the headers.

    Args:
        headers: Of the request.
        most: Upper bound.

    Raises:
        Refused: If the length is not said, is no number, or exceeds `most`.
    """
    said = headers.get("Content-Length")
    if said is None or "Transfer-Encoding" in headers:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length of what is sent must be said first")
    if not (said.isascii() and said.isdigit()):
        raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length is no number of bytes")
    digits = said.lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS or int(digits) > most:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most / 2**20:g} MiB are taken")
    return int(digits)


@contextmanager
def place_in(room: BoundedSemaphore | None) -> Iterator[None]:
    """A place among those whose bodies are taken; None has places for all.

    Raises:
        Refused: If no place becomes free in time.
    """
    if room is not None and not room.acquire(timeout=BODY_SECONDS):
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "others are still coming: send this again")
    try:
        yield
    finally:
        if room is not None:
            room.release()


def read_body(stream: "io.BufferedReader[TimedStream]", n_bytes: int) -> bytes:
    """So many bytes; memory is taken as they come.

    Raises:
        Refused: If they do not come in time.
        ConnectionAbortedError: If the stream ends before.
    """
    body = bytearray()
    try:
        while len(body) < n_bytes:
            part = stream.read1(min(_CHUNK, n_bytes - len(body)))
            if not part:
                raise ConnectionAbortedError("the browser went away")
            body += part
    except TimeoutError as error:
        said = f"{len(body)} of {n_bytes} bytes came within {BODY_SECONDS:g} seconds"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, said) from error
    return bytes(body)


def drop_rest(connection: socket, timed: TimedStream, stream: "io.BufferedReader[TimedStream]") -> None:
    """Let somebody who is still sending hear the answer: closing at once would reset the connection.

    What comes is thrown away, for two seconds and 64 MiB at most.
    """
    left = _DROP_BYTES
    try:
        connection.shutdown(SHUT_WR)
        timed.allow(_DROP_SECONDS)
        while left > 0 and (part := stream.read1(_CHUNK)):
            left -= len(part)
    except OSError:
        return
