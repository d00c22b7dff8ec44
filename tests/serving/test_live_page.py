"""The page of the user's own picture in a real browser, with a real SAE behind it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from tests.serving.conftest import file_of, gallery_of, own_picture
from tests.serving.served import Served

from saev.serving.open_run import OpenedSae
from saev.vit.backbone import Backbone

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
HOSTILE = '"><img src=x onerror=alert(1)>.png'


def strongest_by_hand(opened: OpenedSae, backbone: Backbone) -> list[int]:
    with torch.no_grad():
        x_td = backbone(backbone.preprocessing.tensor(own_picture())[None], [4])[4][0, 1:]
        top_s = torch.from_numpy(opened.overview.max_value.copy()).clamp(min=1e-30)
        level_s = (255 * (opened.sae.encode(x_td).amax(0) / top_s).clamp(max=1)).round()
    fires = [latent for latent in range(48) if level_s[latent] > 0]
    return sorted(fires, key=lambda latent: (-level_s[latent].item(), latent))


def test_a_picture_with_a_hostile_name_is_shown_with_its_latents(
    served: Served, opened: OpenedSae, backbone: Backbone
) -> None:
    served.drop(file_of(own_picture()), HOSTILE)
    served.says("#live h1", HOSTILE)
    page = served.page
    page.wait_for_selector("#live .fire")
    expected = strongest_by_hand(opened, backbone)
    numbers = [int(text) for text in page.locator("#live .fire-number").all_inner_texts()]
    assert numbers == expected[:10]
    assert page.locator("#live img[src=x]").count() == 0
    image = page.locator("#live .stage img")
    assert image.evaluate(
        "async (one) => { await one.decode(); return [one.naturalWidth, one.naturalHeight]; }"
    ) == list(backbone.preprocessing.view(own_picture()).size)
    assert HOSTILE in (image.get_attribute("alt") or "")
    assert page.title().startswith("Your pictures")


def test_a_heatmap_and_the_latents_of_a_patch(served: Served, opened: OpenedSae, backbone: Backbone) -> None:
    served.drop(file_of(own_picture()), "own.png", "paste")
    served.says("#live h1", "own.png")
    page = served.page
    latent = strongest_by_hand(opened, backbone)[0]
    page.locator(f"#live .fire[data-latent='{latent}']").click()
    page.wait_for_selector("#live .heat")
    rows, columns = backbone.grid
    alpha = page.evaluate(
        f"[...document.querySelector('#live .heat').getContext('2d').getImageData(0, 0, {columns}, {rows}).data]"
        ".filter((_, i) => i % 4 === 3)"
    )
    with torch.no_grad():
        x_td = backbone(backbone.preprocessing.tensor(own_picture())[None], [4])[4][0, 1:]
        f_ps = opened.sae.encode(x_td)
    nothing = min(alpha)
    assert [a > nothing for a in alpha] == (f_ps[:, latent] > opened.overview.max_value[latent] / 500).tolist()
    assert page.url.endswith(f"#live&latent={latent}")
    silent = int((f_ps.amax(0) == 0).nonzero()[0])
    page.evaluate(f"() => {{ location.hash = '#live&latent={silent}'; }}")
    served.says("#live .chosen", ": does not fire here")
    page.evaluate(f"() => {{ location.hash = '#live&latent={latent}'; }}")
    served.says("#live .chosen", ": on ")
    box = page.locator("#live .patch-grid").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1.5 * box["width"] / columns, box["y"] + 0.5 * box["height"] / rows)
    served.says("#live .live-side > .panel:last-child h2", "row 1, column 2")
    shown = [int(text) for text in page.locator("#live .fire-number").all_inner_texts()]
    assert set(shown) == set(f_ps[1].nonzero()[:, 0].tolist())
    page.locator("#live .row-link").first.click()
    page.wait_for_selector("#latent:not([hidden]) h1")
    page.go_back()
    served.says("#live h1", "own.png")


def test_latents_are_switched_off_and_up(served: Served) -> None:
    served.drop(file_of(own_picture()), "own.png")
    page = served.page
    served.count("#live .neighbour", 8)
    served.count("#live .edit-result section", 1)
    before = page.locator("#live .neighbour").evaluate_all("(all) => all.map((one) => one.title)")
    page.select_option("#live .fires-order select", "sum")
    page.locator("#live .fire").first.click()
    latent = page.locator("#live .fire").first.get_attribute("data-latent")
    page.get_by_role("button", name=f"Switch latent {latent} off").click()
    served.count("#live .edit-result section", 2)
    served.says("#live .edits > [role=status]", "of 8 ")
    served.says("#live .edit-list a", f"Latent {latent}")
    served.says("#live .edit-list", " off ")
    titles = page.locator("#live .neighbour").evaluate_all("(all) => all.map((one) => one.title)")
    assert titles[:8] == before
    assert len(titles) == 16
    slider = page.get_by_role("slider", name=f"Factor of latent {latent}")
    assert slider.input_value() == "0"
    slider.focus()
    page.keyboard.press("End")
    served.says("#live .edit-list", "times 10")
    assert slider.get_attribute("aria-valuetext") == "times 10"
    page.get_by_role("button", name=f"Take back the change of latent {latent}").click()
    served.count("#live .edit-result section", 1)
    assert slider.input_value() == "1"
    shown = page.locator("#live .neighbour:has(a)").first
    unknown = page.locator("#live .neighbour:not(:has(a))")  # an image that was held out is not in the gallery
    assert unknown.locator(".name").all_inner_texts() == [one.get_attribute("title") for one in unknown.all()]
    name = shown.get_attribute("title")
    shown.locator("a").click()
    page.wait_for_selector("#picture:not([hidden]) h1")
    assert page.locator("#picture h1").inner_text() == name


def test_a_file_is_chosen_and_errors_are_said(served: Served) -> None:
    page = served.page
    page.get_by_role("link", name="Your pictures").click()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Add pictures").click()
    choosing.value.set_files({"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"})
    served.says("#live [role=alert]", "no known picture format")
    served.complaints.clear()  # the browser logs the status 400
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Add pictures").click()
    choosing.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": file_of(own_picture(), "JPEG")})
    served.says("#live h1", "a.jpg")
    served.says("#live [role=alert]", "")
    served.drop(32 * 2**20 + 1, HOSTILE)
    served.says("#live [role=alert]", f"{HOSTILE} has 32 MiB; at most 32 are taken")
    served.says("#live h1", "a.jpg")


def test_why_there_is_no_live_inference_and_why_no_neighbours_is_said(
    served: Served, opened: OpenedSae, backbone: Backbone, shards: Path
) -> None:
    served.server.live = {served.name: "no <b>ViT</b>"}
    served.page.reload()
    served.says("#overview #live-reason", "New pictures cannot be looked at here: no <b>ViT</b>")
    served.page.goto(f"{served.server.url}{served.name}/#live")
    served.says("#live .empty", "New pictures cannot be looked at here: no <b>ViT</b>")
    served.count("#live button", 0)
    served.server.live = {served.name: gallery_of(opened, backbone, "all gone", shards)}
    served.page.reload()
    served.page.wait_for_selector("main:not([hidden])")
    served.drop(file_of(own_picture()), "own.png")
    served.says("#live .edits > [role=status]", "not known: all gone")
    served.page.wait_for_selector("#live .fire")


def test_without_a_server_the_page_has_no_such_entry(open_page: Callable[..., "Page"], run_dir: Path) -> None:
    (gallery,) = (run_dir / "features").iterdir()
    page = open_page(gallery / "index.html", "#live")
    page.wait_for_selector("#overview:not([hidden])")
    assert page.locator(".live-link, #live").count() == 0
    asked: list[str] = []
    listener = lambda request: asked.append(request.url)  # noqa: E731
    page.on("request", listener)
    page.reload()
    page.wait_for_selector("#overview:not([hidden])")
    page.remove_listener("request", listener)
    assert asked
    assert not [url for url in asked if "live" in url.rsplit("/", 1)[-1] or not url.startswith("file:")]


def test_the_policy_keeps_foreign_code_out(served: Served) -> None:
    blocked = served.page.evaluate("""() => new Promise((resolve) => {
        const seen = [];
        addEventListener("securitypolicyviolation", (event) => {
          seen.push(event.effectiveDirective);
          if (seen.length === 4) resolve(seen.sort());
        });
        const script = (attributes) => document.head.append(
          Object.assign(document.createElement("script"), attributes));
        script({ textContent: "self.ran = true" });
        script({ src: "https://example.org/x.js" });
        document.body.append(Object.assign(new Image(), { src: "https://example.org/x.png" }));
        fetch("https://example.org/x").catch(() => {});
    })""")
    assert blocked == ["connect-src", "img-src", "script-src-elem", "script-src-elem"]
    assert served.page.evaluate("self.ran") is None
    served.complaints.clear()
