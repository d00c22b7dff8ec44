"""The bench in a real browser: pictures, what is expected of them, variants, effects, and files of all that."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tests.serving.conftest import file_of, own_picture
from tests.serving.served import Served

from saev.probing.statistics.scores import average_precision, counts
from saev.serving import kept_pictures
from saev.serving.open_run import OpenedSae
from saev.vit.backbone import Backbone

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
HOSTILE = '</title><img src=x onerror=alert(1)>"&.png'
SIZES = ((90, 70), (50, 80), (64, 64), (120, 40))
NAMES = ("one.png", HOSTILE, "three.png", "four.png")


REGION = [0, 1, 2, 10, 11, 12, 20, 21, 22]
"""Patches of a grid of 10 by 10."""


def codes(opened: OpenedSae, backbone: Backbone, view: Image.Image) -> np.ndarray:
    """The codes (100, 48) of the patches of what the ViT sees."""
    with torch.no_grad():
        x_td = backbone(backbone.preprocessing.tensor_of_view(view)[None], [4])[4][0, 1:]
        found: np.ndarray = opened.sae.encode(x_td).numpy()
    return found


def largest(opened: OpenedSae, backbone: Backbone, view: Image.Image) -> np.ndarray:
    """The largest (48,) of them."""
    found: np.ndarray = codes(opened, backbone, view).max(0)
    return found


def shown(value: float) -> str:
    """As `showValue` in show.js."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.3g}"
    text = f"{value:.3g}"
    digits = 3 - len(str(int(value))) if abs(value) >= 1 else 2 - int(np.floor(np.log10(abs(value))))
    return f"{float(text):.{digits}f}"


def tray(page: "Page") -> list[str]:
    return page.locator("#live .tray .value strong").all_inner_texts()


def downloaded(page: "Page", kind: str) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Export {kind}").click()
    return Path(waiting.value.path())


def test_a_latent_is_tried_on_pictures(
    served: Served,
    opened: OpenedSae,
    backbone: Backbone,
    tmp_path: Path,
) -> None:
    page = served.page
    views = [backbone.preprocessing.view(own_picture(*size)) for size in SIZES]
    values_ns = np.stack([largest(opened, backbone, view) for view in views])
    is_in_region_s = codes(opened, backbone, views[1])[REGION].max(0) > 0
    spread_s = np.where((values_ns > 0).all(0) & is_in_region_s, values_ns.std(0), -1)
    latent, silent = int(spread_s.argmax()), int(values_ns.max(0).argmin())
    values_n = values_ns[:, latent]

    page.evaluate(f"() => {{ location.hash = '#latent={latent}'; }}")
    page.get_by_role("link", name="Try a picture").click()
    served.says("#live .live-told", f"Latent {latent}")
    assert page.locator("#live-latent").input_value() == str(latent)
    served.drop_all([(file_of(own_picture(*size)), name) for size, name in zip(SIZES, NAMES, strict=True)])
    served.count("#live .tray li", 4)
    served.count("#live .tray .heat", 4)
    assert tray(page) == [shown(value) for value in values_n]
    served.drop(file_of(own_picture(*SIZES[1])), "again.png")  # the same file is the same picture
    served.says("#live h1", "again.png")
    served.count("#live .tray li", 4)
    served.drop_all([(b"no picture", "no.txt"), (file_of(own_picture(*SIZES[1])), HOSTILE)])
    served.says("#live [role=alert]", "no.txt: ")
    served.complaints.clear()  # the browser logs the status 400

    # what is expected of them, and scores at a threshold
    order = np.argsort(values_n)
    expected_n = np.isin(np.arange(4), order[[1, 3]])  # of three that fire above the threshold
    for name, fires in zip(NAMES, expected_n, strict=True):
        page.get_by_role("button", name=f"Expect {name} to {'fire' if fires else 'be silent'}", exact=True).click()
    threshold = round(float(values_n[order[:2]].mean()), 3)
    page.get_by_role("spinbutton", name="Threshold as a number").fill(str(threshold))
    cells = counts(values_n > threshold, expected_n, np.ones(4))
    table = page.locator("#live .bench-table tbody td").all_inner_texts()
    assert [float(one) for one in table] == [cells.tp, cells.fp, 0, cells.fn, cells.tn, 0]
    scores = dict(
        zip(*(page.locator(f"#live .bench-scores {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True)
    )
    by_hand = {"Precision": cells.precision(), "Recall": cells.recall(), "F1": cells.f1(), "MCC": cells.mcc()}
    by_hand = {name: float(score) for name, score in by_hand.items()}
    by_hand["AP"] = average_precision(values_n, expected_n, np.ones(4))
    assert {name: float(text) for name, text in scores.items()} == pytest.approx(by_hand, abs=0.0051)
    assert page.locator("#live .tray .wrong").count() == ((values_n > threshold) != expected_n).sum()

    # variants of the second one
    page.get_by_role("button", name=f"Show {HOSTILE}", exact=True).click()
    served.says("#live h1", HOSTILE)
    served.says("#live .chosen", f"at most {shown(values_n[1])}")
    page.get_by_role("button", name="Mirror").click()
    value = largest(opened, backbone, ImageOps.mirror(views[1]))[latent]
    served.says("#live .variants strong", shown(value))
    change = 100 * (value / values_n[1] - 1)
    said = page.locator("#live .variants .value .soft").inner_text().replace("−", "-").replace("\u202f", " ")
    assert float(re.sub("[^0-9-]", "", said)) == pytest.approx(change, abs=0.51)
    assert page.get_by_role("button", name="Cut out").is_disabled()
    box = page.locator("#live .patch-grid").bounding_box()
    assert box is not None
    for place, act in ((0.05, page.mouse.down), (0.25, page.mouse.up)):  # over the region
        page.mouse.move(box["x"] + place * box["width"], box["y"] + place * box["height"])
        act()
    page.get_by_role("combobox", name="Picture to paste onto").select_option(label="four.png")
    page.get_by_role("button", name="Paste onto").click()
    side = 3 * views[1].width // 10
    pasted = views[3].copy()
    pasted.paste(views[1].crop((0, 0, side, side)))
    served.says("#live .variants li >> nth=1", shown(largest(opened, backbone, pasted)[latent]))
    page.get_by_role("button", name=f"Keep {HOSTILE} (region pasted onto four.png)").click()
    served.count("#live .tray li", 5)

    # effects
    is_in_region_p = codes(opened, backbone, views[1])[REGION, latent] > 0
    page.get_by_role("button", name=f"Switch latent {latent} off").click()
    served.says("#live .effect-part [role=status]", "of 20 changes of the same size")
    everywhere = page.locator("#live .effects tbody td strong").first.inner_text()
    page.get_by_role("combobox", name="Where latents change").select_option("region")
    served.says("#live .effect-part [role=status]", f"the {is_in_region_p.sum()} token")
    assert float(page.locator("#live .effects tbody td strong").first.inner_text()) < float(everywhere)
    served.says("#live .effect-part", "has no text tower")

    # another latent, by its field; and a tab that comes again
    page.get_by_role("combobox", name="Latent", exact=True).fill(str(silent))
    page.keyboard.press("Enter")
    served.says("#live .live-told", f"Latent {silent}")
    assert page.url.endswith(f"#live&latent={silent}")
    assert tray(page) == ["0"] * 4 + [shown(largest(opened, backbone, pasted)[silent])]
    page.evaluate(f"() => {{ location.hash = '#live&latent={latent}'; }}")
    page.get_by_role("spinbutton", name="Threshold as a number").fill(str(threshold))
    before = tray(page)
    page.evaluate("() => { location.hash = ''; }")
    page.get_by_role("link", name="Your pictures").click()
    served.says("#live h1", HOSTILE)
    page.reload()
    served.count("#live .tray li", 5)
    served.says("#live h1", HOSTILE)
    assert tray(page) == before
    assert page.get_by_role("spinbutton", name="Threshold as a number").input_value() == str(threshold)
    assert page.locator("#live .expect [aria-pressed=true]").count() == 5

    check_files(page, opened, tmp_path, latent, threshold, values_n, expected_n)


def check_files(
    page: "Page",
    opened: OpenedSae,
    tmp_path: Path,
    latent: int,
    threshold: float,
    values_n: np.ndarray,
    expected_n: np.ndarray,
) -> None:
    """The exported files say what the page shows, and the page among them opens alone."""
    facts: dict[str, Any] = json.loads(downloaded(page, "JSON").read_text("utf-8"))
    assert (facts["latent"], facts["threshold"], facts["sae"]) == (latent, threshold, opened.overview.sae_id)
    for i, one in enumerate(facts["pictures"][:4]):
        digest = hashlib.sha256(file_of(own_picture(*SIZES[i]))).hexdigest()
        assert (one["name"], one["sha256"], one["variant"]) == (NAMES[i], digest, None)
        assert one["value"] == pytest.approx(values_n[i], rel=1e-4)
        assert (one["expected"], one["found"]) == (expected_n[i], values_n[i] > threshold)
    variant = facts["pictures"][4]["variant"]
    assert variant["patches"] == REGION
    assert (variant["kind"], variant["of"]["name"], variant["onto"]["name"]) == ("paste", HOSTILE, "four.png")
    alone = tmp_path / "alone.html"
    alone.write_bytes(downloaded(page, "HTML").read_bytes())
    text = alone.read_text("utf-8")
    assert "<script" not in text
    assert "<img src=x" not in text
    other = page.context.new_page()
    assert page.context.browser is not None
    other = page.context.browser.new_page()
    other.on("console", lambda message: pytest.fail(message.text))
    other.goto(alone.as_uri())
    assert other.locator("li .name").all_inner_texts()[:4] == list(NAMES)
    assert other.locator("img").evaluate_all("(all) => all.map((one) => one.naturalWidth)") == [160] * 5
    assert f"Latent {latent}" in other.title()
    other.close()


def test_pictures_that_the_server_forgot_are_sent_again(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = served.page
    monkeypatch.setattr(kept_pictures, "MAX_PICTURES", 2)
    page.evaluate("() => { location.hash = '#live&latent=3'; }")
    page.get_by_role("combobox", name="Expect of new pictures").select_option("to fire")
    served.drop_all([(file_of(own_picture(*size)), name) for size, name in zip(SIZES[:3], NAMES[:3], strict=True)])
    served.count("#live .tray li", 3)
    page.get_by_role("button", name="Show one.png").click()  # of which the server knows nothing any more
    page.get_by_role("button", name="Mirror").click()
    served.count("#live .variants li", 1)
    served.count("#live .expect [aria-pressed=true]", 3)
    page.get_by_role("button", name="Keep one.png (mirrored)").click()
    served.count("#live .tray li", 4)
    page.reload()  # now the files are gone, too
    served.count("#live .tray .missing", 2)
    served.says("#live .tray .missing >> nth=0", "drop it again")
    served.complaints[:] = [one for one in served.complaints if "410" not in one]  # the browser logs these
    page.get_by_role("button", name="Remove all").click()
    served.count("#live .tray li", 0)
    served.says("#live .drop-here", "Drop pictures or a folder")


CHOOSE_FOLDER = """(files) => {
  const input = document.querySelector("input[webkitdirectory]");
  const list = files.map(([base64, path, type]) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const file = new File([bytes], path.split("/").at(-1), { type });
    return Object.defineProperty(file, "webkitRelativePath", { value: path });
  });
  Object.defineProperty(input, "files", { value: list, configurable: true });
  input.dispatchEvent(new Event("change"));
}"""


def test_a_folder_is_added_with_what_is_expected_of_it(served: Served) -> None:
    page = served.page
    page.get_by_role("link", name="Your pictures").click()
    page.get_by_role("combobox", name="Expect of new pictures").select_option("to be silent")
    one, other = (base64.b64encode(file_of(own_picture(*size))).decode() for size in SIZES[:2])
    files = [[one, "f/1.png", "image/png"], [other, f"f/b/{HOSTILE}", "image/png"], [one, "f/notes.txt", "text/plain"]]
    page.evaluate(CHOOSE_FOLDER, files)
    served.count("#live .tray li", 2)
    names = page.locator("#live .tray .name").evaluate_all("(all) => all.map((one) => one.title)")
    assert names == [path for _, path, kind in files if kind == "image/png"]
    served.count("#live .expect [aria-pressed=true]", 2)
    served.says("#live [role=alert]", "")
    page.get_by_role("button", name="Remove f/1.png").click(force=True)
    served.count("#live .tray li", 1)
