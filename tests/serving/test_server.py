"""The HTTP server, asked over real connections."""

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from tests.fake_ghostscript import eps, put_first_in_path
from tests.serving.conftest import ask, edit_of, error, file_of, own_picture, serve

from saev.errors import InputError
from saev.serving import server as server_module
from saev.serving.connection import Connection
from saev.serving.live_gallery import LiveGallery
from saev.serving.server import MAX_BODIES, GalleryServer
from saev.serving.turn import Ended


def test_the_content_of_an_answer_does_not_wait_until_its_headers_are_acknowledged(
    server: GalleryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    handle = Connection.handle_one_request

    def asked(self: Connection) -> None:
        found.append(self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        handle(self)

    monkeypatch.setattr(Connection, "handle_one_request", asked)
    ask(server, "GET", "/")
    assert found and all(found)


def test_the_page_and_its_files(server: GalleryServer, name: str, run_dir: Path) -> None:
    response, _ = ask(server, "GET", "/")
    assert (response.status, response.headers["Location"]) == (302, f"/{name}/")
    response, _ = ask(server, "GET", f"/{name}")
    assert (response.status, response.headers["Location"]) == (302, f"/{name}/")
    response, page = ask(server, "GET", f"/{name}/")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'<meta name="saev-live" content="yes">' in page
    assert b"http-equiv" not in page
    folder = run_dir / "features" / name
    image = next((folder / "images").iterdir()).name
    kinds = {
        "assets/live.js": "text/javascript; charset=utf-8",
        "assets/live.css": "text/css; charset=utf-8",
        "assets/icon.svg": "image/svg+xml",
        "data/overview.js": "text/javascript; charset=utf-8",
        f"images/{image}": "image/jpeg",
    }
    for path, kind in kinds.items():
        response, content = ask(server, "GET", f"/{name}/{path}?x=1")
        assert (response.status, response.headers["Content-Type"]) == (200, kind)
        assert content == (folder / path).read_bytes()
        head, nothing = ask(server, "HEAD", f"/{name}/{path}")
        assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(content)), b"")


@pytest.mark.parametrize("path", ["", "{name}/", "{name}/nothing.js", "{name}/live/state", "../x", "{name}/images/"])
def test_every_answer_has_the_security_headers(server: GalleryServer, name: str, path: str) -> None:
    response, _ = ask(server, "GET", "/" + path.format(name=name))
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Python" not in response.headers["Server"]


@pytest.mark.parametrize(
    "path",
    ["/../config.yaml", "/{name}/../../config.yaml", "/{name}/..%2f..%2fconfig.yaml", "/{name}/images/", "/{name}/data",
     "/{name}/nothing.js", "/nothing/", "/nothing/live/state", "http://[x/", "/{name}%2f",
     "/{name}/live/", "/{name}/live/x",
     "/{name}/assets/index.html"],
)  # fmt: skip
def test_nothing_else_is_there(server: GalleryServer, name: str, path: str) -> None:
    response, content = ask(server, "GET", path.format(name=name))
    assert response.status == 404
    assert "nothing is there" in error(content)


def test_foreign_names_and_pages_are_refused(server: GalleryServer, name: str) -> None:
    assert ask(server, "GET", f"/{name}/", Host="evil.example")[0].status == 403
    script = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert ask(server, "GET", f"/{name}/data/overview.js", **script)[0].status == 403
    picture, path = file_of(own_picture()), f"/{name}/live/pictures"
    assert ask(server, "POST", path, picture, Origin="http://evil.example")[0].status == 403
    assert ask(server, "POST", path, picture, Origin=None)[0].status == 403
    assert ask(server, "POST", path, picture, Sec_Fetch_Site="same-site")[0].status == 403
    assert ask(server, "POST", path, picture)[0].status == 200


def test_a_picture_starts_no_program(
    server: GalleryServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = put_first_in_path(tmp_path, monkeypatch)
    response, content = ask(server, "POST", f"/{name}/live/pictures", eps())
    assert response.status == 400
    assert "no known picture format" in error(content)
    assert "taken are JPEG, PNG, GIF," in error(content)
    assert not mark.exists()


def test_a_picture_and_an_edit(server: GalleryServer, name: str) -> None:
    response, content = ask(server, "POST", f"/{name}/live/pictures", file_of(own_picture(), "JPEG"))
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    found = json.loads(content)
    response, png = ask(server, "GET", f"/{name}/live/pictures/{found['id']}.png")
    assert (response.status, response.headers["Content-Type"], png[:4]) == (200, "image/png", b"\x89PNG")
    response, content = ask(server, "POST", f"/{name}/live/edits", edit_of(found["id"], [[3, 0]], 4))
    assert response.status == 200
    assert len(json.loads(content)["after"]) == 4
    assert json.loads(ask(server, "GET", f"/{name}/live/state")[1])["reason"] is None


def test_what_cannot_be_is_said_in_words(server: GalleryServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    response, content = ask(server, "POST", f"/{name}/live/pictures", b"no picture")
    assert response.status == 400
    assert "no known picture format" in error(content)
    response, content = ask(server, "POST", f"/{name}/live/edits", edit_of("0" * 16, []))
    assert response.status == 410
    assert "open this one again" in error(content)
    assert ask(server, "GET", f"/{name}/live/pictures/x.png")[0].status == 410
    assert ask(server, "POST", f"/{name}/live/edits", b"{")[0].status == 400
    assert ask(server, "POST", f"/{name}/live/edits", b" " * 70_000)[0].status == 413
    for path in (f"/{name}/", f"/{name}/live/state", "/", f"/{name}/data/overview.js"):
        assert ask(server, "POST", path, b"x")[0].status == 405
    response, content = ask(server, "DELETE", f"/{name}/")
    assert response.status == 501
    assert "DELETE" in error(content)
    monkeypatch.setattr(server_module, "MAX_BYTES", 10)
    response, content = ask(server, "POST", f"/{name}/live/pictures", b"x" * 11)
    assert response.status == 413
    assert "MiB" in error(content)


def test_a_bug_is_told_and_the_server_goes_on(
    server: GalleryServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.live[name], "_sae", None)
    response, content = ask(server, "POST", f"/{name}/live/pictures", file_of(own_picture()))
    assert response.status == 500
    assert "AttributeError" in error(content)
    monkeypatch.undo()
    assert ask(server, "POST", f"/{name}/live/pictures", file_of(own_picture()))[0].status == 200


def test_bytes_that_were_not_read_are_no_request(server: GalleryServer, name: str) -> None:
    smuggled = f"GET /{name}/live/state HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n" + smuggled)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 403")


def test_closing_waits_for_what_is_computed_and_lets_nothing_else_begin(
    run_dir: Path, name: str, make_live: Callable[[], LiveGallery]
) -> None:
    live = make_live()
    server, picture = GalleryServer(0, run_dir / "features", {name: live}), file_of(own_picture())
    key = live.look(picture)["id"]
    asked = json.dumps({"picture": key, "latent": 0, "block": 1}).encode()
    with ThreadPoolExecutor() as pool:
        with live._lock:
            waiting = [pool.submit(live.occlude, asked), pool.submit(live.look, picture)]
            closing = pool.submit(server.server_close)
            assert not wait([closing, *waiting], 0.1).done
        closing.result(5)
        assert [type(one.exception(5)) for one in waiting] == [Ended, Ended]
    assert live.probe(start=True)["fitted"] is None
    live.finish()
    assert live.probe(start=False)["fitted"] is None


def test_notes_and_questions_do_not_wait_for_pictures(server: GalleryServer, name: str) -> None:
    live = server.live[name]
    assert isinstance(live, LiveGallery)
    key, occlude = live.look(file_of(own_picture()))["id"], f"/{name}/live/occlusion"
    asked = json.dumps({"picture": key, "latent": 0, "block": 4}).encode()
    with ThreadPoolExecutor() as pool, live._lock:
        computed = [pool.submit(ask, server, "POST", occlude, asked) for _ in range(MAX_BODIES + 1)]
        computed += [
            pool.submit(ask, server, "POST", f"/{name}/live/pictures", file_of(own_picture()))
            for _ in range(MAX_BODIES)
        ]
        assert not wait(computed, 0.3).done
        assert ask(server, "POST", f"/{name}/live/notes", b"{")[0].status == 400
        assert ask(server, "POST", f"/{name}/live/search", b"{")[0].status == 400
    assert [one.result(20)[0].status for one in computed] == [200] * len(computed)


def test_only_this_machine_is_listened_to(server: GalleryServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_taken_port_is_said(server: GalleryServer, run_dir: Path) -> None:
    with pytest.raises(InputError, match=rf"--port {server.server_port} .*in use.*give another one"):
        GalleryServer(server.server_port, run_dir, {})


def test_without_a_vit_the_gallery_is_served(run_dir: Path, name: str) -> None:
    for server in serve(run_dir / "features", {name: "no ViT"}):
        state = json.loads(ask(server, "GET", f"/{name}/live/state")[1])
        assert state.pop("search")["reason"].startswith("nothing was kept of what a namer saw of the latents")
        assert state == {"reason": "no ViT", "pages": {"": "this gallery was not there when the server was started"}}
        response, content = ask(server, "POST", f"/{name}/live/pictures", file_of(own_picture()))
        assert (response.status, error(content)) == (503, "no ViT")
        assert ask(server, "GET", f"/{name}/")[0].status == 200


def test_several_galleries_are_listed(run_dir: Path, name: str, tmp_path: Path) -> None:
    for other in ("one", "two"):
        (tmp_path / other).symlink_to(run_dir / "features" / name)
    for server in serve(tmp_path, {}):
        response, page = ask(server, "GET", "/")
        assert response.status == 200
        assert b'href="one/"' in page
        # Links that lead out of RUN/features name nothing.
        assert ask(server, "GET", "/one/")[0].status == 404
