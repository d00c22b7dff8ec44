"""Backbones, preprocessing and sources of pictures of one's own: what they inherit, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.cli.recording import write_pictures
from torch import Tensor, nn

from saev.errors import InputError
from saev.registry import Registry
from saev.vit.backbone import BACKBONES, Backbone, ModelChoice
from saev.vit.images import IMAGE_SOURCES, ImageEntry, ImageSource, description, from_description
from saev.vit.load import load_backbone
from saev.vit.preprocess import PREPROCESSINGS, Preprocessing, TimmPreprocessing

TIMM = {
    "input_size": [3, 32, 32],
    "interpolation": "bicubic",
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "crop_pct": 1.0,
    "crop_mode": "center",
}


@pytest.fixture(autouse=True)
def known_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (BACKBONES, IMAGE_SOURCES, PREPROCESSINGS):
        assert isinstance(registry, Registry)
        monkeypatch.setattr(registry, "_classes", dict(registry))


class Block(nn.Module):
    """A layer whose output is a tuple, as in some libraries."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(8, width)
        self.n_runs = 0

    def forward(self, x_btd: Tensor) -> tuple[Tensor, None]:
        self.n_runs += 1
        return self.linear(x_btd), None


class Net(nn.Module):
    """Patches of 16 pixels, a CLS token, two registers and three blocks, of which a pass may leave out some."""

    def __init__(self, widths: tuple[int, ...], n_run: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, 16)
        self.prefix = nn.Parameter(torch.randn(1, 3, 8))
        self.blocks = nn.ModuleList(Block(width) for width in widths)
        self.n_run = n_run

    def forward(self, images: Tensor) -> Tensor:
        x_btd = self.patches(images).flatten(2).mT
        x_btd = torch.cat([self.prefix.expand(len(x_btd), -1, -1), x_btd], dim=1)
        for block in list(self.blocks)[: self.n_run]:
            x_btd = block(x_btd)[0]
        return x_btd[:, 0]


class _Own(Backbone):
    """Takes what is wrong with it from the name of the model."""

    @classmethod
    def load(cls, choice: ModelChoice) -> Backbone:
        given: dict[str, Any] = {"grid": (2, 2), "widths": (8, 8, 8), "n_run": 3} | eval(choice.ckpt)
        return cls(
            Net(given["widths"], given["n_run"]),
            family=choice.family,
            ckpt=choice.ckpt,
            preprocessing=TimmPreprocessing(TIMM),
            grid=given["grid"],
            n_layers=3,
            cls=True,
        )

    def block(self, layer: int) -> nn.Module:
        net: Any = self.tower
        return net.blocks[layer]  # type: ignore[no-any-return]

    def embed(self, images: Tensor) -> Tensor:
        return self.tower(images)  # type: ignore[no-any-return]


def test_a_backbone_that_has_blocks_alone_gives_their_outputs_and_stops_after_the_last_one() -> None:
    BACKBONES.add(_Own)
    backbone = load_backbone("_Own", "{}", "random")
    assert (backbone.d_model, backbone.n_registers, backbone.n_layers) == (8, 2, 3)
    images = torch.randn(2, 3, 32, 32)
    blocks: Any = [backbone.block(layer) for layer in range(3)]
    for block in blocks:
        block.n_runs = 0
    found = backbone(images, [-2, 0])
    assert [block.n_runs for block in blocks] == [1, 1, 0]
    assert torch.equal(blocks[1](found[0])[0], found[1])
    assert not any(module._forward_hooks for module in backbone.modules())


@pytest.mark.parametrize(
    ("ckpt", "message"),
    [
        (
            "{'grid': (3, 3)}",
            r"_Own: the blocks of .* give 7 tokens, a grid of \(3, 3\) and CLS have 10: correct grid or",
        ),
        ("{'n_run': 2}", r"_Own: embed\(\) does not run through the blocks \[2\] of "),
        ("{'widths': (8, 8, 9)}", r"_Own: the blocks of .* give \(1, 7, 8\) and \(1, 7, 9\): they must give one shape"),
    ],
)
def test_a_backbone_that_contradicts_itself_is_refused(ckpt: str, message: str) -> None:
    BACKBONES.add(_Own)
    with pytest.raises(InputError, match=message):
        load_backbone("_Own", ckpt, "random")


class _Negative(Preprocessing):
    """Inverts pictures."""

    @property
    def image_size(self) -> tuple[int, int]:
        return self.config["side"], self.config["side"]

    def view(self, picture: Image.Image) -> Image.Image:
        return picture.resize(self.image_size).point(lambda value: 255 - value)

    def nearest(self, mask: Image.Image) -> Image.Image:
        return mask.resize(self.image_size, Image.Resampling.NEAREST)

    def tensor(self, picture: Image.Image) -> Tensor:
        return torch.tensor(list(self.view(picture).getdata())).T.reshape(3, *self.image_size) / 255


def test_preprocessing_of_ones_own_is_rebuilt_from_what_a_recording_says() -> None:
    own = _Negative({"side": 4})
    with pytest.raises(
        InputError, match=r"the recording names the preprocessing '_Negative', known are open_clip, timm"
    ):
        Preprocessing.from_dict(own.to_dict())
    PREPROCESSINGS.add(_Negative)
    again = Preprocessing.from_dict(own.to_dict())
    assert type(again) is _Negative
    view = again.view(Image.new("RGB", (9, 9), (255, 0, 0)))
    assert view.getpixel((0, 0)) == (0, 255, 255)
    with pytest.raises(InputError, match=r"_Negative does not say how .* a method tensor_of_view"):
        again.tensor_of_view(view)


@pytest.mark.parametrize("config", [None, {}, {"side": 10**9}, {"side": "x"}, {"side": 0}])
def test_preprocessing_of_ones_own_with_another_configuration_is_refused(config: object) -> None:
    PREPROCESSINGS.add(_Negative)
    with pytest.raises(InputError, match="preprocessing of _Negative"):
        Preprocessing.from_dict({"library": "_Negative", "config": config})


class _Listed(ImageSource):
    """Says of itself what it is told to."""

    told: Any = None

    def __init__(self, root: str) -> None:
        self.root = root
        self.entries = [ImageEntry("cat/0.png", None, 1)]

    @property
    def location(self) -> str:
        return self.root

    def read_bytes(self, index: int) -> bytes:
        return (Path(self.root) / "cat" / "0.png").read_bytes()

    def describe(self) -> dict[str, Any]:
        return {"class": "Listed", "args": {"root": self.root}} if self.told is None else self.told  # type: ignore[no-any-return]


def test_a_source_says_what_it_keeps_of_its_arguments(tmp_path: Path) -> None:
    class Kept(_Listed):
        describe = ImageSource.describe

        def __init__(self, root: Path, n: int = 1) -> None:
            super().__init__(str(root))
            self.root = root  # type: ignore[assignment]

    source = Kept(tmp_path / "x")
    with pytest.raises(InputError, match=r"Kept has no attribute 'n': keep the argument there, or define describe\(\)"):
        source.describe()
    source.n = 3  # type: ignore[attr-defined]
    assert source.describe() == {"class": "Kept", "args": {"root": f"{tmp_path}/x", "n": 3}}


def test_a_source_of_ones_own_is_rebuilt_from_what_a_recording_says(tmp_path: Path) -> None:
    source = _Listed(str(write_pictures(tmp_path, 1)))
    again = from_description(description(source.without([])))
    assert type(again) is _Listed
    assert again.read(0).size == (48, 40)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"class": "Listed", "args": {"root": {1}}}, "cannot be saved as JSON"),
        ({"class": "Listed", "args": {"folder": "x"}}, "Listed takes the arguments root, not"),
        ({"class": "ImageFolder", "args": {"root": "x"}}, "names the class 'ImageFolder': give"),
        ({"class": "Mine", "args": {"root": "x"}}, "names the source of pictures 'Mine', known are"),
        ({"root": "x"}, "described by class and args"),
    ],
)
def test_a_source_that_could_not_be_found_again_is_refused(
    told: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Listed, "told", told)
    with pytest.raises(InputError, match=rf"_Listed\.describe\(\).*{message}"):
        description(_Listed("x"))
