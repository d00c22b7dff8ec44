"""Fixtures for the tests of backbones and pictures."""

from pathlib import Path

import pytest
from PIL import Image
from tests.tiny_models import hooked, tiny_open_clip

from saev.vit import network

__all__ = ["hooked", "pictures", "tiny_open_clip"]


@pytest.fixture(autouse=True)
def hub_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads are replaced in these tests; whether the hub can be reached must not be asked of the real network."""
    monkeypatch.setattr(network, "_no_way", lambda *_: None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of seven small pictures: two classes, one picture deeper down and one at the top."""
    root = tmp_path / "pictures"
    names = [
        "cat/1.jpg",
        "cat/2.PNG",
        "cat/deep/er/3.webp",
        "dog/1.jpeg",
        "dog/10.bmp",
        "dog/2.tif",
        "top.gif",
    ]
    for n, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + n, 30), (n * 30, 90, 200)).save(root / name)
    (root / ".hidden").mkdir()
    for other in (".hidden/x.jpg", "cat/.x.png", "cat/notes.txt"):
        (root / other).write_text("no picture", encoding="utf-8")
    return root
