"""A latent against a label: pictures and figures on the page, against a look at all codes and all pre-activations."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from PIL import Image
from tests.browsing import Open
from tests.conftest import MakeShards
from tests.gallery.galleries import HOSTILE
from tests.probing.planted import WING, ZEBRA, Planted, plant

import saev
from saev.cli.main import main
from saev.latents.pictures import Picture, RecordedPictures
from saev.latents.survey import EDGES
from saev.nn import TopK
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.statistics.scores import Counts, average_precision, counts

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

N, D_SAE, N_PATCHES = 41, 24, 6
DEAD = D_SAE - 1
NAMES = HOSTILE[:4]


class Truth(NamedTuple):
    """What is shown, and what is true: codes and pre-activations (n, patches, s), labels of patches and of pictures."""

    index: Path
    f_nps: np.ndarray
    h_nps: np.ndarray
    labels_np: np.ndarray
    y: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def truth(make_shards: MakeShards, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("against")
    rng = np.random.default_rng(3)
    labels_np = rng.integers(0, len(NAMES), (N, N_PATCHES)).astype(np.uint8)
    labels_np[rng.random((N, N_PATCHES)) < 0.5] = 0
    labels_np[:3] = 255  # nothing is known of these
    labels_np[3:5] = 3  # not all pictures have label 0
    image_set = {"sha256": "0" * 64, "n_examples": N, "patch_class_names": NAMES}
    shards, acts = make_shards(N, labels=torch.from_numpy(labels_np), image_set=image_set)
    site, juvenile = rng.integers(-1, 3, N), rng.integers(-1, 2, N)
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", HOSTILE[1], "juvenile"])
        for i in range(N):
            text = "" if site[i] < 0 else f"{HOSTILE[0]}{site[i]}"
            table.writerow([f"{i:05d}.png", text, ["no", "yes", ""][juvenile[i]]])
    torch.manual_seed(1)
    sae = TopK(8, D_SAE, k=2)
    with torch.no_grad():
        sae.W_enc[:, DEAD] = 0
        sae.b_enc[DEAD] = -1
    with pytest.MonkeyPatch.context() as patched:
        view = Image.new("RGB", (60, 40), (90,) * 3)
        patched.setattr(RecordedPictures, "__getitem__", lambda _, i: Picture(i, f"{i:05d}.png", "a", view))
        index = saev.render({"one": sae}, shards, folder, metadata=folder / "table.csv", include_latents=[DEAD])["one"]
    x_npd = acts[:, 1:]
    y = {f"patch:{name}": (labels_np == i).any(1).astype(int) for i, name in enumerate(NAMES)}
    for of_patches in y.values():
        of_patches[:3] = -1
    for i in range(3):
        y[f"metadata:{HOSTILE[1]}={HOSTILE[0]}{i}"] = np.where(site < 0, -1, site == i)
    y["metadata:juvenile"] = juvenile
    with torch.no_grad():
        return Truth(index, sae.encode(x_npd).numpy(), sae.pre_activations(sae.normalize(x_npd)).numpy(), labels_np, y)


def show(opened: "Page", latent: int, key: str, threshold: float) -> None:
    """Go to an address, and wait until it is drawn."""
    query = urlencode({"latent": latent, "against": key, "above": threshold})
    opened.evaluate("(query) => { location.hash = query; }", query)
    opened.wait_for_function(
        "([latent, key, above]) => { const shown = app.router.views.latent; const { against } = shown;"
        " return shown.filled === latent && against?.attribute?.key === key && against.threshold === above"
        " && against.drawing === undefined; }",
        arg=[latent, key, threshold],
    )


def cells(opened: "Page") -> list[list[str]]:
    return opened.locator(".against-table tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def listed(opened: "Page", kind: str) -> list[int]:
    """The pictures of a row, after all of them were asked for."""
    found: list[int] = opened.evaluate(
        r"""(kind) => {
          const row = document.querySelector(`.judged.${kind}`);
          const more = row.querySelector(".more");
          for (let n = 0; !more.hidden && n < 100; n += 1) more.click();
          return [...row.querySelectorAll("figure a")].map((a) => Number(/picture=(\d+)/.exec(a.href)[1]));
        }""",
        kind,
    )
    return found


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", ""))


def expect_figures(row: list[str], own: Counts) -> None:
    """Counts exactly, scores with two digits."""
    assert [number(one) for one in row[1:5]] == [own.tp, own.fp, own.fn, own.tn]
    scores = [own.precision(), own.recall(), own.f1(), own.mcc()]
    assert [number(one) for one in row[5:9]] == pytest.approx([float(one) for one in scores], abs=0.00501)


def cases(truth: Truth) -> Iterator[tuple[int, str, float]]:
    """Latents, labels and thresholds: from nothing fires to all of it, between values and at one."""
    most_s = truth.f_nps.max((0, 1))
    latents = np.argsort(-(truth.f_nps.max(1) > 0).sum(0))[[0, 3, 9]].tolist()
    for rank, latent in enumerate(latents):
        values = np.unique(truth.f_nps[:, :, latent].max(1))
        thresholds = [0.0, float(values[len(values) // 2]), float(most_s[latent]) * 0.6, 99.0]
        for place, key in enumerate(truth.y):
            if place % 2 == rank % 2:
                yield latent, key, thresholds[(rank + place // 2) % 4]


def expect_mean(opened: "Page", truth: Truth, latent: int) -> None:
    """The mean heatmap of the hits is that of those with a heatmap."""
    ids, levels, said = opened.evaluate(
        """() => { const row = app.router.views.latent.against.rows[0];
          const ids = row.list.map(({ place }) => row.judged.known.images[place]).filter((id) => row.page.heatmap(id));
          const { heat } = levelSources.get(row.mean.querySelector("canvas"));
          const { rows, columns } = app.data;
          return [ids, Array.from({ length: rows * columns }, (_, i) => heat.at(i)), row.mean.innerText];
        }"""
    )
    mean_p = truth.f_nps[ids, :, latent].mean(0)
    assert np.array(levels) / 255 == pytest.approx(mean_p / mean_p.max(), abs=0.01)
    assert float(said.split()[-1]) == pytest.approx(mean_p.max(), rel=0.01)


def test_pictures_and_figures_are_those_of_all_codes(truth: Truth, open_page: Open) -> None:
    opened, n_means = open_page(truth.index, "#latent=0", width=1440), 0
    for latent, key, threshold in cases(truth):
        show(opened, latent, key, threshold)
        values, near = truth.f_nps[:, :, latent].max(1), truth.h_nps[:, :, latent].max(1)
        y = truth.y[key]
        known = np.flatnonzero(y >= 0)
        pictures, *patches = cells(opened)
        own = counts(values[known] > threshold, y[known])
        expect_figures(pictures, own)
        ap, rate = average_precision(values[known], y[known]), y[known].mean()
        assert [number(one) for one in pictures[10].split(" / ")] == pytest.approx([ap, rate], abs=0.00501)
        strongest = np.argsort(-values, kind="stable")
        fires = [i for i in strongest.tolist() if values[i] > threshold]
        assert listed(opened, "hits") == [i for i in fires if y[i] == 1]
        assert listed(opened, "alarms") == [i for i in fires if y[i] == 0]
        if opened.locator(".judged.hits .mean-map").is_visible():
            expect_mean(opened, truth, latent)
            n_means += 1
        misses = listed(opened, "misses")
        assert sorted(misses) == [i for i in range(N) if y[i] == 1 and values[i] <= threshold]
        weak = [i for i in misses if values[i] > 0]
        assert weak == [i for i in strongest.tolist() if i in set(weak)]
        assert misses[: len(weak)] == weak
        silent = near[misses[len(weak) :]]
        assert (np.diff(silent) <= np.ptp(near) / 255).all()  # in 255 steps
        if key.startswith("patch:"):
            expect_patches(truth, latent, NAMES.index(key.removeprefix("patch:")), threshold, patches[0])
    assert n_means > 3


def expect_patches(truth: Truth, latent: int, label: int, threshold: float, row: list[str]) -> None:
    quarters = EDGES[::2].astype(float)
    values = truth.f_nps[:, :, latent]
    least = quarters[np.searchsorted(quarters, values[(values > 0) & (truth.labels_np != 255)].min(), "right") - 1]
    edge = quarters[np.abs(np.log2(quarters / max(threshold, least))).argmin()]
    assert float(row[0].split()[2]) == pytest.approx(edge, rel=0.005)
    known = truth.labels_np != 255
    expect_figures(row, counts(values[known] >= edge, truth.labels_np[known] == label))


def test_a_miss_shows_where_it_came_nearest(truth: Truth, open_page: Open) -> None:
    opened = open_page(truth.index, "#latent=0", width=1440)
    latent, key, _ = next(iter(cases(truth)))
    show(opened, latent, key, 99.0)
    silent = [i for i in listed(opened, "misses") if truth.f_nps[i, :, latent].max() == 0]
    assert silent
    for image in silent[:3]:
        figure = opened.locator(f".judged.misses figure:has(a[href*='picture={image}&'])")
        patch = int(truth.h_nps[image, :, latent].argmax())
        figure.scroll_into_view_if_needed()
        frame = figure.locator(".patch-mark rect").first
        assert (frame.get_attribute("y"), frame.get_attribute("x")) == tuple(map(str, divmod(patch, 3)))
        assert number(figure.locator("strong").inner_text()) == pytest.approx(
            float(truth.h_nps[image, patch, latent]), abs=0.02
        )
    show(opened, DEAD, key, 0.0)
    assert cells(opened)[0][1:3] == ["0", "0"]
    assert listed(opened, "misses") == np.flatnonzero(truth.y[key] == 1).tolist()  # all are as near
    assert "keeps the 2 largest pre-activations" in opened.locator(".judged.misses .note").inner_text()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planted, Path]:
    found = plant(tmp_path_factory.mktemp("planted"))
    index = saev.render({"p": found.sae}, found.shards, found.table.parent, metadata=found.table, n_latents=-1)["p"]
    return found, index


def test_a_hypothesis_is_frozen_with_the_threshold_of_the_page(
    planted: tuple[Planted, Path], open_page: Open, tmp_path: Path
) -> None:
    known, index = planted
    opened = open_page(index, f"#latent={ZEBRA}", width=1440)
    field = opened.locator("#against-label")
    field.scroll_into_view_if_needed()
    assert field.input_value() == "zebra"  # the label that it goes with best
    field.focus()
    opened.keyboard.type("juv")
    opened.keyboard.press("Enter")
    assert "against=metadata%3Ajuvenile" in opened.url
    field.focus()
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowUp")
    opened.keyboard.press("Enter")
    assert field.input_value() == "zebra"
    opened.get_by_role("spinbutton", name="Threshold as a number").fill("1.37")
    opened.keyboard.press("Enter")
    opened.get_by_role("textbox", name="Claim in words").fill("stripes")
    opened.get_by_role("button", name="Make this a hypothesis").click()
    opened.reload()
    opened.locator(".hypotheses li").wait_for()
    assert "fires on stripes (label zebra) above 1.37: MCC ." in opened.locator(".hypotheses li").inner_text()
    assert opened.locator("[aria-label='Threshold as a number']").input_value() == "1.37"
    assert "silent where its pre-activation is 0 or less" in opened.locator(".judged.misses .note").inner_text()
    notes = tmp_path / "notes.json"
    notes.write_text(opened.evaluate("JSON.stringify(notesFile(app.data, app.notes, app.stars))"))
    out = tmp_path / "frozen.json"
    given = [f"--sae={known.sae}", f"--shards={known.shards}", f"--notes={notes}", f"--out={out}"]
    assert main(["probe", "freeze", *given]) == 0
    (one,) = read_frozen(out).hypotheses
    assert (one.id, one.text, one.claim, one.pooling) == (f"latent-{ZEBRA}-1", "stripes", "fires on", "max")
    assert one.latents.thresholds == (1.37,)
    assert (one.attribute.source, one.attribute.name) == ("label", "zebra")


def test_starred_pictures_are_a_label(planted: tuple[Planted, Path], open_page: Open) -> None:
    known, index = planted
    opened = open_page(index, "", width=1440)
    opened.evaluate("app.stars.set(app.data, [3, 14, 15].map((id) => app.data.pictures.get(id)), true)")
    show(opened, WING, "stars:starred pictures", 5.0)
    values = known.codes_itl[:, :, WING].max(1)
    assert listed(opened, "hits") == [i for i in np.argsort(-values).tolist() if i in (3, 14, 15) and values[i] > 5]
    opened.locator(".judged.alarms figure .star").first.click()
    opened.wait_for_function("() => app.router.views.latent.against.attribute.nWith === 4")
    opened.evaluate(f"location.hash = 'latent={ZEBRA}'")  # a label that an address named does not stay
    opened.wait_for_function(f"() => app.router.views.latent.filled === {ZEBRA}")
    opened.evaluate("document.querySelector('#latent .against').scrollIntoView()")
    opened.wait_for_function("() => app.router.views.latent.against.attribute?.name === 'zebra'")
    assert opened.locator(".against-controls .soft").first.inner_text() == "pictures"


def test_other_image_sets_are_judged_at_the_same_threshold(
    planted: tuple[Planted, Path], open_page: Open, tmp_path: Path
) -> None:
    known, _ = planted
    out = tmp_path / "features"
    images = np.arange(len(known.names))
    parts = {"one": images[::3], "other": images[1::3]}
    for name, own in parts.items():
        index = saev.render({"p": known.sae}, known.shards, out, images=own, image_set=name, n_latents=-1)["p"]
    opened = open_page(index, "", width=1440)
    show(opened, ZEBRA, "label:zebra", 0.7)
    rows = cells(opened)
    assert [row[0] for row in rows] == ["one pictures", "other pictures"]
    is_zebra = np.array([name.startswith("zebra/") for name in known.names])
    for row, own in zip(rows, parts.values(), strict=True):
        expect_figures(row, counts(known.codes_itl[own, :, ZEBRA].max(1) > 0.7, is_zebra[own]))
