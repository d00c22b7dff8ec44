"""Pictures that are almost the same: compressed again, resized, brightened, moved a little.

What is learned from a picture of the proposal half is known of its near-duplicates, too, and two of them are no two
observations. Candidates are found by what an SAE makes of them, without opening a file; their files then decide.

Shape suffixes: i = pictures of the recording, n = candidates, d = width of a point, h = places of a hash, r = rows of a
block.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.probing.statistics.arrays import components
from saev.progress import progress_bar
from saev.ranges import Ints

NEAR: Final = 0.9
"""Cosine of the points of two pictures from which on they are candidates."""
ALIKE: Final = 0.75
"""Cosine of their hashes from which on they are near-duplicates: docs/probing.md says what that finds."""
_SIDE: Final = 8
_LEAST_STEP: Final = 2
"""Of 255: smaller differences of brightness are noise."""
_CELLS_AT_ONCE: Final = 2**24
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Hash = NDArray[np.int8]


@final
@dataclass(frozen=True)
class NearDuplicates:
    """Pictures of the test half that are left out."""

    of_proposal_i: Bools  # (i,) whether a picture is one of a picture of the proposal half, or of another one that is.
    of_another_i: Bools  # (i,) whether it is one of another picture of the test half, which stays.

    @property
    def left_out_i(self) -> Bools:
        """(i,) all of them."""
        found: Bools = self.of_proposal_i | self.of_another_i
        return found


@torch.no_grad()
def points_of(sae: SparseAutoencoder, codes: Codes) -> Floats:
    """One point (i, d) for each picture of a recording: the mean reconstruction of its tokens, seen from that of all.

    Args:
        codes: Its codes of the recording.

    Raises:
        InputError: If a file of codes is damaged.
    """
    found_id = np.zeros((codes.n_images, sae.d_in), dtype=np.float32)
    for images_b, part in codes.batches(range(codes.n_images), "comparing pictures"):
        mean_bs = torch.from_numpy(part.mean(codes.spots.ranked)).to(sae.mean_d.device)
        found_id[images_b] = sae.decode(mean_bs).cpu().numpy()
    found_id -= found_id.mean(axis=0)
    return found_id


def difference_hash(picture: Image.Image) -> Hash:
    """Where a picture grows brighter (1), darker (-1) or neither (0), to the right and downwards: int8 (128,).

    It is taken at 8 x 8 places. Brightness, contrast, compression and size hardly change it.

    >>> ramp = Image.linear_gradient("L")
    >>> difference_hash(ramp).tolist() == [0] * 64 + [1] * 64
    True
    """
    steps = []
    for axis, size in ((1, (_SIDE + 1, _SIDE)), (0, (_SIDE, _SIDE + 1))):
        grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BOX), dtype=np.int16)
        steps.append(np.diff(grey, axis=axis).ravel())
    step_h = np.concatenate(steps)
    found: Hash = (np.sign(step_h) * (np.abs(step_h) > _LEAST_STEP)).astype(np.int8)
    return found


def alike(one_nh: Sequence[Hash], others_mh: Sequence[Hash]) -> Bools:
    """(n, m) whether pictures are near-duplicates, by their hashes alone."""
    hashes = [np.array(some, dtype=np.float32).reshape(len(some), -1) for some in (one_nh, others_mh)]
    if not all(map(len, hashes)):
        return np.zeros((len(one_nh), len(others_mh)), dtype=np.bool_)
    found: Bools = _units(hashes[0]) @ _units(hashes[1]).T >= ALIKE
    return found


def near_duplicates(points_id: Floats, is_test_i: Bools, hash_of: Callable[[int], Hash]) -> NearDuplicates:
    """Which pictures of the test half are near-duplicates, of the proposal half or of each other.

    Near-duplicates of near-duplicates are such, too. Of those within the test half the first one stays.

    Args:
        points_id: As `points_of` gives them.
        is_test_i: The half of each picture.
        hash_of: Gives the `difference_hash` of a picture, by its number; is asked for candidates alone.

    Raises:
        InputError: If a picture's file is gone or damaged.
    """
    units_id = _units(points_id)
    test, is_candidate_i = np.flatnonzero(is_test_i), np.zeros(len(is_test_i), dtype=np.bool_)
    for rows_r, near_ri in _near(units_id, test):
        is_candidate_i[rows_r[near_ri.any(axis=1)]] = True
        is_candidate_i |= near_ri.any(axis=0)
    candidates = np.flatnonzero(is_candidate_i)
    shown = progress_bar(candidates.tolist(), desc="near-duplicates", unit=" pictures")
    hashes = [hash_of(image) for image in shown]
    hash_nh = _units(np.array(hashes, dtype=np.float32)) if hashes else np.empty((0, 1), dtype=np.float32)
    is_test_n, ones, others = is_test_i[candidates], [candidates[:0]], [candidates[:0]]
    for rows_r, near_rn in _near(units_id[candidates], np.flatnonzero(is_test_n)):
        rows, columns = np.nonzero(near_rn & (hash_nh[rows_r] @ hash_nh.T >= ALIKE))
        ones.append(rows_r[rows])
        others.append(columns)
    cluster_n = components(np.concatenate(ones), np.concatenate(others), len(candidates))
    has_proposal_n = np.bincount(cluster_n, weights=~is_test_n)[cluster_n] > 0
    is_first_n = np.zeros(len(candidates), dtype=np.bool_)
    is_first_n[np.unique(cluster_n, return_index=True)[1]] = True
    of_proposal_i, of_another_i = np.zeros((2, len(is_test_i)), dtype=np.bool_)
    of_proposal_i[candidates[is_test_n & has_proposal_n]] = True
    of_another_i[candidates[~has_proposal_n & ~is_first_n]] = True
    return NearDuplicates(of_proposal_i, of_another_i)


def _units(x_nd: Floats) -> Floats:
    """Rows at norm 1; rows of 0 stay."""
    found: Floats = x_nd / np.maximum(np.linalg.norm(x_nd, axis=1), np.finfo(np.float32).tiny)[:, None]
    return found


def _near(units_nd: Floats, rows: Ints) -> Iterator[tuple[Ints, Bools]]:
    """Some of the rows at a time, and which of all pictures (r, n) lie near to each, itself not among them."""
    per_block = max(1, _CELLS_AT_ONCE // max(1, len(units_nd)))
    for start in range(0, len(rows), per_block):
        rows_r = rows[start : start + per_block]
        near_rn = units_nd[rows_r] @ units_nd.T >= NEAR
        near_rn[np.arange(len(rows_r)), rows_r] = False
        yield rows_r, near_rn
