"""Where latents fire in pictures against plain loops, and flags of latents that were planted."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.latents.survey.brute_force import Seen, add, batches_of, seen

from saev.latents.sparse import Spots
from saev.latents.survey import FLAGS, LatentSurvey, PlaceProfile


@settings(deadline=None)
@given(data=st.data(), seen=seen())
def test_places_equal_brute_force(data: st.DataObject, seen: Seen) -> None:
    survey = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=1)
    h, w = seen.grid
    f_nps = np.maximum(seen.f[:, list(seen.spots.patches)], 0).astype(np.float64)
    found = survey.places
    if h * w == 0:
        assert found is None
        return
    assert found is not None
    sums = np.minimum(f_nps.sum(0).T, 3.4028235e38)
    np.testing.assert_allclose(found.means, sums / len(seen.ids), rtol=1e-5, atol=1e-44)
    assert found.image_fires.tolist() == (f_nps > 0).any(1).sum(0).tolist()
    fires = (f_nps > 0).sum((0, 1))
    np.testing.assert_allclose(found.patches_per_image, fires / np.maximum((f_nps > 0).any(1).sum(0), 1), rtol=1e-6)
    for latent, sums_p in enumerate(sums):
        shares = sums_p / max(sums_p.sum(), 1e-300)
        outer = sum(shares[y * w + x] for y in range(h) for x in range(w) if y in (0, h - 1) or x in (0, w - 1))
        np.testing.assert_allclose(found.border_share[latent], outer, rtol=1e-5)
        entropy = -sum(share * np.log(share) for share in shares if share > 0)
        extent = np.exp(entropy) / (h * w) if fires[latent] else 0
        np.testing.assert_allclose(found.extent[latent], extent, rtol=1e-5)


@settings(deadline=None)
@given(data=st.data(), seen=seen())
def test_boundaries_equal_brute_force(data: st.DataObject, seen: Seen) -> None:
    survey = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=1)
    h, w = seen.grid
    if h * w == 0:
        assert survey.boundaries is None
        return
    patches, d_sae = list(seen.spots.patches), seen.f.shape[2]
    counts, fires = np.zeros((d_sae, 4)), np.zeros(d_sae)  # by label; at a boundary
    all_l, edge_l = np.zeros(4), np.zeros(4)
    for f_ts, labels in zip(seen.f, seen.patch_labels.reshape(-1, h, w), strict=True):
        for y, x in np.ndindex(h, w):
            beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            own, is_edge = (
                labels[y, x],
                any(labels[a, b] != labels[y, x] for a, b in beside if a in range(h) and b in range(w)),
            )
            if own >= 0:
                is_on = f_ts[patches[y * w + x]] > 0
                counts[:, own] += is_on
                fires += is_on & is_edge
                all_l[own] += 1
                edge_l[own] += is_edge
    assert survey.boundaries is not None
    assert survey.patch_labels is not None
    assert survey.boundaries.counts.tolist() == fires.tolist()
    share, expected = survey.boundaries.shares(survey.patch_labels.counts, survey.patch_labels.base_counts)
    n = np.maximum(counts.sum(1), 1)
    np.testing.assert_allclose(share, fires / n, rtol=1e-6)
    np.testing.assert_allclose(expected, counts @ (edge_l / np.maximum(all_l, 1)) / n, rtol=1e-6, atol=1e-7)


def test_planted_latents_get_their_flags_alone() -> None:
    """One latent for each flag on pictures of a square that moves, and controls that go with contents."""
    rng = np.random.default_rng(0)
    n, h, w = 200, 16, 16
    inner = range(1, 11)
    labels = np.zeros((n, h, w), dtype=np.int64)
    f = np.zeros((n, h, w, 8), dtype=np.float32)
    for i in range(n):
        y, x = rng.choice(inner, 2)
        labels[i, y : y + 5, x : x + 5] = 1
        f[i, rng.integers(0, h, 3), rng.choice([0, w - 1], 3), 0] = 1  # edge
        f[i, rng.integers(0, 4, 2) + 6, rng.integers(0, 4, 2) + 6, 1] = 1  # position
        f[i, rng.random((h, w)) < 0.2, 2] = 1  # dense
        ring = np.s_[y, x : x + 5]
        f[i][ring][:, 4] = 1  # boundary: the upper edge of the square, which has as many patches inside as not
        f[i, y : y + 5, x : x + 5, 5] = 1  # the square
        f[i, rng.integers(0, h), rng.integers(0, w), 6] = 1  # anywhere
    f[7, :8, :, 3] = 5  # one picture, and a little elsewhere
    f[8:60, 2, 9, 3] = 0.5
    f[:20, 0, 0, 7] = 1  # a corner of too few pictures
    survey = LatentSurvey(8, Spots(h * w, range(h * w)), top_k=4, n_patch_labels=2, grid=(h, w))
    add(survey, torch.from_numpy(f.reshape(n, h * w, 8)), np.arange(n), patch_labels=labels.reshape(n, -1))
    flags = PlaceProfile.of(survey).flags
    named = [[name for bit, name in enumerate(FLAGS) if flag & (1 << bit)] for flag in flags]
    assert named == [["edge", "position"], ["position"], ["dense"], ["one picture"], ["boundary"], [], [], []]
