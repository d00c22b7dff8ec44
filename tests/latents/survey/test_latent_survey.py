"""A survey against plain loops over all codes, however the images are divided."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.latents.survey.brute_force import Seen, add, arrays_of, batches_of, ranked, seen

from saev.errors import InputError
from saev.latents import sparse
from saev.latents.sparse import SparseCodes, Spots
from saev.latents.survey import EDGES, LatentSurvey


@settings(deadline=None)
@given(data=st.data(), seen=seen(), k=st.integers(1, 6))
def test_top_images_equal_brute_force(data: st.DataObject, seen: Seen, k: int) -> None:
    survey = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=k)
    assert set(survey.top) == {"patch", "img"} | ({"cls"} if seen.spots.cls is not None else set())
    for order, top in survey.top.items():
        for latent, expected in enumerate(ranked(seen, order)):
            best = expected[:k] + [(0.0, -1)] * (k - len(expected))
            assert list(zip(top.values[latent].tolist(), top.images[latent].tolist(), strict=True)) == best, order


@settings(deadline=None)
@given(data=st.data(), seen=seen())
def test_moments_and_histogram_equal_brute_force(data: st.DataObject, seen: Seen) -> None:
    survey = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=1)
    f = np.maximum(seen.f, 0).astype(np.float64)
    n, t, d_sae = f.shape
    moments = survey.moments
    assert (moments.n_images, moments.n_tokens) == (n, n * t)
    assert moments.fires.tolist() == (f > 0).sum((0, 1)).tolist()
    assert moments.image_fires.tolist() == (f > 0).any(1).sum(0).tolist()
    assert moments.max_value.tolist() == f.max((0, 1)).tolist()
    means = f.sum((0, 1)) / np.maximum((f > 0).sum((0, 1)), 1)
    np.testing.assert_allclose(moments.mean_value, np.minimum(means, 3.4028235e38), rtol=1e-6)
    np.testing.assert_allclose(moments.frequency, (f > 0).mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(moments.image_frequency, (f > 0).any(1).mean(0), rtol=1e-6)
    for latent in range(d_sae):
        values = f[..., latent][f[..., latent] > 0].clip(EDGES[0], np.nextafter(EDGES[-1], 0, dtype=np.float32))
        assert survey.histogram.counts[latent].tolist() == np.histogram(values, EDGES.astype(np.float64))[0].tolist()


@settings(deadline=None)
@given(data=st.data(), seen=seen())
def test_labels_equal_brute_force(data: st.DataObject, seen: Seen) -> None:
    survey = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=1)
    fires = seen.f > 0
    found, on_patches = survey.image_labels, survey.patch_labels
    assert found is not None
    assert on_patches is not None
    at_patches = fires[:, list(seen.spots.patches)]
    for label in range(3):
        assert found.counts[:, label].tolist() == fires[seen.labels == label].any(1).sum(0).tolist()
        assert found.base_counts[label] == (seen.labels == label).sum()
    for label in range(4):
        assert on_patches.counts[:, label].tolist() == at_patches[seen.patch_labels == label].sum(0).tolist()
        assert on_patches.base_counts[label] == (seen.patch_labels == label).sum()
    assert survey.strong_patches is not None
    has_il = np.stack([(seen.patch_labels == label).any(1) for label in range(4)], axis=1)
    images_l, n_images = survey.strong_patches.label_images
    assert (images_l.tolist(), n_images) == (has_il.sum(0).tolist(), has_il.any(1).sum())


@settings(deadline=None)
@given(data=st.data(), seen=seen())
def test_values_of_images_equal_brute_force(data: st.DataObject, seen: Seen) -> None:
    batches = data.draw(batches_of(len(seen.ids)))
    best_is = np.maximum(seen.f[:, list(seen.spots.ranked)].max(1), 0)
    ids, values = seen.survey(batches, top_k=1).image_values.table()
    place = np.argsort(seen.ids)[np.searchsorted(np.sort(seen.ids), ids)]
    assert sorted(ids.tolist()) == sorted(seen.ids.tolist())
    assert values.toarray().tolist() == best_is[place].tolist()
    few = seen.survey(batches, top_k=1, n_images=1).image_values.table()[0]  # the first by the same hashes
    assert few.tolist() == ids[:1].tolist()


@settings(deadline=None)
@given(data=st.data(), seen=seen(), n_processes=st.integers(1, 3))
def test_processes_find_what_one_finds(data: st.DataObject, seen: Seen, n_processes: int) -> None:
    batches = data.draw(batches_of(len(seen.ids)))
    whose = [data.draw(st.integers(0, n_processes - 1)) for _ in batches]
    one = seen.survey([list(range(len(seen.ids)))], top_k=2, n_sample=2)
    several = [
        seen.survey(
            [batch for batch, owner in zip(batches, whose, strict=True) if owner == process], top_k=2, n_sample=2
        )
        for process in range(n_processes)
    ]
    for other in several[1:]:
        several[0].merge(pickle.loads(pickle.dumps(other)))  # as it comes from another process
    same(several[0], one)


def same(survey: LatentSurvey, other: LatentSurvey) -> None:
    """All the same to the last bit, but for sums of floats, and keys whose order has no meaning."""
    found, expected = arrays_of(survey), arrays_of(other)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        rtol = {"Moments._sum_s": 1e-12, "PlaceSums._sums_sp": 1e-5}.get(name.partition(" ")[2], 0)
        np.testing.assert_allclose(array, expected[name], rtol, atol=0, err_msg=name)


@pytest.mark.parametrize("cells", [1, 40, 10**6])
@pytest.mark.parametrize("entries", [1, 30, 10**6])
def test_parts_put_together_are_the_whole(cells: int, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    f = torch.rand(9, 4, 6, generator=torch.Generator().manual_seed(0)) - 0.4
    f[3] = -1
    monkeypatch.setattr(sparse, "SLICE_CELLS", cells)
    monkeypatch.setattr(sparse, "MAX_PART_ENTRIES", entries)
    parts = list(SparseCodes.parts(f))
    assert [part.n_images for _, part in parts] == [len(f[images]) for images, _ in parts]
    for images, part in parts:
        own = f[images].flatten(0, 1)
        tokens, latents = (own > 0).nonzero(as_tuple=True)
        assert part.starts_r.tolist() == [0, *(own > 0).sum(1).cumsum(0).tolist()]
        assert np.repeat(np.arange(len(own)), part.counts_r).tolist() == tokens.tolist()
        assert part.latents_n.tolist() == latents.tolist()
        assert part.values_n.tolist() == own[own > 0].tolist()
    assert torch.equal(torch.cat([f[images] for images, _ in parts]), f)
    most_in_slice = max(1, cells // 24) * 24
    assert all(len(part.values_n) < entries + most_in_slice for _, part in parts)
    assert (len(parts) > 1) == (entries < int((f > 0).sum()) and cells < f.numel())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_takes_other_precisions(dtype: torch.dtype) -> None:
    survey = LatentSurvey(1, Spots(1, range(1)), top_k=2)
    add(survey, torch.tensor([0.5, 2.0, 0.0], dtype=dtype).view(3, 1, 1), [4, 2, 9])
    assert survey.top["patch"].values.tolist() == [[2.0, 0.5]]
    assert survey.top["patch"].images.tolist() == [[2, 4]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_what_cannot_be_ranked(bad: float) -> None:
    f = torch.zeros(2, 2, 3)
    f[1, 0, 2] = bad
    with pytest.raises(InputError, match=f"latent 2 has {bad}"):
        add(LatentSurvey(3, Spots(2, range(2)), 1), f, [0, 1])


def test_labels_that_would_not_fit_are_not_gathered() -> None:
    survey = LatentSurvey(1024, Spots(2, range(2)), 1, n_image_labels=2**18 + 1, n_patch_labels=3)
    assert survey.image_labels is None
    assert survey.patch_labels is not None
    add(survey, torch.rand(2, 2, 1024), [0, 1], [0, 1], np.zeros((2, 2), dtype=np.int64))
    assert int(survey.patch_labels.counts.sum()) == 2 * 2 * 1024


def test_values_are_kept_bit_for_bit() -> None:
    values = torch.rand((500, 1, 7), generator=torch.Generator().manual_seed(0)) * 30
    survey = LatentSurvey(7, Spots(1, range(1)), top_k=500)
    add(survey, values, range(500))
    top = survey.top["patch"]
    assert torch.equal(top.values, values[:, 0].T.sort(dim=1, descending=True).values)
    assert torch.equal(values[:, 0].T.gather(1, top.images), top.values)
