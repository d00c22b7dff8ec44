import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import saev
from saev.vit.images.decode import FORMATS, BadImage, decode

GRADIENT = np.tile(np.linspace(0, 255, 60, dtype=np.uint8), (40, 1))
RGB = Image.fromarray(np.stack((GRADIENT, GRADIENT[::-1], 255 - GRADIENT), axis=-1))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    picture = decode(data, "x")
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def test_each_format_that_is_named_can_be_opened():
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    two = encoded(RGB, "MPO", save_all=True, append_images=[RGB])  # what some cameras write
    assert Image.open(io.BytesIO(two)).format == "MPO"
    assert pixels(two).shape == pixels(encoded(RGB, "JPEG")).shape
    for kind, options in (("JPEG2000", {}), ("AVIF", {"speed": 10})):
        assert np.abs(pixels(encoded(RGB, kind, **options)) - np.asarray(RGB)).mean() < 12


def test_nothing_opens_pictures_without_a_list_of_formats():
    source = Path(saev.__file__).parent
    calls = [call for file in source.rglob("*.py") for call in re.findall(r"Image\.open\([^\n]*", file.read_text())]
    assert len(calls) > 1
    assert all("formats=" in call for call in calls)


@pytest.mark.parametrize("kind", ["EPS", "ICNS", "TGA", "PDF", "PCX"])
def test_others_are_refused(kind: str):
    with pytest.raises(BadImage, match=r"no known picture format; .*: taken are JPEG, PNG, .*AVIF; replace it"):
        decode(encoded(RGB, kind), "x.jpg")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_pixel(kind: str):
    assert (pixels(encoded(RGB, kind)) == np.asarray(RGB)).all()


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("WEBP", "RGB"), ("JPEG", "CMYK"), ("GIF", "P")])
def test_lossy_and_cmyk_and_palette_pictures_look_the_same(kind: str, mode: str):
    picture = RGB.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else RGB.convert(mode)
    assert np.abs(pixels(encoded(picture, kind)) - np.asarray(RGB)).mean() < 12


def test_grey_and_bilevel_pictures_become_rgb():
    assert (pixels(encoded(Image.fromarray(GRADIENT), "PNG")) == GRADIENT[:, :, None]).all()
    bilevel = Image.fromarray(GRADIENT > 100)
    assert (pixels(encoded(bilevel, "PNG")) == np.where(GRADIENT > 100, 255, 0)[:, :, None]).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_cut(kind: str):
    wide = Image.fromarray(GRADIENT.astype(np.uint16) * 257)
    assert wide.mode == "I;16"
    assert (pixels(encoded(wide, kind)) == GRADIENT[:, :, None]).all()


def test_transparent_pictures_lie_over_white():
    rgba = RGB.copy()
    rgba.putalpha(Image.fromarray(np.where(np.arange(60) < 30, 0, 255).astype(np.uint8)[None].repeat(40, 0)))
    got = pixels(encoded(rgba, "PNG"))
    assert (got[:, :30] == 255).all()
    assert (got[:, 30:] == np.asarray(RGB)[:, 30:]).all()
    grey = Image.fromarray(GRADIENT).convert("LA")
    grey.putalpha(0)
    assert (pixels(encoded(grey, "PNG")) == 255).all()


def test_a_transparent_colour_of_a_palette_or_of_rgb_is_white():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 10, 20])
    assert (pixels(encoded(palette, "PNG", transparency=1)) == 255).all()
    assert (pixels(encoded(palette, "PNG")) == (200, 10, 20)).all()
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert (pixels(encoded(red, "PNG", transparency=(255, 0, 0))) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_undone(kind: str):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture must be turned clockwise
    got = pixels(encoded(RGB, kind, exif=exif, lossless=True, quality=95))
    expected = np.asarray(RGB.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert got.shape == expected.shape == (60, 40, 3)
    assert np.abs(got - expected).mean() < 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"'a/b.png' is empty \(0 bytes\)"),
        (b"<html>not found</html>", "'a/b.png' cannot be decoded .*no known picture format; 22 bytes"),
        (encoded(RGB, "PNG")[:-40], "'a/b.png' cannot be decoded"),
        (encoded(RGB, "JPEG")[:700], "'a/b.png' cannot be decoded"),
        (encoded(RGB, "PNG")[:30], "'a/b.png' cannot be decoded"),
        (encoded(Image.fromarray(GRADIENT.astype(np.float32)), "TIFF"), "no known white"),
    ],
)
def test_bad_pictures_are_named_in_one_line(data: bytes, message: str):
    with pytest.raises(BadImage, match=message) as caught:
        decode(data, "a/b.png")
    assert "\n" not in str(caught.value)


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be an enormous picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(11_000, 11_000), (100_000, 100_000)])
def test_enormous_pictures_are_refused_before_they_are_decoded(size: tuple[int, int]):
    with pytest.raises(BadImage, match=r"'bomb' is enormous.*at most 1000000"):
        decode(huge_png(*size), "bomb", 1_000_000)


def test_the_limit_is_inclusive():
    assert decode(encoded(RGB, "PNG"), "x", 2400).size == (60, 40)
    with pytest.raises(BadImage, match=r"60 x 40 pixels; at most 2399"):
        decode(encoded(RGB, "PNG"), "x", 2399)


@settings(max_examples=150)
@pytest.mark.slow
@given(
    where=st.integers(0, 10**6),
    value=st.integers(0, 255),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]),
)
def test_a_damaged_byte_gives_a_picture_or_a_bad_image_and_nothing_else(where: int, value: int, kind: str):
    data = bytearray(encoded(RGB, kind))
    data[where % len(data)] = value
    try:
        assert decode(bytes(data), "x").mode == "RGB"
    except BadImage as error:
        assert "\n" not in str(error)
