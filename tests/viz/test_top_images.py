"""TopImages against a brute-force reference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saev.viz.topk import TopImages

# Few values, so that ties are the rule; the least and the largest floats, because keys are made of bits.
VALUES = st.sampled_from([0.0, -0.0, 1e-45, 0.5, 1.0, 1.0000001, 3.0, 3.4028235e38])


def brute_force(values: np.ndarray, ids: list[int], k: int) -> tuple[list[list[float]], list[list[int]]]:
    top_values, top_ids = [], []
    for latent in range(values.shape[1]):
        fired = [(-float(value), i) for value, i in zip(values[:, latent], ids, strict=True) if value > 0]
        best = sorted(fired)[:k]
        top_values.append([-value for value, _ in best] + [0.0] * (k - len(best)))
        top_ids.append([i for _, i in best] + [-1] * (k - len(best)))
    return top_values, top_ids


@given(data=st.data(), n_images=st.integers(1, 24), n_latents=st.integers(1, 5), k=st.integers(1, 9))
def test_equals_brute_force_in_any_order_and_batching(
    data: st.DataObject, n_images: int, n_latents: int, k: int
) -> None:
    values = data.draw(arrays(np.float32, (n_images, n_latents), elements=VALUES))
    ids = data.draw(
        st.lists(st.integers(0, 2**32 - 1), min_size=n_images, max_size=n_images, unique=True)
        | st.permutations(range(n_images))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, n_images), max_size=4)))
    top = TopImages(n_latents, k)
    for start, stop in zip([0, *cuts], [*cuts, n_images], strict=True):
        top.update(torch.from_numpy(values[start:stop]), torch.tensor(ids[start:stop], dtype=torch.int64))
    assert (top.values.tolist(), top.images.tolist()) == brute_force(values, ids, k)
    assert top.values.dtype == torch.float32
    assert top.images.dtype == torch.int64


def test_values_are_kept_bit_for_bit() -> None:
    values = torch.rand((500, 7), generator=torch.Generator().manual_seed(0)) * 30
    top = TopImages(7, 500)
    top.update(values, torch.arange(500))
    assert torch.equal(top.values, values.T.sort(dim=1, descending=True).values)
    assert torch.equal(values.T.gather(1, top.images), top.values)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_takes_other_precisions(dtype: torch.dtype) -> None:
    top = TopImages(1, 2)
    top.update(torch.tensor([[0.5], [2.0], [0.0]], dtype=dtype), torch.tensor([4, 2, 9], dtype=torch.int32))
    assert top.values.tolist() == [[2.0, 0.5]]
    assert top.images.tolist() == [[2, 4]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_what_cannot_be_ranked(bad: float) -> None:
    with pytest.raises(AssertionError, match="finite"):
        TopImages(1, 1).update(torch.tensor([[bad]]), torch.tensor([0]))
