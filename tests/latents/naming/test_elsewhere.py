"""Whether names hold on other pictures: against the definition, and on latents of which it is known."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.sparse import csc_array
from torch import Tensor
from torch.nn.functional import normalize

from saev.latents.naming import elsewhere
from saev.latents.naming.elsewhere import BEST, LEAST_Z, Judges, PictureValues, holding

N_PICTURES, N_WORDS, WIDTH = 400, 40, 96
NOBODY = np.zeros((N_PICTURES, 1), dtype=np.bool_)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def space(rng: np.random.Generator) -> tuple[np.ndarray, Tensor, Tensor]:
    """Which words (i, v) each picture shows, the pictures, and the words; all share a part, as those of a CLIP do."""
    own_vd = torch.from_numpy(rng.normal(size=(N_WORDS, WIDTH))) / WIDTH**0.5
    shared_d = torch.full((WIDTH,), 1.5 / WIDTH**0.5)
    shows_iv = rng.random((N_PICTURES, N_WORDS)) < 0.15
    noise_id = torch.from_numpy(rng.normal(size=(N_PICTURES, WIDTH))) * 0.2
    shown_id = torch.from_numpy(shows_iv * 1.0) @ own_vd + noise_id
    return shows_iv, normalize(shown_id + shared_d, dim=-1), normalize(own_vd + shared_d, dim=-1)


def fits(e_ie: Tensor, words_ve: Tensor) -> np.ndarray:
    return (e_ie @ words_ve.T).numpy()


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Values (i, n) of latents that fire on a tenth of the pictures, seldom strongly, on whatever is there."""
    return rng.exponential(size=(N_PICTURES, n)) * (rng.random((N_PICTURES, n)) < 0.1)


def held(
    values_ic: np.ndarray,
    e_ie: Tensor,
    words_ve: Tensor,
    named: dict[int, int],
    own: dict[int, list[int]] | None = None,
) -> set[int]:
    numbers = np.arange(N_PICTURES) * 3  # pictures of a half have no numbers without gaps
    values = PictureValues(numbers[::-1], csc_array(values_ic[::-1]))
    own = {latent: [3 * i for i in (own or {}).get(latent, [])] for latent in named}
    return holding(values, Judges.of(numbers, e_ie.half(), words_ve), own, named)


def test_scores_are_correlations_on_the_pictures_that_did_not_name(rng: np.random.Generator) -> None:
    _, e_ie, words_ve = space(rng)
    values_ic, fits_iv = skewed(rng, 3), fits(e_ie, words_ve)
    judges = Judges.of(np.arange(N_PICTURES), e_ie, words_ve)
    expected = np.corrcoef(values_ic.T, fits_iv.T)[:3, 3:] * np.sqrt(N_PICTURES)
    np.testing.assert_allclose(judges.scores(values_ic, NOBODY.repeat(3, 1)), expected, rtol=1e-4, atol=1e-4)
    is_own_ic = rng.random((N_PICTURES, 3)) < 0.2
    found = judges.scores(values_ic + 100 * is_own_ic, is_own_ic)
    for latent, kept_i in enumerate(~is_own_ic.T):
        above_i = values_ic[kept_i, latent] - values_ic[kept_i, latent].mean()
        by_hand = above_i @ fits_iv[kept_i] / (fits_iv.std(0) * np.linalg.norm(above_i))
        np.testing.assert_allclose(found[latent], by_hand, rtol=1e-4, atol=1e-4)


def test_a_name_holds_where_the_latent_fires_on_what_it_says_and_nowhere_else(rng: np.random.Generator) -> None:
    shows_iv, e_ie, words_ve = space(rng)
    gain = rng.uniform(0.5, 2, (N_PICTURES, N_WORDS))
    assert held(shows_iv * gain, e_ie, words_ve, {w: w for w in range(N_WORDS)}) == set(range(N_WORDS))
    wrong = {w: (w + 1) % N_WORDS for w in range(N_WORDS)}
    assert len(held(shows_iv * gain, e_ie, words_ve, wrong)) <= 2
    # It fires everywhere, as latents of places do, and most strongly where the word that names it is shown.
    strongest = {w: np.flatnonzero(shows_iv[:, w])[:16].tolist() for w in range(N_WORDS)}
    values_iv = rng.uniform(0.5, 1, (N_PICTURES, N_WORDS))
    for w, images in strongest.items():
        values_iv[images, w] += 1
    named = {w: w for w in range(N_WORDS)}
    assert len(held(values_iv, e_ie, words_ve, named)) > 30  # its own pictures agree
    assert len(held(values_iv, e_ie, words_ve, named, strongest)) <= 2


def test_names_that_have_nothing_to_do_with_latents_hold_at_the_stated_rate(rng: np.random.Generator) -> None:
    _, e_ie, words_ve = space(rng)
    values_ic, named_c = skewed(rng, 6000), rng.integers(N_WORDS, size=6000)
    z_cv = Judges.of(np.arange(N_PICTURES), e_ie, words_ve).scores(values_ic, NOBODY.repeat(6000, 1))
    is_above_c = (z_cv[range(6000), named_c] > LEAST_Z).numpy()
    assert 0.006 < is_above_c.mean() < 0.016  # 1 % of them, and five deviations
    found = held(values_ic, e_ie, words_ve, dict(enumerate(named_c.tolist())))
    assert 0 < len(found) <= is_above_c.sum() + 2  # embeddings are kept in 16 bits


def test_what_goes_a_little_with_all_words_needs_to_be_among_the_best(rng: np.random.Generator) -> None:
    _, e_ie, words_ve = space(rng)
    values_i1 = (e_ie @ words_ve.mean(0)).numpy()[:, None] + 1
    z_v = Judges.of(np.arange(N_PICTURES), e_ie.half(), words_ve).scores(values_i1, NOBODY)[0]
    assert int((z_v > LEAST_Z).sum()) > 20
    best = set(z_v.argsort(descending=True)[: int(BEST * N_WORDS)].tolist())
    holds = {w for w in range(N_WORDS) if held(values_i1, e_ie, words_ve, {0: w})}
    assert holds == best


def test_the_best_of_few_words_holds(rng: np.random.Generator) -> None:
    shows_iv, e_ie, words_ve = space(rng)
    assert held(shows_iv * 1.0, e_ie, words_ve[:3], {0: 0, 1: 1, 2: 2, 3: 0}) == {0, 1, 2}


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_latents_and_words_that_tell_no_pictures_apart_hold_nothing(rng: np.random.Generator, value: float) -> None:
    _, e_ie, words_ve = space(rng)
    same_ic = np.full((N_PICTURES, 2), value)
    same_ic[5, 1] = 9  # which is its own
    assert held(same_ic, e_ie, words_ve, {0: 0, 1: 3}, {1: [5]}) == set()
    assert held(skewed(rng, 1), e_ie[:1].repeat(N_PICTURES, 1), words_ve, {0: 0}) == set()


def test_latents_are_judged_in_parts(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_iv, e_ie, words_ve = space(rng)
    named = {w: w if w % 3 else (w + 1) % N_WORDS for w in range(N_WORDS)}
    whole = held(shows_iv * 1.0, e_ie, words_ve, named)
    sizes: Iterator[int] = iter([7] * 5 + [5])
    monkeypatch.setattr(elsewhere, "_CELLS", 7 * N_PICTURES)
    scores = Judges.scores

    def counted(self: Judges, values_ic: np.ndarray, is_own_ic: np.ndarray) -> Tensor:
        assert values_ic.shape == is_own_ic.shape == (N_PICTURES, next(sizes))
        return scores(self, values_ic, is_own_ic)

    monkeypatch.setattr(Judges, "scores", counted)
    assert held(shows_iv * 1.0, e_ie, words_ve, named) == whole
    assert next(sizes, None) is None


def test_the_judges_are_some_of_the_pictures_that_were_seen() -> None:
    values = PictureValues(np.array([8, 2, 5, 9]), csc_array((4, 1)))
    assert sorted(values.some({2, 3, 9, 8}, 10, seed=0).tolist()) == [2, 8, 9]
    chosen = [tuple(values.some({2, 3, 9, 8}, 1, seed).tolist()) for seed in range(40)]
    assert set(chosen) == {(2,), (8,), (9,)}
    assert values.some(set(), 10, seed=0).size == values.some({2}, 0, seed=0).size == 0
