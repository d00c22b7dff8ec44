"""Random images and tokens: chosen by hashes alone, and evenly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.latents.survey.brute_force import Seen, add, batches_of, ranked, seen, sparse_codes

from saev.latents.sparse import Spots
from saev.latents.survey import ImageSample, LatentSurvey, TokenSample, quantile_groups
from saev.mixing import latent_keys, mix32, mix64, token_hashes, unmix32


@settings(deadline=None)
@given(arrays(np.uint32, 20))
def test_the_hash_of_images_can_be_undone(words: np.ndarray) -> None:
    assert unmix32(mix32(words)).tolist() == words.tolist()


def test_hashes_are_those_published() -> None:
    # fmix32 of MurmurHash3; the first two numbers of SplitMix64 with seed 0.
    assert mix32(np.array([1], dtype=np.uint32)).tolist() == [0x514E28B7]
    golden = np.array([0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A], dtype=np.uint64)
    assert mix64(golden).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@settings(deadline=None)
@given(data=st.data(), seen=seen(), k=st.integers(1, 6), seed=st.integers(0, 3))
def test_images_of_a_latent_are_those_with_the_first_hashes(data: st.DataObject, seen: Seen, k: int, seed: int) -> None:
    sample = seen.survey(data.draw(batches_of(len(seen.ids))), top_k=1, n_sample=k, seed=seed).sample
    keys = latent_keys(seen.f.shape[2], seed)
    for latent, worth in enumerate(ranked(seen, "patch")):
        ids = np.array([i for _, i in worth], dtype=np.uint32)
        hashes = mix32(ids ^ keys[latent]).view(np.int32)
        best = [worth[i] for i in np.argsort(-hashes.astype(np.int64))[:k]]
        best += [(0.0, -1)] * (k - len(best))
        assert list(zip(sample.values[latent].tolist(), sample.images[latent].tolist(), strict=True)) == best


def test_every_image_is_as_likely_as_another() -> None:
    n_latents, n_images, k = 4000, 50, 10
    latents = np.repeat(np.arange(n_latents), n_images)
    ids = np.tile(np.arange(n_images), n_latents)
    for seed in (0, 1):
        sample = ImageSample(n_latents, k, seed)
        sample.update(latents, np.ones(len(latents), dtype=np.float32), ids)
        times = np.bincount(sample.images.numpy().ravel(), minlength=n_images)
        # Binomial with mean 800 and standard deviation 25.
        assert abs(times - n_latents * k / n_images).max() < 5 * 25.3
        together = (sample.images == 7).any(1) & (sample.images == 8).any(1)
        expected = n_latents * k * (k - 1) / (n_images * (n_images - 1))  # 147
        assert abs(int(together.sum()) - expected) < 5 * expected**0.5


def test_another_seed_chooses_others() -> None:
    f = torch.ones(64, 1, 3)
    chosen = []
    for seed in (0, 1):
        survey = LatentSurvey(3, Spots(1, range(1)), 1, n_sample=8, seed=seed)
        add(survey, f, range(64))
        chosen += [set(row) for row in survey.sample.images.tolist()]
    assert len({frozenset(row) for row in chosen}) == 6


@settings(deadline=None)
@given(
    ids=st.lists(st.integers(0, 99), max_size=30, unique=True),
    n_absent=st.integers(0, 4),
    n_groups=st.integers(1, 6),
    n_each=st.integers(1, 5),
)
def test_quantile_groups_cut_the_range_of_values(ids: list[int], n_absent: int, n_groups: int, n_each: int) -> None:
    values = [1.0 + i // 3 for i in ids]
    padded = torch.tensor(values + [0.0] * n_absent), torch.tensor(ids + [-1] * n_absent, dtype=torch.int64)
    groups = quantile_groups(*padded, n_groups, n_each)
    expected = sorted(zip(ids, values, strict=True), key=lambda image: (-image[1], image[0]))
    sizes = [len(ids) * (i + 1) // n_groups - len(ids) * i // n_groups for i in range(n_groups)]
    assert [len(group) for group in groups] == [min(size, n_each) for size in sizes]
    start = 0
    for group, size in zip(groups, sizes, strict=True):
        part = expected[start : start + size]
        assert [part.index(image) for image in group] == sorted({part.index(image) for image in group})
        assert group[:1] == part[:1]
        if size > n_each:
            assert part.index(group[-1]) >= size * (n_each - 1) // n_each
        start += size


@settings(deadline=None)
@given(
    data=st.data(),
    f=arrays(np.float32, (8, 3, 5), elements=st.sampled_from([0.0, 0.0, 1.0])),
    max_tokens=st.integers(1, 26),
    max_entries=st.integers(1, 60),
    seed=st.integers(0, 2),
)
def test_tokens_are_those_before_the_bound(
    data: st.DataObject, f: np.ndarray, max_tokens: int, max_entries: int, seed: int
) -> None:
    ids = np.array(data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8, unique=True)))
    expected, n_entries = [], 0
    hashes = token_hashes(ids, 3, seed)
    for place in np.argsort(hashes, axis=None):
        row = f.reshape(-1, 5)[place]
        if row.any():
            n_entries += int(row.sum())
            if n_entries > max_entries or len(expected) == max_tokens:
                break
            expected.append(row.tolist())
    batches, owners = data.draw(batches_of(8)), st.integers(0, 1)
    samples = [TokenSample(5, seed, max_tokens, max_entries) for _ in range(2)]
    for batch in batches:
        samples[data.draw(owners)].update(sparse_codes(torch.from_numpy(f[batch])), ids[batch])
    samples[0].merge(samples[1])
    assert samples[0].n_tokens == len(expected)
    assert samples[0].tokens().toarray().tolist() == expected


def test_tokens_of_all_images_and_positions_are_alike() -> None:
    hashes = token_hashes(np.arange(4000), 50, seed=3)
    assert len(np.unique(hashes)) == hashes.size
    chosen = hashes < np.quantile(hashes, 0.1)
    assert abs(chosen.sum(0) - 400).max() < 5 * 19  # binomial: standard deviation 19
    assert abs(chosen.sum(1) - 5).max() < 5 * 2.5
    again = token_hashes(np.arange(4000), 50, seed=4)
    both = (chosen & (again < np.quantile(again, 0.1))).sum()
    assert abs(both - 2000) < 5 * 43


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_any_integer_is_a_seed(seed: int) -> None:
    assert len(np.unique(latent_keys(1000, seed))) == 1000
