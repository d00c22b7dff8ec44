"""Pooled values of latents equal a look at all codes, from memory and from files, by picture and by latent."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

import saev
from saev.errors import InputError
from saev.latents.codes import Codes
from saev.nn import TopK
from saev.probing.pictures import pooled as pooled_module
from saev.probing.pictures.pooled import pooled
from saev.shards.reading.open import open_shards

N, T, D_SAE = 23, 6, 24
IMAGES: list[Any] = [range(N), [0, 3, 4, 5, 22], [7], []]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(N, grid=(2, 3))[0]


@pytest.fixture(scope="module")
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=3)


@pytest.fixture(scope="module", params=["held", "saved"])
def codes(request: pytest.FixtureRequest, shards: Path, sae: TopK, tmp_path_factory: pytest.TempPathFactory) -> Codes:
    """In memory, and in files of five images."""
    if request.param == "held":
        return saev.encode(sae, shards)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saev.nn.functional.CODES_BYTES", 4 * D_SAE * T * 5)
        return saev.encode(sae, shards, tmp_path_factory.mktemp("codes") / "codes", file_bytes=1)


def expected(f_its: np.ndarray, pooling: str, above: float) -> np.ndarray:
    ways = {"max": f_its.max(1), "mean": f_its.mean(1), "sum": f_its.sum(1), "count": (f_its > above).sum(1)}
    return ways[pooling]


@pytest.mark.parametrize("pooling", ["max", "mean", "sum", "count"])
@pytest.mark.parametrize("images", IMAGES, ids=str)
def test_all_latents_and_some(codes: Codes, pooling: Any, images: Any) -> None:
    dense = codes.of_images(range(N)).dense()[list(images)]
    above = float(np.median(dense[dense > 0])) if dense.size else 0.0
    found = pooled(codes, images, pooling, above, progress=False)
    assert (found.dtype, found.shape, found.has_sorted_indices) == (np.float32, (len(images), D_SAE), True)
    assert found.indices.dtype == found.indptr.dtype == np.int32
    assert (found.data > 0).all()
    np.testing.assert_allclose(found.toarray(), expected(dense, pooling, above), rtol=1e-6)
    for latents in ([5], [23, 0, 11, 11], []):
        some = pooled(codes, images, pooling, above, latents, progress=False)
        assert some.has_sorted_indices
        np.testing.assert_array_equal(some.toarray(), found.toarray()[:, latents])


@pytest.mark.parametrize("pooling", ["max", "mean", "sum", "count"])
def test_some_tokens_alone(codes: Codes, pooling: Any) -> None:
    dense = codes.of_images(range(N)).dense()[:, 1:4]
    for latents in (None, [4, 2]):
        found = pooled(codes, range(N), pooling, latents=latents, positions=range(1, 4), progress=False)
        wanted = expected(dense if latents is None else dense[..., latents], pooling, 0)
        np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-6)


def test_the_cls_token_is_pooled_only_where_it_is_asked_for(shards: Path, sae: TopK) -> None:
    codes = saev.encode(sae, shards, tokens="all")
    dense = sae.encode(open_shards(shards).read(0, N)).detach().numpy()
    patches = pooled(codes, range(N), progress=False).toarray()
    cls = pooled(codes, range(N), positions=range(1), progress=False).toarray()
    np.testing.assert_allclose(patches, dense[:, 1:].max(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cls, dense[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [0, 23]}, r"images \[23\]: there are images 0 to 22"),
        ({"images": [3, 1]}, "images must ascend, each once: sort them"),
        ({"images": [3, 3]}, "images must ascend, each once"),
        ({"latents": [24]}, r"latents \[24\]: there are latents 0 to 23"),
        ({"latents": [0.5]}, r"latents \[0.5\]: give a list of whole numbers"),
        ({"pooling": "median"}, "pooling 'median': give one of max, mean, sum, count"),
        ({"pooling": "count", "count_above": -1.0}, "count_above=-1.0: give a finite number of at least 0"),
        ({"positions": range(7)}, r"positions=range\(0, 7\): give a range of the tokens 0 to 5"),
        ({"positions": range(0)}, r"positions=range\(0, 0\): give a range of the tokens 0 to 5"),
    ],
)
def test_wrong_arguments_are_refused(codes: Codes, changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"images": [0, 1], "progress": False, **changes}
    with pytest.raises(InputError, match=message):
        pooled(codes, **arguments)


def test_more_than_memory_holds_is_refused_before_it_is_taken(codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_module, "known_free_memory", lambda: (1000, "this machine"))
    with pytest.raises(InputError, match=r"take more than the 1 kB that are free on this machine: give fewer images"):
        pooled(codes, range(N), progress=False)
