"""Planted families of latents are found again, and their names are no chance."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from saev.gallery.families import shared_words
from saev.latents.families import families_of, links, map_of
from saev.latents.sparse import SparseCodes
from saev.latents.survey import TokenSample
from saev.metrics import Nearest, nearest

N, D, SIZE, N_FAMILIES = 600, 384, 8, 30


def planted(kind: str) -> tuple[Nearest, Nearest, torch.Tensor, np.ndarray]:
    """Thirty families of eight among 600 latents, like in direction, in firing, or in both to a lesser degree."""
    rng = np.random.default_rng(0)
    family = np.full(N, -1)
    family[rng.permutation(N)[: SIZE * N_FAMILIES]] = np.repeat(np.arange(N_FAMILIES), SIZE)
    own, shared = rng.standard_normal((N, D)), rng.standard_normal((N_FAMILIES, D))
    alike = {"direction": 1.5, "firing": 0.0, "both": 0.8}[kind]
    own[family >= 0] += alike * shared[family[family >= 0]]
    together = {"direction": 0.0, "firing": 0.6, "both": 0.4}[kind]
    fires = rng.random((2000, N)) < 0.01
    events = rng.random((2000, N_FAMILIES)) < 0.03
    fires[:, family >= 0] |= events[:, family[family >= 0]] & (rng.random((2000, SIZE * N_FAMILIES)) < together)
    sample, latents = TokenSample(N, 0), torch.arange(N)
    sample.update(SparseCodes.of(torch.from_numpy(fires[None]).float()), np.arange(1))
    w_dec = torch.from_numpy(own).float()
    return nearest(w_dec, w_dec, 8, latents), sample.nearest(latents, 8), w_dec, family


@pytest.mark.parametrize("kind", ["direction", "firing", "both"])
def test_planted_families_are_found_and_near_on_the_map(kind: str) -> None:
    decoders, coactive, w_dec, family = planted(kind)
    linked = links(np.arange(N), decoders, coactive, N, D)
    found = families_of(linked)
    members = family >= 0
    assert adjusted_rand_score(family[members], found[members]) > 0.9
    assert (found[~members] >= 0).mean() < 0.05  # the others are in none
    sizes = np.bincount(found[found >= 0])
    assert (np.diff(sizes) <= 0).all()
    places = map_of(linked, w_dec.numpy())
    assert np.nanmin(places) == 0
    assert np.nanmax(places) == 1
    assert np.isnan(places).any(1).tolist() == (linked.sum(1) == 0).tolist()
    within = [np.linalg.norm(places[family == one] - places[family == one].mean(0), axis=1).mean() for one in range(30)]
    everywhere = np.linalg.norm(places[members] - places[members].mean(0), axis=1).mean()
    assert np.median(within) < everywhere / 5
    assert np.array_equal(found, families_of(linked))
    assert np.array_equal(places, map_of(linked, w_dec.numpy()), equal_nan=True)


def test_links_equal_plain_loops() -> None:
    decoders, coactive, _, _ = planted("both")
    expected = np.zeros((N, N))
    for found, floor in ((decoders, np.sqrt(2 * np.log(N) / D)), (coactive, 0)):
        way = np.zeros((N, N))
        for i, (numbers, cosines) in enumerate(zip(found.numbers.tolist(), found.cosines.tolist(), strict=True)):
            for j, cosine in zip(numbers, cosines, strict=True):
                if j >= 0 and cosine > floor:
                    way[i, j] = way[j, i] = cosine - floor
        expected += way
    np.testing.assert_allclose(links(np.arange(N), decoders, coactive, N, D).toarray(), expected, atol=1e-6)


def test_latents_without_links_have_no_family_and_no_place() -> None:
    none = Nearest(torch.full((5, 3), -1), torch.zeros(5, 3))
    linked = links(np.arange(5), none, none, 5, 4)
    assert families_of(linked).tolist() == [-1] * 5
    assert np.isnan(map_of(linked, np.eye(5, 4, dtype=np.float32))).all()


def test_names_of_families_by_chance_are_rare() -> None:
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(60), 5).astype(np.int32)
    words = {i: str(rng.integers(0, 10)) for i in range(300)}
    assert len(shared_words(family, words)) <= 1
    words |= dict.fromkeys(range(20), "eye")  # four families
    assert {one: name for one, name in shared_words(family, words).items() if name == "eye"} == dict.fromkeys(
        range(4), "eye"
    )
    assert shared_words(family, {}) == {}
    assert shared_words(family, {299: "eye"}) == {}
