"""The table of the largest keys against sorting, with blocks of any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saev.latents.survey import kept_images
from saev.latents.survey.kept_images import NO_KEY, LargestKeys

OFFERS = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(NO_KEY + 1, 2**63 - 1)), max_size=40), max_size=5)


@settings(deadline=None)
@given(offers=OFFERS, k=st.integers(1, 5), cells=st.sampled_from([1, 16, 2**17]), aside=st.sampled_from([1, 8, 10**6]))
def test_equals_sorting(offers: list[list[tuple[int, int]]], k: int, cells: int, aside: int) -> None:
    table, halves = LargestKeys(7, k), [LargestKeys(7, k), LargestKeys(7, k)]
    everything: set[tuple[int, int]] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_images, "KEY_CELLS", cells)
        patch.setattr(kept_images, "ASIDE", aside)
        for number, offer in enumerate(offers):
            new = sorted(set(offer) - everything)
            everything |= set(new)
            latents, keys = (np.array([pair[i] for pair in new], dtype=np.int64) for i in range(2))
            table.update(latents, keys)
            halves[number % 2].update(latents, keys)
        halves[0].merge(halves[1])
    for latent in range(7):
        best = sorted((key for other, key in everything if other == latent), reverse=True)[:k]
        best += [NO_KEY] * (k - len(best))
        assert table.keys[latent].tolist() == best
        assert halves[0].keys[latent].tolist() == best
