"""What is sent to the server, over real connections: lengths that lie, bodies that do not come, too many at once."""

import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
from tests.serving.conftest import ask, edit_of, error, file_of, own_picture

from saev.serving import connection as connection_module
from saev.serving import incoming
from saev.serving import server as server_module
from saev.serving.server import GalleryServer


@pytest.fixture
def connection(server: GalleryServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as opened:
        yield opened


def answers(connection: socket.socket, sent: bytes) -> bytes:
    """All that comes until the server closes the connection."""
    connection.sendall(sent)
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def head(server: GalleryServer, request: str, *more: str) -> bytes:
    host = f"127.0.0.1:{server.server_port}"
    lines = [f"{request} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("lengths", "status"),
    [
        ([], 411),
        (["0" * 20 + "600000000"], 413),
        (["9" * 5000], 413),
        (["0" * 5000 + "9"], 400),  # nine bytes that are no picture
        ([str(32 * 2**20 + 1)], 413),
        (["-1"], 400),
        (["+9"], 400),
        (["9 9"], 400),
        (["0x9"], 400),
        (["1_0"], 400),
        (["\u00b2"], 400),
        (["9", "9"], 400),
        (["9", "600000000"], 400),
        (["9, 9"], 400),
        ([""], 400),
    ],
)
def test_lengths(server: GalleryServer, name: str, connection: socket.socket, lengths: list[str], status: int) -> None:
    said = [f"Content-Length: {length}" for length in lengths]
    found = answers(connection, head(server, f"POST /{name}/live/pictures", *said) + b"no images")
    assert found.startswith(f"HTTP/1.1 {status} ".encode())
    assert found.count(b"HTTP/1.1 ") == 1


def test_a_body_without_a_length_is_not_taken(server: GalleryServer, name: str) -> None:
    for length in (None, "1"):
        more = {"Transfer_Encoding": "chunked", "Content_Length": length}
        assert ask(server, "POST", f"/{name}/live/pictures", b"", **more)[0].status == 411


def test_memory_is_taken_as_bytes_come(server: GalleryServer, name: str, connection: socket.socket) -> None:
    tracemalloc.start()
    try:
        connection.sendall(head(server, f"POST /{name}/live/pictures", f"Content-Length: {32 * 2**20}") + b"x")
        assert ask(server, "GET", f"/{name}/live/state")[0].status == 200
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_large_picture_is_refused_in_words_while_it_is_sent(server: GalleryServer, name: str) -> None:
    response, content = ask(server, "POST", f"/{name}/live/pictures", b"x" * (33 * 2**20))
    assert response.status == 413
    assert "at most 32 MiB are taken" in error(content)


def test_a_body_that_comes_too_slowly_is_not_waited_for(
    server: GalleryServer, name: str, connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (incoming, server_module):
        monkeypatch.setattr(module, "BODY_SECONDS", 0.2)
    found = answers(connection, head(server, f"POST /{name}/live/pictures", "Content-Length: 9") + b"x")
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"1 of 9 bytes came within 0.2 seconds" in found


def test_the_time_is_that_of_the_whole_request_and_not_of_each_byte(
    server: GalleryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "REQUEST_SECONDS", 0.2)
    address = ("127.0.0.1", server.server_port)
    with socket.create_connection(address, timeout=0.05) as slow, pytest.raises(ConnectionError):
        for _ in range(200):
            slow.sendall(b"x")
            try:
                if not slow.recv(1):
                    raise ConnectionError
            except TimeoutError:
                pass


def test_more_connections_than_there_is_room_for_are_sent_away(server: GalleryServer, name: str) -> None:
    with ExitStack() as many:
        idle = [
            many.enter_context(socket.create_connection(("127.0.0.1", server.server_port), timeout=20))
            for _ in range(server_module.MAX_CONNECTIONS)
        ]
        assert ask(server, "GET", f"/{name}/live/state")[0].status == 503
        idle[0].close()
        for _ in range(200):
            if (status := ask(server, "GET", f"/{name}/live/state")[0].status) == 200:
                break
        assert status == 200


def test_what_follows_the_headers_is_no_request(server: GalleryServer, name: str, connection: socket.socket) -> None:
    smuggled = head(server, f"GET /{name}/live/state")
    for request in ("GET /", "HEAD /", "PUT /", "POST /"):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as fresh:
            found = answers(fresh, head(server, request, f"Content-Length: {len(smuggled)}") + smuggled)
        assert found.count(b"HTTP/1.1 ") == 1, request
    twice = answers(connection, head(server, "GET /", "Host: evil.example", "Connection: close"))
    assert twice.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", "Invalid HTTP version"),
        (b"\x00\xff\r\n\r\n", "Bad request syntax"),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET /%00/%zz/%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_odd_requests_are_refused(connection: socket.socket, sent: bytes, said: int | str) -> None:
    assert (said if isinstance(said, str) else f"HTTP/1.1 {said} ").encode() in answers(connection, sent)


@pytest.mark.parametrize(
    "body",
    [b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000, b"\xff", b"NaN", edit_of("x", [[0, float("nan")]]),
     edit_of("x", [[0, 1e308 * 10]]), edit_of("x", [[0, 10**400]]), edit_of("x", [[10**400, 0]]),
     edit_of("x", [], 10**400), edit_of("x", [[True, 0]]), edit_of("x", [[0, 0]] * 65)],
)  # fmt: skip
def test_odd_edits_are_refused(server: GalleryServer, name: str, body: bytes) -> None:
    response, content = ask(server, "POST", f"/{name}/live/edits", body)
    assert response.status == 400
    assert len(error(content)) < 200


def test_a_connection_answers_again_after_each_file(server: GalleryServer, name: str) -> None:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    for path in ("/", f"/{name}/assets/main.js", f"/{name}/nothing.js", f"/{name}/assets/main.js"):
        connection.request("GET", path, headers={"Range": "bytes=0-0"})  # not heeded
        response = connection.getresponse()
        content = response.read()
        assert response.headers.get("Connection") is None
        assert response.status != 206
    assert content.startswith(b'"use strict"')
    connection.request("POST", f"/{name}/live/pictures", file_of(own_picture()), {"Origin": "http://x"})
    assert connection.getresponse().headers["Connection"] == "close"
    connection.close()
