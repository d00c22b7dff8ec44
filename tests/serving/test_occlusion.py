"""Occlusion maps against passes of the ViT by hand, and on the page."""

import json
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.serving.conftest import CPU, ask, file_of, own_picture
from tests.serving.test_live_page import Served, strongest_by_hand

from saev.serving.asked import BadRequest
from saev.serving.live_gallery import LiveGallery
from saev.serving.live_sae import LiveSae
from saev.serving.occlusion import occlusion
from saev.serving.open_run import OpenedSae
from saev.serving.server import GalleryHandler, GalleryServer
from saev.serving.turn import Turn
from saev.vit.backbone import Backbone

pytest_plugins = ("tests.serving.test_live_page",)


@pytest.mark.parametrize("block", [1, 3])
def test_each_square_is_what_a_pass_by_hand_gives(opened: OpenedSae, backbone: Backbone, block: int) -> None:
    view = backbone.preprocessing.view(own_picture())
    latent = strongest_by_hand(opened, backbone)[0]
    found = occlusion(LiveSae(opened.sae, opened.provenance, backbone, CPU), view, latent, block, Turn())
    rows, columns = backbone.grid
    pixels = np.asarray(view)

    def values(image: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            x_td = backbone(backbone.preprocessing.tensor_of_view(Image.fromarray(image))[None], [4])[4][0, 1:]
            return opened.sae.encode(x_td)[:, latent]

    before = values(pixels)
    assert found["patch"] == int(before.argmax())
    assert found["value"] == pytest.approx(float(before.max()), rel=1e-4)
    assert (found["rows"], found["columns"]) == (-(-rows // block), -(-columns // block))
    assert len(found["values"]) == found["rows"] * found["columns"]
    side = pixels.shape[0] // rows, pixels.shape[1] // columns
    mean = np.round(pixels.reshape(-1, 3).mean(0)).astype(np.uint8)
    for number in (0, found["columns"] + 1, len(found["values"]) - 1):
        y, x = divmod(number, found["columns"])
        filled = pixels.copy()
        filled[y * block * side[0] : (y + 1) * block * side[0], x * block * side[1] : (x + 1) * block * side[1]] = mean
        assert found["values"][number] == pytest.approx(float(values(filled)[found["patch"]]), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("change", [{"latent": 10**6}, {"latent": True}, {"block": 0}, {"block": 1.0}, {"picture": 7}])
def test_nonsense_is_refused(live: LiveGallery, change: dict[str, object]) -> None:
    asked = {"picture": live.look(file_of(own_picture()))["id"], "latent": 3, "block": 4}
    assert len(live.occlude(json.dumps(asked).encode())["values"]) > 1
    with pytest.raises(BadRequest):
        live.occlude(json.dumps(asked | change).encode())


def test_it_ends_when_the_browser_goes_away(server: GalleryServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live = server.live[name]
    assert isinstance(live, LiveGallery)
    asked = {"picture": live.look(file_of(own_picture()))["id"], "latent": 3, "block": 1}
    body, values, n = json.dumps(asked).encode(), live._sae.values, 0
    client = socket.create_connection(("127.0.0.1", server.server_port))

    def leaving(*given: Any) -> torch.Tensor:
        nonlocal n
        n += 1
        if n == 2:  # the first batch of squares
            client.close()
        return values(*given)

    monkeypatch.setattr(live._sae, "values", leaving)
    host = f"127.0.0.1:{server.server_port}"
    head = f"POST /{name}/live/occlusion HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    before = {*threading.enumerate()}
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    while n < 2:
        time.sleep(0.01)
    for thread in {*threading.enumerate()} - before:  # that of the connection
        thread.join(20)
    assert n == 2
    assert ask(server, "POST", f"/{name}/live/occlusion", body)[0].status == 200
    assert n == 3 + -(-live._n_patches // 16)


@pytest.mark.browser
def test_the_page_asks_on_demand(served: Served, opened: OpenedSae, backbone: Backbone) -> None:
    page = served.page
    served.drop(file_of(own_picture()), "own.png")
    latent = strongest_by_hand(opened, backbone)[0]
    page.locator(f"#live .fire[data-latent='{latent}']").click()
    page.locator("#live .occlusion button").click()
    rows, columns = backbone.grid
    served.says("#live .occlusion [role=status]", f"{-(-rows // 2) * -(-columns // 2)} parts in")
    assert page.locator("#live .stage canvas").evaluate("one => [one.width, one.height]") == [
        -(-columns // 2),
        -(-rows // 2),
    ]
    page.evaluate("() => { location.hash = `picture=${app.data.pictures.keys().next().value}`; }")  # a recorded one
    page.locator("#picture .fire").first.click()
    page.locator("#picture .occlusion select").select_option("1")
    page.locator("#picture .occlusion button").click()
    served.says("#picture .occlusion [role=status]", "gallery's copy")
    served.says("#picture .occlusion [role=status]", f"{rows * columns} parts in")


@pytest.mark.browser
@pytest.mark.parametrize(
    "leave", ["() => { location.hash = ''; }", "document.querySelector('#live .occlusion button').click()"]
)
def test_the_page_gives_it_up(served: Served, monkeypatch: pytest.MonkeyPatch, leave: str) -> None:
    live = served.server.live[served.name]
    assert isinstance(live, LiveGallery)
    values, has_left, gave_up, n = live._sae.values, threading.Event(), threading.Event(), 0
    is_wanted = GalleryHandler.is_wanted

    def waiting(*given: Any) -> torch.Tensor:
        nonlocal n
        n += 1
        assert has_left.wait(20)
        return values(*given)

    def heard(self: GalleryHandler) -> bool:
        """The browser closes its connection a little later."""
        end = time.monotonic() + 20
        while has_left.is_set() and is_wanted(self) and time.monotonic() < end:
            time.sleep(0.01)
        if not is_wanted(self):
            gave_up.set()
        return is_wanted(self)

    page = served.page
    served.drop(file_of(own_picture()), "own.png")
    page.locator("#live .fire").first.click()
    monkeypatch.setattr(live._sae, "values", waiting)
    monkeypatch.setattr(GalleryHandler, "is_wanted", heard)
    page.locator("#live .occlusion button").click()
    served.says("#live .occlusion button", "Stop")
    page.evaluate(leave)
    served.says("#live .occlusion button", "What does it rest on?")
    has_left.set()
    assert gave_up.wait(20)
    assert n == 1
