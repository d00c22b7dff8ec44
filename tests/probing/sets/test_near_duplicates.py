"""Near-duplicates: told from other pictures by their files, whatever an SAE makes of them."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from tests.scene_folder import scene

from saev.probing.sets import near_duplicates as module
from saev.probing.sets.near_duplicates import difference_hash, near_duplicates

Change = Callable[[Image.Image], Image.Image]


def hashes(*degrees: int) -> Callable[[int], np.ndarray]:
    """Hashes at so many degrees from the first one."""
    return lambda image: np.array([np.cos(np.deg2rad(degrees[image])), np.sin(np.deg2rad(degrees[image]))])


@pytest.mark.parametrize("cells", [1, 2**24])
def test_clusters_go_with_the_proposal_half_and_keep_one_picture_otherwise(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", cells)
    # 0, 1 and 2 are a chain, of which 2 alone is near to 3 in the proposal half; 4, 5 and 6 are equal; 7 is alone.
    points = np.array([[1, 0, 0]] * 4 + [[0, 1, 0]] * 3 + [[0, 0, 1], [0, 0, 0]], dtype=np.float32)
    is_test = np.array([True, True, True, False, True, True, True, True, True])
    asked: list[int] = []

    def hash_of(image: int) -> np.ndarray:
        asked.append(image)
        return hashes(0, 30, 60, 90, 0, 10, 20, 0, 0)(image)

    found = near_duplicates(points, is_test, hash_of)
    assert np.flatnonzero(found.of_proposal_i).tolist() == [0, 1, 2]
    assert np.flatnonzero(found.of_another_i).tolist() == [5, 6]
    assert asked == [0, 1, 2, 3, 4, 5, 6]


def test_two_pictures_of_the_proposal_half_are_no_matter() -> None:
    found = near_duplicates(np.ones((4, 2), np.float32), np.zeros(4, np.bool_), hashes(0, 0, 0, 0))
    assert not found.left_out_i.any()
    alike = near_duplicates(np.ones((2, 2), np.float32), np.array([True, False]), hashes(0, 90))
    assert not alike.left_out_i.any()


CHANGES: dict[str, Change] = {
    "half": lambda picture: picture.resize((112, 112)),
    "bright": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "crop": lambda picture: picture.crop((4, 4, 220, 220)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_hashes_hardly_change_with_size_brightness_and_a_small_crop(name: str) -> None:
    scenes = [scene(index, n_objects=3) for index in range(12)]
    own, changed = (
        np.array([difference_hash(one) for one in some], float) for some in (scenes, map(CHANGES[name], scenes))
    )
    cosine = own @ changed.T / np.linalg.norm(own, axis=1)[:, None] / np.linalg.norm(changed, axis=1)
    assert np.diag(cosine).min() >= module.ALIKE
    assert cosine[~np.eye(12, dtype=np.bool_)].max() < module.ALIKE
