"""What `FeatureVisualizer` finds against a look at everything, and the page that it makes."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.cli.fitting import finish, fit_options, only, start
from tests.conftest import MakeShards

import saev
from saev.callbacks import FeatureVisualizer
from saev.callbacks.recorded_pictures import RecordedPictures
from saev.cli.main import main
from saev.demo.scenes import write_scenes
from saev.nn import TopK
from saev.shards.format.layout import TokenKind
from saev.shards.loading.selection import TokenSelection
from saev.shards.reading.reader import ShardReader
from saev.viz import Gallery

if TYPE_CHECKING:
    from playwright.sync_api import Page

N, GRID, D_SAE, TOP = 23, (2, 3), 24, 4


@pytest.fixture(scope="module")
def reader(make_shards: MakeShards) -> ShardReader:
    return ShardReader(make_shards(N, grid=GRID, n_registers=2)[0])


@pytest.fixture
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=2)


def look(reader: ShardReader, sae: TopK, kind: TokenKind, **options: Any) -> tuple[Gallery, np.ndarray]:
    """The gallery on all images but the first, and the codes (images, tokens, latents) of all images."""
    positions = reader.layout.tokens.positions(kind)
    tokens = TokenSelection((reader,), np.arange(1, N), positions)
    gallery = FeatureVisualizer(top_k=TOP, **({"n_latents": -1} | options)).gallery("the one", sae, tokens)
    acts = reader.read(0, N)[:, positions.start : positions.stop]
    return gallery, sae.encode(acts).detach().numpy()


@pytest.mark.parametrize(("kind", "n_prefix"), [("content", 0), ("all", 3)])
def test_everything_equals_a_look_at_all_codes(
    reader: ShardReader, sae: TopK, kind: TokenKind, n_prefix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saev.callbacks.feature_visualizer.CODES_BYTES", 4 * D_SAE * 9 * 5)  # five images at a time
    gallery, f_nts = look(reader, sae, kind)
    seen = f_nts[1:]
    fires = (seen > 0).sum((0, 1))
    np.testing.assert_allclose(gallery.frequency, fires / (seen.shape[0] * seen.shape[1]), rtol=1e-6)
    np.testing.assert_allclose(gallery.mean_value, seen.sum((0, 1)) / np.maximum(fires, 1), rtol=1e-5)
    np.testing.assert_allclose(gallery.max_value, seen.max((0, 1)), rtol=1e-6)
    assert [page.index for page in gallery.pages] == np.flatnonzero(fires).tolist()
    for page in gallery.pages:
        best = seen[:, n_prefix:, page.index].max(1)
        order = [int(i) for i in np.argsort(-best, kind="stable")[:TOP] if best[i] > 0]
        assert [example.image_id for example in page.examples] == [i + 1 for i in order]
        for example in page.examples:
            assert example.value == pytest.approx(float(best[example.image_id - 1]), rel=1e-5)
            expected = f_nts[example.image_id, n_prefix:, page.index].reshape(GRID)
            np.testing.assert_allclose(example.patches, expected, rtol=1e-4, atol=1e-6)


def test_cls_tokens_have_no_heatmaps(reader: ShardReader, sae: TopK) -> None:
    gallery, f_nts = look(reader, sae, "cls")
    assert gallery.pages
    for page in gallery.pages:
        assert page.examples[0].value == pytest.approx(float(f_nts[1:, 0, page.index].max()), rel=1e-5)
        assert all(not example.patches.any() for example in page.examples)


def test_latents_that_are_asked_for_are_shown(reader: ShardReader, sae: TopK) -> None:
    with torch.no_grad():
        sae.b_enc[7] = -1e6
    gallery, _ = look(reader, sae, "content", n_latents=2, include_latents=[7, 3])
    pages = {page.index: page for page in gallery.pages}
    assert {3, 7} <= set(pages)
    assert len(pages) <= 4
    assert pages[7].examples == []


def test_images_may_be_bounded(reader: ShardReader, sae: TopK) -> None:
    gallery, _ = look(reader, sae, "content", n_images=5)
    shown = {example.image_id for page in gallery.pages for example in page.examples}
    assert len(shown) <= 5
    assert gallery.facts["images"] == "5"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A real recording of a tiny ViT on generated pictures: the shards and the pictures."""
    root = tmp_path_factory.mktemp("recording")
    write_scenes(root / "pictures", 12)
    options = ["--model.family=timm", "--model.ckpt=test_vit", "--model.weights=random", "--model.layers=[-2]"]
    data = ["--data.images=ImageFolder", f"--data.images.root={root / 'pictures'}", "--data.num_workers=0"]
    assert main(["predict", *options, *data, f"--writer.dump_to={root / 'shards'}"]) == 0
    return only(root, "shards/*"), root / "pictures"


@pytest.fixture
def moved(recording: tuple[Path, Path]) -> Iterator[Path]:
    """The pictures' folder, put back in its first state afterwards."""
    pictures = recording[1]
    backup = pictures.with_name("backup")
    shutil.copytree(pictures, backup)
    yield pictures
    shutil.rmtree(pictures, ignore_errors=True)
    backup.rename(pictures)


def is_grey(view: Any) -> bool:
    return len(np.unique(np.asarray(view))) == 1


def test_pictures_are_found_by_name_and_known_by_content(
    recording: tuple[Path, Path], moved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = ShardReader(recording[0])
    names = [record.path for record in reader.examples()]
    pictures = RecordedPictures(reader)
    before = [pictures[i] for i in range(12)]
    pictures.warn_of_faults()
    assert not caplog.records
    assert not any(is_grey(picture.view) for picture in before)
    (moved / names[0]).unlink()
    shutil.copy(moved / names[5], moved / names[3])
    shutil.copy(moved / names[5], moved / "aaa.jpg")
    with caplog.at_level(logging.WARNING):
        pictures = RecordedPictures(reader)
        after = [pictures[i] for i in range(12)]
        pictures.warn_of_faults()
    assert [is_grey(after[i].view) for i in range(12)] == [i in (0, 3) for i in range(12)]
    for i in {*range(12)} - {0, 3}:
        assert np.array_equal(np.asarray(after[i].view), np.asarray(before[i].view))
    assert "2 pictures are shown as grey tiles" in caplog.text


def test_a_run_ends_well_without_its_pictures(
    recording: tuple[Path, Path], moved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(moved)
    assert main(fit_options(recording[0], tmp_path / "run")) == 0
    assert only(tmp_path / "run", "features/*/index.html").is_file()
    assert "does not exist" in caplog.text


def test_tensorboard_gets_grids(recording: tuple[Path, Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = ["--visualizer.n_latents=3", "--visualizer.n_tensorboard=2", "--visualizer.include_latents=[0]"]
    assert main(fit_options(recording[0], tmp_path / "run", *options)) == 0
    events = EventAccumulator(str(only(tmp_path / "run", "events*"))).Reload()
    tags = events.Tags()["images"]
    assert 1 <= len(tags) <= 2
    assert all(tag.startswith("latents/") for tag in tags)
    assert events.Images(tags[-1])[0].width > 100


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("tokens", ["content", "cls"])
def test_the_page_opens(recording: tuple[Path, Path], tmp_path: Path, tokens: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    argv = fit_options(recording[0], tmp_path / "run", f"--data.tokens={tokens}", "--data.n_tokens=640")
    status, out, err = finish(start(argv))
    assert (status, out) == (0, f"{tmp_path / 'run'}\n"), err
    sae = saev.load(only(tmp_path / "run", "saes/*"))
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page: Page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(only(tmp_path / "run", "features/*/index.html").as_uri())
        page.wait_for_selector(".card img")
        assert page.locator("h1").first.inner_text() == sae.name
        assert "timm test_vit" in page.locator("#facts").inner_text()
        page.locator("a.card").first.click()
        page.wait_for_selector("#latent figure img")
        browser.close()
    assert complaints == []
