"""What `saev probe intervene` refuses, in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.cli.fitting import one_line
from tests.cli.intervening import QUICK, argv, planted_in
from tests.probing.interventions.planted import (
    D_SAE,
    LAST,
    VIT,
    D,
    draw,
)

from saev.artifacts import Provenance, RecordedLayer, save_sae
from saev.cli.main import main
from saev.nn import ReLU

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_in(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--latents=[96]"], "latent 96 does not exist: the SAE has latents 0 to 95"),
        (["--edit=set"], "--edit set needs a code"),
        (["--value=3"], '"zero" takes no value'),
        (["--tokens=[4]"], "token 4 does not exist"),
        (["--tokens=left"], "--tokens left: give all, mask, or places"),
        (["--tokens=mask"], "needs a folder of masks: --masks DIR"),
        (["--target=cat"], "--target cat: no chosen picture and no mask is of this class, but bright, dark"),
        (["--model.layer=2"], "the SAE was trained on 3"),
        (["--model.ckpt=test_vit"], "the SAE was trained on tiny_registers"),
        (["--sae_tokens=all"], "--sae_tokens all: the SAE was trained on content tokens"),
        (["--zero_shot=a {}"], "needs a CLIP"),
        (["--n_images=3"], "each half needs two or more, give more pictures"),
        (["--n_random=0"], "--n_random 0 must be 1 or more"),
        (["--curves=[0]"], "must be 1 or more"),
        (["--head=/nowhere.safetensors"], "/nowhere.safetensors"),
        (["--images=/nowhere"], "/nowhere"),
        (["--edits=zero"], "did you mean --edit"),
    ],
)
def test_wrong_options_are_one_line(more: list[str], said: str, root: Path, tmp_path: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(argv(root, tmp_path / "o", [0], *more)) == 1
    assert said in one_line(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def other_head(root: Path) -> list[str]:
    save_file({"weight": torch.zeros(2, 5)}, root / "head.safetensors")
    return [f"--head={root / 'head.safetensors'}"]


def larger_mask(root: Path) -> list[str]:
    draw(root / "pictures", 2, root / "masks")
    Image.new("L", (40, 32)).save(root / "masks/dark/1.png")
    return [f"--images={root / 'pictures'}", f"--masks={root / 'masks'}"]


def missing_mask(root: Path) -> list[str]:
    draw(root / "pictures", 2, root / "masks")
    (root / "masks/dark/1.png").unlink()
    return [f"--images={root / 'pictures'}", f"--masks={root / 'masks'}"]


def another_vit(root: Path) -> list[str]:
    save_sae(ReLU(D, D_SAE), root / "sae", Provenance([RecordedLayer(**OTHER)], tokens="content"))
    return [f"--sae={root / 'sae'}"]


def present(root: Path) -> list[str]:
    (root / "there").mkdir()
    return [f"--out={root / 'there'}"]


OTHER: dict[str, Any] = {"family": VIT.family, "ckpt": VIT.ckpt, "layer": LAST, "weights_digest": "0" * 64}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_head, "holds weight [2, 5]: give weight [outputs, 64] and bias [outputs]"),
        (larger_mask, "is 40 x 32 pixels, the picture 32 x 32"),
        (missing_mask, "1 of 4 pictures"),
        (another_vit, "the SAE was trained on the weights 000000000000..."),
        (present, "is there already"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    make: Callable[[Path], list[str]], said: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    more = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert main(argv(root, tmp_path / "o", [0], *QUICK, *more)) == 1
    assert said in one_line(capsys.readouterr().err)
    assert sorted(tmp_path.iterdir()) == before


def test_help_explains_every_option(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["probe", "intervene", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in ("latents", "edit", "tokens", "masks", "target", "head", "curves", "n_random", "block", "out"):
        assert f"--{name}" in text
