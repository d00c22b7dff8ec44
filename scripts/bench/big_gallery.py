"""How a large gallery opens in Chromium: first paint, when the view stands, and the memory of the tab.

Everything is made up but for the writer: 32,768 latents, of which all get a small page and 64 a full one, and 50,000
pictures with patch labels and metadata, of which 83 latents each are kept, and 2,000 have thumbnails. `--gallery`
measures a gallery that is there.

    python scripts/bench/big_gallery.py
    python scripts/bench/big_gallery.py --gallery RUN/features/NAME/index.html

Each view opens in a new tab of a new browser. Memory is JavaScript's heap after a collection, and what the tab's
process has for itself.
"""

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from scipy.sparse import csr_array

from saev.gallery.by_picture import Masks, PictureLevels
from saev.gallery.data import N_SMALL, Gallery, LatentExample, LatentPage
from saev.gallery.fitting import Budget, Pictures
from saev.gallery.write import write_gallery
from saev.latents.metadata import Column
from saev.latents.pictures import Picture

GRID: Final = (16, 16)
N_FULL, N_FIRING, N_CLASSES, N_SHOWN = 64, 170, 1000, 2000
VIEWS: Final = {
    "overview": ("", "#cards .thumbs img"),
    "pictures": ("#pictures", "#pictures .tile"),
    "latent": ("#latent={latent}", "#latent .picture img"),
}
"""By view its address, and what is there when it stands."""


def gallery_of(d_sae: int, n_images: int, rng: np.random.Generator) -> Gallery:
    """Numbers of latents and pictures; low latents fire more often."""
    latents_ik = (rng.random((n_images, N_FIRING)) ** 3 * d_sae).astype(np.int64)
    rows = np.repeat(np.arange(n_images), N_FIRING)
    values = csr_array((rng.random(rows.size, np.float32), (rows, latents_ik.ravel())), shape=(n_images, d_sae)).tocsc()
    frequency = np.geomspace(0.1, 1e-5, d_sae)
    masks_ip = np.repeat(rng.integers(0, 100, (n_images, 32)), 8, axis=1).astype(np.uint8)
    return Gallery(
        title=f"{d_sae:,} latents",
        sae_id="made up",
        facts={"Pictures": f"{n_images:,}"},
        frequency=frequency,
        image_frequency=np.minimum(1, 20 * frequency),
        mean_value=rng.gamma(2, 1, d_sae) + 0.1,
        max_value=np.full(d_sae, 20.0),
        grid=GRID,
        levels=PictureLevels.of(np.arange(n_images), values, np.ones(d_sae, np.float32)),
        masks=Masks([f"class {i}" for i in range(100)], masks_ip),
        metadata=[Column("site", [f"site {i}" for i in range(20)], rng.integers(0, 20, n_images))],
    )


def pages_of(d_sae: int, n_images: int, rng: np.random.Generator) -> Iterator[LatentPage]:
    """Full pages first; each picture has heat on a few patches."""
    for latent in range(d_sae):
        images = rng.choice(min(n_images, N_SHOWN), 128 if latent < N_FULL else N_SMALL, replace=False).tolist()
        heat = {image: np.where(rng.random(GRID) < 0.05, 200, 0).astype(np.uint8) for image in images}
        top = [LatentExample(image, 20 - i / 10) for i, image in enumerate(images)]
        page = LatentPage(latent, {"patch": top}, heat)
        yield page if latent < N_FULL else page.small()


def write(out: Path, d_sae: int, n_images: int) -> Path:
    """Write the made-up gallery; gives the path of its `index.html`."""
    rng = np.random.default_rng(0)
    views = [Image.fromarray(rng.integers(0, 255, (14, 14, 3), np.uint8)).resize((224, 224)) for _ in range(16)]

    def get(image: int, left_out: bool = False) -> Picture:
        label = f"n{image % N_CLASSES:08d}"
        shown = None if left_out else views[image % len(views)]
        return Picture(image, f"train/{label}/{label}_{image:06d}.JPEG", label, shown, left_out)

    pictures = Pictures(get, others=range(n_images), n_opened=N_SHOWN, named=lambda image: get(image, left_out=True))
    budget = Budget.of(400 * 10**6, d_sae, range(min(n_images, N_SHOWN)), pictures)
    return write_gallery(out, gallery_of(d_sae, n_images, rng), pages_of(d_sae, n_images, rng), pictures, budget=budget)


def measure(browser: Browser, address: str, ready: str) -> str:
    """A row: seconds to the first paint and until the view stands, MB of heap and of the process."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    session = page.context.new_cdp_session(page)
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(ready, timeout=120_000)
    stands = time.perf_counter() - start
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN") / 1000
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    return f"{painted:.2f} | {stands:.2f} | {heap:.0f} | {own_mb(browser):.0f}"


def own_mb(browser: Browser) -> float:
    """What the largest tab of a browser has in memory that it does not share, as Linux says it."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    tabs = [Path(f"/proc/{one['id']}/smaps_rollup").read_text() for one in processes if one["type"] == "renderer"]
    return max(sum(map(int, re.findall(r"Private_\w+: +(\d+) kB", said))) for said in tabs) * 1024 / 1e6


def main() -> None:
    """Write a gallery unless there is one, and open each of its views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, help="index.html of one that is there")
    parser.add_argument("--out", type=Path, help="where the gallery is kept")
    parser.add_argument("--d_sae", type=int, default=32_768)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--latent", type=int, default=5, help="whose page is opened")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        index = options.gallery
        if index is None:
            start = time.perf_counter()
            index = write(options.out or Path(folder) / "gallery", options.d_sae, options.images)
            print(f"written in {time.perf_counter() - start:.0f} s")
        files = [path for path in index.parent.rglob("*") if path.is_file()]
        n_bytes = sum(path.stat().st_size for path in files)
        overview = (index.parent / "data" / "overview.js").stat().st_size
        print(f"{len(files):,} files, {n_bytes / 1e6:.1f} MB, overview {overview / 1e6:.1f} MB")
        print("view | first paint, s | stands, s | heap, MB | process, MB")
        for view, (place, ready) in VIEWS.items():
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            print(view, "|", measure(browser, index.resolve().as_uri() + place.format(latent=options.latent), ready))
            browser.close()


if __name__ == "__main__":
    main()
