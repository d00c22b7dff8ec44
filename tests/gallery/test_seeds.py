"""In how many other seeds latents are found again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import MakeShards

import saev
from saev.artifacts.provenance import Provenance, RecordedLayer
from saev.errors import InputError
from saev.gallery.seeds import seeds_of
from saev.latents.seeds import check_seeds
from saev.nn import SparseAutoencoder, TopK

D = 12


def trained(changed: list[int], seed: int, k: int = 2, **training: Any) -> TopK:
    """An SAE whose decoder rows are those of all others, in another order, but for some."""
    w_sd = torch.randn(24, D, generator=torch.Generator().manual_seed(0))
    w_sd[changed] = torch.randn(len(changed), D, generator=torch.Generator().manual_seed(100 + seed))
    sae = TopK(D, 24, k=k)
    with torch.no_grad():
        sae.W_dec.copy_(w_sd)
    sae.provenance = Provenance(training={"seed": seed, "lr": 0.1} | training)
    return sae


def found(saes: dict[str, SparseAutoencoder], others: list[SparseAutoencoder] | None = None) -> dict[str, list[int]]:
    seeds = seeds_of(saes, others or [])
    for one in seeds.values():  # a match has a cosine of .7 or more with one of them
        assert (one.cosine * one.n >= 0.7 * (one.found > 0) - 1e-6).all()
    return {name: [one.n, *one.found.tolist()] for name, one in seeds.items()}


def test_latents_are_counted_in_the_seeds_that_have_them() -> None:
    saes = {"a": trained([], 0), "b": trained([3], 1), "c": trained([3, 5], 2), "other": trained([], 3, k=3)}
    counts = found(saes)
    assert counts.keys() == {"a", "b", "c"}  # nothing is compared with another k
    assert counts["a"] == [2, *(2 - (i == 3) * 2 - (i == 5) for i in range(24))]
    assert counts["b"] == [2, *(2 - (i == 3) * 2 - (i == 5) for i in range(24))]
    assert counts["c"] == [2, *(0 if i in (3, 5) else 2 for i in range(24))]


def test_seeds_that_are_not_rendered_count_too() -> None:
    own, other, more = trained([], 0), trained([3], 1), trained([5], 2)
    all_three = found({"a": own, "b": other, "c": more})
    assert found({"a": own, "b": other}, [own, more, more]) == {name: all_three[name] for name in "ab"}


def test_what_is_no_other_seed_is_refused() -> None:
    own = trained([], 0)
    check_seeds([own, trained([3], 1)], {"a": own})
    for other in (trained([3], 1, k=3), trained([3], 1, lr=0.2), trained([3], 0), TopK(D, 30, k=2)):
        with pytest.raises(InputError, match="differs in more than its seed, or not in it, from each"):
            check_seeds([other], {"a": own})


def test_of_unknown_training_the_options_and_the_layer_decide() -> None:
    own, other = trained([], 0), trained([3], 1)
    other.provenance = Provenance(layers=[RecordedLayer(layer=10)], tokens="content")
    assert found({"a": own}, [other])["a"][:2] == [1, 1]
    own.provenance = Provenance(layers=[RecordedLayer(layer=11)], training={"seed": 0})
    with pytest.raises(InputError, match="seed unknown"):
        check_seeds([other], {"a": own})


def test_galleries_say_it(make_shards: MakeShards, tmp_path: Path) -> None:
    shards = make_shards(9, d_model=D)[0]
    saes = {"a": trained([], 0), "b": trained([3], 1)}
    saev.save(trained([5], 2), tmp_path / "third")
    without = saev.render({"a": saes["a"]}, shards, tmp_path / "without", n_latents=3)["a"]
    assert '"seeds"' not in (without.parent / "data" / "overview.js").read_text(encoding="ascii")
    pages = saev.render(saes, shards, tmp_path / "out", seeds=[tmp_path / "third"], n_latents=3)
    for page in pages.values():
        assert '"seeds":{"n":2,"least":0.7,' in (page.parent / "data" / "overview.js").read_text(encoding="ascii")
    with pytest.raises(InputError, match="differs in more than its seed"):
        saev.render(saes, shards, tmp_path / "none", seeds=[trained([5], 2, k=3)])
    assert not (tmp_path / "none").exists()
