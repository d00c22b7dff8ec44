import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saev.errors import InputError
from saev.vit.images import (
    BadImage,
    ImageFolder,
    ImageList,
    ImageSource,
    SegmentationFolder,
    from_description,
)
from saev.vit.images.scan import MAX_WAYS

NAMES = ["cat/1.jpg", "cat/2.PNG", "cat/deep/er/3.webp", "dog/1.jpeg", "dog/10.bmp", "dog/2.tif", "top.gif"]


def names(source: ImageSource) -> list[str]:
    return [source.record(index).path for index in range(len(source))]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    root = tmp_path / "scenes"
    for name, value in (("bike/1", 1), ("bike/2", 2), ("tree/1", 255)):
        for kind in ("images", "masks"):
            (root / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(root / "images" / f"{name}.jpg")
        Image.new("L", (20, 10), value).save(root / "masks" / f"{name}.png")
    (root / "classes.txt").write_text("bike\ntree\n", encoding="utf-8")
    return root


def test_a_folder_is_sorted_labelled_and_sized_without_being_read(pictures: Path):
    source = ImageFolder(pictures)
    assert names(source) == NAMES
    assert [source.record(i).label for i in range(7)] == ["cat"] * 3 + ["dog"] * 3 + [None]
    assert source.class_names == ["cat", "dog"]
    for index, name in enumerate(NAMES):
        assert source.record(index).n_bytes == (pictures / name).stat().st_size == len(source.read_bytes(index))
        assert source.file_of(index) == pictures / name
    assert (source.read(6).mode, source.read(6).size) == ("RGB", (46, 30))
    assert (source.has_masks, source.patch_mask(0), source.patch_class_names) == (False, None, [])


def test_links_are_followed_but_not_in_circles(pictures: Path):
    (pictures / "also").symlink_to(pictures / "dog")
    (pictures / "cat" / "up").symlink_to(pictures)
    found = names(ImageFolder(pictures))
    assert found == ["also/1.jpeg", "also/10.bmp", "also/2.tif", *NAMES]


def test_folders_that_link_to_each_other_are_refused(pictures: Path):
    # 2^30 ways lead to the last one.
    for number in range(30):
        (pictures / str(number)).mkdir()
        for name in ("a", "b"):
            (pictures / str(number) / name).symlink_to(pictures / str(number + 1))
    with pytest.raises(InputError, match=rf"links lead to '{pictures}/.*' in more than {MAX_WAYS} ways: remove"):
        ImageFolder(pictures)


def test_folders_may_be_nested_deeper_than_calls(pictures: Path):
    place = os.open(pictures, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 100):
        os.mkdir("d", dir_fd=place)
        deeper = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(os.open("x.png", os.O_CREAT, dir_fd=place))
    os.close(place)
    found = names(ImageFolder(pictures))
    subprocess.run(["rm", "-r", pictures / "d"], check=True)  # which is too deep for pytest, too
    assert any(name.endswith("/d/d/x.png") for name in found)


def test_folders_that_are_no_use_are_refused(pictures: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"'.*nowhere' does not exist"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"top.gif' is a file"):
        ImageFolder(pictures / "top.gif")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(InputError, match=r"has no pictures.*no file is in it"):
        ImageFolder(tmp_path / "empty")
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(InputError, match=r"1 other files are in it"):
        ImageFolder(tmp_path / "empty")
    (tmp_path / "empty" / "gone.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(BadImage, match=r"'gone.jpg' cannot be used: .*gone.jpg: is missing"):
        ImageFolder(tmp_path / "empty").check_known()


def test_an_unreadable_folder_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    # Permissions do not bind root, so the refusal of the system is acted.
    import os

    scandir = os.scandir

    def guarded(folder: str):
        if folder.endswith("dog"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match=r"dog' cannot be read \(Permission denied\)"):
        ImageFolder(pictures)


def test_a_name_that_is_not_utf_8_is_refused(pictures: Path):
    (Path(pictures) / b"bad\xff.jpg".decode(errors="surrogateescape")).touch()
    with pytest.raises(BadImage, match=r"'bad.udcff.jpg' is not UTF-8") as caught:
        ImageFolder(pictures).check_known()
    str(caught.value).encode()


def test_a_picture_that_vanished_is_a_bad_image(pictures: Path):
    source = ImageFolder(pictures)
    (pictures / "dog/2.tif").unlink()
    with pytest.raises(BadImage, match=r"'dog/2.tif' cannot be used: .*dog/2.tif: is missing"):
        source.read(5)


def test_the_identity_tells_names_labels_and_sizes_but_not_the_place(pictures: Path, tmp_path: Path):
    first = ImageFolder(pictures).identity()
    moved = pictures.rename(tmp_path / "elsewhere")
    assert ImageFolder(moved).identity() == first
    assert str(tmp_path) not in json.dumps(first)
    (moved / "top.gif").rename(moved / "tip.gif")
    renamed = ImageFolder(moved).identity()
    with (moved / "tip.gif").open("ab") as file:
        file.write(b"x")
    assert len({json.dumps(identity) for identity in (first, renamed, ImageFolder(moved).identity())}) == 3


def test_without_some_pictures_the_others_move_up(pictures: Path, scenes: Path):
    source = ImageFolder(pictures)
    fewer = source.without([1, 5])
    assert names(fewer) == [name for n, name in enumerate(NAMES) if n not in (1, 5)]
    assert fewer.read_bytes(1) == source.read_bytes(2)
    assert fewer.file_of(1) == pictures / NAMES[2]
    assert names(fewer.without([0])) == [name for n, name in enumerate(NAMES) if n not in (0, 1, 5)]
    assert fewer.without([0, 3]).describe() == source.without([0, 1, 4, 5]).describe()
    assert source.without([]).identity() == source.identity() != fewer.identity()
    for index in (5, 1):
        (pictures / NAMES[index]).unlink()
    assert ImageFolder(pictures).identity() == fewer.identity()

    masked = SegmentationFolder(scenes, pixel_agg="prefer-fg", threshold=0.25).without([0])
    assert (masked.has_masks, masked.pixel_agg, masked.threshold) == (True, "prefer-fg", 0.25)
    assert masked.patch_mask(0).getextrema() == (2, 2)
    assert masked.patch_class_names == ["background", "bike", "tree"]


def test_a_description_rebuilds_the_source(pictures: Path, scenes: Path, tmp_path: Path):
    (tmp_path / "list.txt").write_text("pictures/top.gif\tx\n", encoding="utf-8")
    for source in (
        ImageFolder(pictures),
        ImageFolder(pictures).without([2]),
        SegmentationFolder(scenes, threshold=0.5),
        SegmentationFolder(scenes, pixel_agg="prefer-fg").without([1]),
        ImageList(tmp_path / "list.txt"),
    ):
        again = from_description(json.loads(json.dumps(source.describe())))
        assert type(again) is type(source)
        assert (again.identity(), names(again)) == (source.identity(), names(source))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "described by class and args"),
        ({"class": "ImageFolder"}, "described by class and args"),
        ({"class": "Popen", "args": {"args": "ls"}}, "the recording names the source of pictures 'Popen', known are "),
        ({"class": ["ImageFolder"], "args": {}}, "names the source of pictures"),
        ({"class": "ImageFolder", "args": {"root": "x", "more": 1}}, "takes the arguments root"),
        ({"class": "ImageFolder", "args": {}}, "cannot be built"),
        ({"class": "ImageFolder", "args": {"root": 3}}, "cannot be built"),
        ({"class": "ImageFolder", "args": {"root": "/nowhere"}}, "'/nowhere' does not exist"),
        ({"class": "Without", "args": {"source": None, "indices": []}}, "described by class and args"),
    ],
)
def test_other_descriptions_are_refused(content: object, message: str):
    with pytest.raises(InputError, match=message):
        from_description(content)


def test_a_list_keeps_its_order_and_labels(pictures: Path, tmp_path: Path):
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffpictures/top.gif\r\n\n./pictures/cat/1.jpg\tkatze\npictures/dog/1.jpeg\t\n".encode())
    source = ImageList(file)
    assert names(source) == ["pictures/top.gif", "pictures/cat/1.jpg", "pictures/dog/1.jpeg"]
    assert [source.record(i).label for i in range(3)] == [None, "katze", None]
    assert source.read(0).size == (46, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("pictures/top.gif\n\nnot/there.png\n", "line 3: 'not/there.png' cannot be used: .*there.png: is missing"),
        ("pictures/top.gif\n./pictures/top.gif", "line 2: 'pictures/top.gif' is listed twice"),
        ("/etc/passwd", "line 1: '/etc/passwd' must be a path relative"),
        ("pictures/top.gif\ta\tb", "line 1: .*at most one tab"),
    ],
)
def test_lists_that_are_no_use_are_refused(text: str, message: str, pictures: Path, tmp_path: Path):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        ImageList(tmp_path / "list.txt").check_known()


def test_a_missing_or_binary_list_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"none.txt: is missing"):
        ImageList(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"b.txt: is no text in UTF-8 .byte 0"):
        ImageList(tmp_path / "b.txt")


def test_masks_have_the_names_of_their_pictures(scenes: Path):
    source = SegmentationFolder(scenes)
    assert names(source) == ["bike/1.jpg", "bike/2.jpg", "tree/1.jpg"]
    assert source.class_names == ["bike", "tree"]
    assert source.patch_class_names == ["background", "bike", "tree"]
    values = [source.patch_mask(index).getextrema()[0] for index in range(3)]
    assert values == [1, 2, 255]


def test_the_values_of_a_palette_mask_are_its_classes(scenes: Path):
    palette = Image.fromarray(np.full((10, 20), 2, np.uint8), mode=None).convert("P")
    palette.putpalette([9, 9, 9] * 3)
    palette.putdata([2] * 200)
    palette.save(scenes / "masks/bike/1.png")
    mask = SegmentationFolder(scenes).patch_mask(0)
    assert (mask.mode, mask.getextrema()) == ("L", (2, 2))


def test_without_classes_txt_any_value_goes(scenes: Path):
    (scenes / "classes.txt").unlink()
    Image.new("L", (20, 10), 77).save(scenes / "masks/bike/1.png")
    source = SegmentationFolder(scenes)
    assert source.patch_class_names == []
    assert source.patch_mask(0).getextrema() == (77, 77)


def test_masks_and_options_belong_to_the_identity(scenes: Path):
    identities = [
        SegmentationFolder(scenes).identity(),
        SegmentationFolder(scenes, pixel_agg="prefer-fg").identity(),
        SegmentationFolder(scenes, threshold=0.5).identity(),
        ImageFolder(scenes / "images").identity(),
    ]
    Image.effect_noise((20, 10), 9).save(scenes / "masks/bike/1.png")
    identities.append(SegmentationFolder(scenes).identity())
    assert len({json.dumps(identity) for identity in identities}) == 5


def test_masks_that_are_no_use_are_refused(scenes: Path):
    Image.new("L", (20, 10), 3).save(scenes / "masks/bike/1.png")
    Image.new("RGB", (20, 10)).save(scenes / "masks/bike/2.png")
    (scenes / "masks/tree/1.png").write_bytes(b"x")
    source = SegmentationFolder(scenes)
    with pytest.raises(BadImage, match=r"'masks/bike/1.png' holds the value 3, but classes.txt names 2"):
        source.patch_mask(0)
    with pytest.raises(BadImage, match=r"'masks/bike/2.png' has mode RGB"):
        source.patch_mask(1)
    with pytest.raises(BadImage, match=r"'masks/tree/1.png' cannot be decoded"):
        source.patch_mask(2)
    (scenes / "masks/bike/2.png").unlink()
    with pytest.raises(InputError, match=r"1 of 3 pictures .*have no mask.*'bike/2.jpg'.*bike/2.png' does not exist"):
        SegmentationFolder(scenes)
    with pytest.raises(InputError, match=r"'.*images2' does not exist"):
        SegmentationFolder(scenes, images="images2")
    with pytest.raises(InputError, match=r"^threshold 1.5: give a share from 0 to 1"):
        SegmentationFolder(scenes, threshold=1.5)
