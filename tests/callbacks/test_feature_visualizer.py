"""The galleries that `FeatureVisualizer` makes of a real recording, its pictures, and TensorBoard."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.cli.fitting import fit_options, only
from tests.cli.zygote import finish, start
from tests.scene_folder import write_scenes

import saev
from saev.cli.main import main
from saev.latents.pictures import RecordedPictures
from saev.probing.proposal_half import proposal_images
from saev.shards.reading.open import open_shards

if TYPE_CHECKING:
    from playwright.sync_api import Page


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


def test_pictures_are_found_by_name_and_known_by_content(
    recording: tuple[Path, Path], moved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = open_shards(recording[0])
    names = [record.path for record in reader.examples()]
    pictures = RecordedPictures(reader)
    before = [pictures[i] for i in range(12)]
    pictures.warn_of_faults()
    assert not caplog.records
    assert all(picture.view is not None for picture in before)
    for name in (names[0], names[7], names[9]):
        (moved / name).unlink()
    os.mkfifo(moved / names[7])
    (moved / names[9]).symlink_to("/dev/zero")
    shutil.copy(moved / names[5], moved / names[3])
    shutil.copy(moved / names[5], moved / "aaa.jpg")
    with caplog.at_level(logging.WARNING):
        pictures = RecordedPictures(reader)
        after = [pictures[i] for i in range(12)]
        pictures.warn_of_faults()
    assert [after[i].view is None for i in range(12)] == [i in (0, 3, 7, 9) for i in range(12)]
    for i in {*range(12)} - {0, 3, 7, 9}:
        assert np.array_equal(np.asarray(after[i].view), np.asarray(before[i].view))
    assert "4 pictures are shown as grey tiles" in caplog.text


def test_galleries_of_a_run_can_keep_to_the_proposal_half(
    recording: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, n = tmp_path / "run", len(proposal_images(recording[0], 3).numbers)
    said = f'["images","{n} of 12 (proposal half of seed 3)"]'

    def overview() -> str:
        return only(run, "features/*/data/overview.js").read_text(encoding="ascii")

    assert main(fit_options(recording[0], run, "--visualizer.proposal_half=3")) == 0
    assert 0 < n < 12
    assert said in overview()  # the one that was held out is in the other half
    shutil.rmtree(run / "features")
    assert main(["test", f"--run_dir={run}"]) == 0  # it takes the option over, as does `render`
    assert "no gallery: none of these images is in the proposal half of seed 3" in capsys.readouterr().err
    assert main(["render", f"--run_dir={run}"]) == 0
    assert said in overview()
    assert main(["render", f"--run_dir={run}", "--proposal_half=null"]) == 0
    assert said in overview()
    added = only(run, "features/*/sets/training/data/overview.js").read_text(encoding="ascii")
    assert '["images","11 of 12"]' in added


def test_a_run_ends_well_without_its_pictures(
    recording: tuple[Path, Path], moved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(moved)
    assert main(fit_options(recording[0], tmp_path / "run")) == 0
    assert only(tmp_path / "run", "features/*/index.html").is_file()
    assert "does not exist" in caplog.text


def test_tensorboard_shows_latents(recording: tuple[Path, Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = ["--visualizer.n_latents=3", "--visualizer.n_tensorboard=2", "--visualizer.include_latents=[0]"]
    held_out = ["--data.val_share=0.2", "--data.n_val_tokens=1000"]
    assert main(fit_options(recording[0], tmp_path / "run", *options, *held_out)) == 0
    events = EventAccumulator(str(only(tmp_path / "run", "events*"))).Reload()
    images = events.Tags()["images"]
    assert "latents/scatter" in images
    grids = [tag for tag in images if tag != "latents/scatter"]
    assert 1 <= len(grids) <= 2
    assert events.Images(grids[-1])[0].width > 100
    assert {"latents/log10_frequency", "latents/log10_mean_value"} <= set(events.Tags()["histograms"])
    found = events.Tags()["scalars"]
    assert {tag.split("/")[0] for tag in found} == {"train", "val"}  # the table of hyperparameters names those of val
    assert len({event.step for event in events.Scalars("val/fvu")}) == 1
    (rows,) = (tmp_path / "run").rglob("metadata.tsv")
    assert rows.read_text().splitlines()[0].split("\t") == ["latent", "name", "label", "frequency"]
    assert len(rows.read_text().splitlines()) in (4, 5)
    assert only(tmp_path / "run", "**/sprite.png").is_file()


def test_a_run_is_rendered_anew(
    recording: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(fit_options(recording[0], run, "--model.sweep={seed: [0, 1]}")) == 0
    weights = {path: path.read_bytes() for path in run.glob("saes/*/*")}
    shutil.rmtree(run / "features")
    capsys.readouterr()
    assert main(["render", f"--run_dir={run}", "--visualizer.n_latents=5", "--trainer.accelerator=cpu"]) == 0
    assert capsys.readouterr().out == f"{run}\n"
    assert sorted(path.name for path in run.glob("features/*")) == sorted(path.name for path in run.glob("saes/*"))
    for gallery in run.glob("features/*"):
        assert (gallery / "index.html").is_file()
        assert len(list((gallery / "data" / "latents").iterdir())) == 5
    assert weights == {path: path.read_bytes() for path in run.glob("saes/*/*")}
    assert main(["render", f"--run_dir={run}", "--data.share=0.5", "--trainer.accelerator=cpu"]) == 0
    for gallery in run.glob("features/*"):
        for folder, images in (("", 11), ("sets/training_2", 5)):  # of the half another one is held out
            assert f'["images","{images} of 12"]' in (gallery / folder / "data" / "overview.js").read_text()
    assert main(["render", f"--run_dir={run}", "--visualizer.include_latents=[48]"]) == 1
    assert "the SAE has latents 0 to 47" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("tokens", ["content", "cls"])
def test_the_page_opens(
    recording: tuple[Path, Path], tmp_path: Path, open_page: Callable[..., "Page"], tokens: str
) -> None:
    argv = fit_options(recording[0], tmp_path / "run", f"--data.tokens={tokens}", "--data.n_tokens=640")
    status, out, err = finish(start(argv))
    assert (status, out) == (0, f"{tmp_path / 'run'}\n"), err
    sae = saev.load(only(tmp_path / "run", "saes/*"))
    page = open_page(only(tmp_path / "run", "features/*/index.html"))
    page.wait_for_selector(".card img")
    assert page.locator("h1").first.inner_text() == sae.name
    assert "timm test_vit" in page.locator("#facts").inner_text()
    page.locator("a.card").first.click()
    page.wait_for_selector("#latent figure img")
