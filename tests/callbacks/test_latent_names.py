"""Names for latents through the command line, with a tiny CLIP of random weights."""

from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, only
from tests.scene_folder import write_scenes
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP

from saev.cli.main import main
from saev.gallery.scripts import read_script
from saev.latents.naming.crop_means import read_crops

NAMER = ["--visualizer.namer=tiny-CLIP/openai", "--visualizer.namer_weights=random"]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The last layer of the tiny CLIP itself, CLS tokens among them."""
    write_scenes(tmp_path / "pictures", 16)
    model = ["--model.family=clip", "--model.ckpt=tiny-CLIP/openai", "--model.weights=random", "--model.layers=[-1]"]
    data = ["--data.images=ImageFolder", f"--data.images.root={tmp_path / 'pictures'}", "--data.num_workers=0"]
    assert main(["predict", *model, *data, f"--writer.dump_to={tmp_path / 'shards'}"]) == 0
    return only(tmp_path, "shards/*")


def test_names_go_into_the_gallery(shards: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# colours\nred\nblue\n\nred\n<b>green</b>\n", encoding="utf-8")
    options = [*NAMER, f"--visualizer.vocabulary={words}", "--visualizer.n_latents=-1"]
    assert main(fit_options(shards, tmp_path / "run", *options)) == 0
    gallery = only(tmp_path / "run", "features/*")
    overview = read_script((gallery / "data" / "overview.js").read_text(encoding="ascii"))
    names = overview["names"]
    assert {name for _, name, _, _ in names} <= {"red", "blue", "<b>green</b>"}
    assert sorted(read_crops(gallery).latents_l.tolist()) == sorted(overview["pages"])
    assert "<" not in (gallery / "data" / "overview.js").read_text(encoding="ascii")
    for path in (gallery / "data" / "latents").iterdir():
        directions = read_script(path.read_text(encoding="ascii"))["directions"]
        assert {word for word, _ in directions} in (set(), {"red", "blue", "<b>green</b>"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visualizer.namer=tiny-CLIP/nothing"], "unknown tag"),
        (["--visualizer.namer=vit_small_patch14_dinov2"], "has no text tower"),
        ([*NAMER, "--visualizer.vocabulary=WORDS"], "vocabulary"),
        (["--visualizer.vocabulary=WORDS"], "no use without a namer"),
    ],
)
def test_what_cannot_name_is_refused_before_training(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    (tmp_path / "one.txt").write_text("stripes\n", encoding="utf-8")
    own = [option.replace("WORDS", str(tmp_path / "one.txt")) for option in options]
    assert main(fit_options(shards, tmp_path / "run", *own)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
