"""Scores of words and their calibration, against brute force and on planted words."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import layer_norm, normalize

from saev.latents.naming import calibration, evidence
from saev.latents.naming.calibration import BestWords, Pool, best_words, calibrated, shuffled_tops
from saev.latents.naming.directions import direction_words, projected
from saev.latents.naming.evidence import MEMBERSHIPS, SCALE, TopCrops, evidence_chunks, odds
from saev.latents.naming.name_latents import FALSE_NAMES
from saev.latents.naming.words import EmbeddedWords

N_CROPS = 8


def unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pool_of(pictures: np.ndarray) -> Pool:
    """Each crop once, of these pictures."""
    return Pool(np.arange(len(pictures)), pictures)


def tops_of(crops_lk: np.ndarray, values_lk: np.ndarray | None = None) -> TopCrops:
    values_lk = np.linspace(2, 1, crops_lk.shape[1])[None].repeat(len(crops_lk), 0) if values_lk is None else values_lk
    return TopCrops(torch.from_numpy(crops_lk), torch.from_numpy(np.stack([odds(row) for row in values_lk])))


def random_tops(n_latents: int, n_crops: int, rng: np.random.Generator) -> TopCrops:
    return tops_of(np.stack([rng.choice(n_crops, N_CROPS, replace=False) for _ in range(n_latents)]))


def test_evidence_is_the_equation_but_for_a_constant_of_the_latent() -> None:
    crops_ne, words_ve = unit(9, 5), unit(4, 5, seed=1)
    crops_lk = np.array([[0, 3, 5], [8, 1, 0]])
    values_lk = np.array([[4.0, 2.0, 1.0], [3.0, 3.0, 0.3]])
    (found_lv,) = evidence_chunks(crops_ne, words_ve, tops_of(crops_lk, values_lk))
    for latent in range(2):
        expected_v = []
        for word in range(4):
            total = 0.0
            for crop, value in zip(crops_lk[latent], values_lk[latent], strict=True):
                exps = [math.exp(SCALE * float(crops_ne[crop] @ words_ve[w])) for w in range(4)]
                m = MEMBERSHIPS[0] + (MEMBERSHIPS[1] - MEMBERSHIPS[0]) * value / values_lk[latent].max()
                total += math.log(1 + m * (exps[word] / sum(exps) - 1)) - math.log(1 - m)
            expected_v.append(total)
        assert found_lv[latent].tolist() == pytest.approx(expected_v, rel=1e-5)


def test_chunks_hold_the_bound_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crops_ne, words_ve = unit(50, 8), unit(30, 8, seed=1)
    tops = random_tops(41, 50, np.random.default_rng(0))
    whole = torch.cat(list(evidence_chunks(crops_ne, words_ve, tops)))
    monkeypatch.setattr(evidence, "PROBABILITY_BYTES", 4 * 30 * N_CROPS * 4)
    chunks = list(evidence_chunks(crops_ne, words_ve, tops))
    assert max(len(chunk) for chunk in chunks) == 4
    assert torch.allclose(torch.cat(chunks), whole, rtol=1e-5)


@given(pictures=st.lists(st.integers(0, 6), min_size=1, max_size=40), data=st.data(), seed=st.integers(0, 1000))
def test_shuffled_latents_have_crops_of_different_pictures_and_odds_of_real_ones(
    pictures: list[int], data: st.DataObject, seed: int
) -> None:
    pictures_n = np.array(pictures)
    n_crops = data.draw(st.integers(1, len(set(pictures))))
    real = tops_of(np.zeros((3, n_crops), dtype=np.int64), np.random.default_rng(seed).uniform(1, 2, (3, n_crops)))
    shuffled = shuffled_tops(pool_of(pictures_n), real, 5, np.random.default_rng(seed))
    assert shuffled.crops_lk.shape == shuffled.odds_lk.shape == (5, n_crops)
    for crops_k, odds_k in zip(shuffled.crops_lk.numpy(), shuffled.odds_lk, strict=True):
        assert len(set(pictures_n[crops_k])) == n_crops
        assert any(torch.equal(odds_k, row) for row in real.odds_lk)


def test_shuffled_latents_draw_all_crops_alike() -> None:
    rng = np.random.default_rng(0)
    shuffled = shuffled_tops(pool_of(np.arange(20)), random_tops(4, 20, rng), 4000, rng)
    counts = np.bincount(shuffled.crops_lk.flatten().numpy(), minlength=20)
    assert abs(counts / 4000 - N_CROPS / 20).max() < 0.04  # five deviations
    assert abs((shuffled.crops_lk[:, 0].numpy() < 10).mean() - 0.5) < 0.04


def test_crops_of_several_latents_are_drawn_more_often() -> None:
    rng = np.random.default_rng(0)
    pool = Pool(np.array([0, 1, 1, 1, 2]), np.array([5, 6, 6, 6, 7]))
    one = tops_of(np.zeros((1, 1), dtype=np.int64), np.ones((1, 1)))
    counts = np.bincount(shuffled_tops(pool, one, 3000, rng).crops_lk[:, 0].numpy())
    assert counts / 3000 == pytest.approx([0.2, 0.6, 0.2], abs=0.05)


def test_z_and_p_are_what_brute_force_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    real_lv, first_rv, second_rv = (rng.normal(0.3, 2, (n, 7)) + np.arange(7) for n in (5, 60, 60))
    real_lv[0, 4] += 9
    sets: Iterator[np.ndarray] = iter([first_rv, second_rv])
    found = calibrated(
        iter(torch.from_numpy(real_lv).split(2)), lambda: iter(torch.from_numpy(next(sets)).split([7, 1, 30, 22]))
    )
    z_lv = (real_lv - first_rv.mean(0)) / first_rv.std(0, ddof=1)
    highest_r = ((second_rv - first_rv.mean(0)) / first_rv.std(0, ddof=1)).max(1)
    order_lb = np.argsort(-z_lv, axis=1)[:, :5]
    assert found.words_lb.tolist() == order_lb.tolist()
    assert np.allclose(found.z_lb, np.take_along_axis(z_lv, order_lb, 1))
    assert found.p_l.tolist() == pytest.approx([(1 + (highest_r >= z).sum()) / 61 for z in z_lv.max(1)])
    assert found.words_lb[0, 0] == 4


def test_a_score_that_shuffled_latents_just_reach_counts_as_reached() -> None:
    scores = torch.tensor([[1.0, 2.0]])
    found = calibrated(iter([scores]), lambda: iter([torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.5, 1.0]])]))
    assert found.p_l.tolist() == [0.5]


def planted(share: float, n_latents: int = 60, n_words: int = 200) -> tuple[Tensor, Pool, Tensor, TopCrops]:
    """Crops near one word each; of a latent's crops this share is near the latent's word, which is its number."""
    rng = np.random.default_rng(1)
    words_ve = unit(n_words, 64)
    word_n = np.arange(3000) % n_words
    crops_ne = normalize(words_ve[word_n] + 2.0 * unit(3000, 64, seed=2) + 3.0 * unit(1, 64, seed=3), dim=-1)
    n_near = round(share * N_CROPS)
    crops_lk = [
        np.concatenate(
            [
                rng.choice(np.flatnonzero(word_n == latent), n_near, replace=False),
                rng.choice(np.flatnonzero(word_n != latent), N_CROPS - n_near, replace=False),
            ]
        )[rng.permutation(N_CROPS)]
        for latent in range(n_latents)
    ]
    return crops_ne.half(), pool_of(np.arange(3000)), words_ve, tops_of(np.stack(crops_lk))


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_planted_words_are_found(share: float) -> None:
    crops_ne, pool, words_ve, tops = planted(share)
    found = best_words(crops_ne, pool, words_ve, tops, np.random.default_rng(0))
    right = found.words_lb[:, 0] == torch.arange(60)
    assert (right & (found.p_l <= FALSE_NAMES)).float().mean() > 0.95


def test_meaningless_latents_get_a_name_at_the_stated_rate() -> None:
    crops_ne, pool, words_ve, _ = planted(1.0)
    tops = random_tops(4000, 3000, np.random.default_rng(7))
    p_l = best_words(crops_ne, pool, words_ve, tops, np.random.default_rng(0)).p_l
    # The threshold comes from 1,000 shuffled latents: its own deviation is 0.3 %, that of 4,000 latents 0.16 %.
    assert 0.002 < (p_l <= FALSE_NAMES).float().mean() < 0.022
    assert abs(float((p_l <= 0.5).float().mean()) - 0.5) < 0.07


def test_the_rate_holds_where_few_pictures_repeat_and_one_word_fits_all() -> None:
    rng = np.random.default_rng(5)
    words_ve = unit(40, 16)
    crops_ne = normalize(3 * words_ve[0] + unit(120, 16, seed=4), dim=-1)
    pool = pool_of(np.arange(120) // 4)
    shuffled = shuffled_tops(pool, random_tops(1, 120, rng), 2000, rng)
    p_l = best_words(crops_ne, pool, words_ve, shuffled, rng).p_l
    assert (p_l <= FALSE_NAMES).float().mean() < 0.022


def test_crops_that_are_all_alike_name_nothing() -> None:
    crops_ne = unit(1, 8).repeat(30, 1).half()
    tops = random_tops(6, 30, np.random.default_rng(0))
    tops = TopCrops(tops.crops_lk, torch.full_like(tops.odds_lk, 40.0))
    found = best_words(crops_ne, pool_of(np.arange(30)), unit(12, 8, seed=1), tops, np.random.default_rng(0))
    assert (found.p_l == 1).all()
    assert (found.z_lb == 0).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_the_order_of_words_and_the_unit_of_values_do_not_matter(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    crops_ne, words_ve = unit(40, 8, seed=seed), unit(9, 8, seed=seed + 1)
    crops_lk, values_lk = rng.integers(40, size=(5, 3)), rng.uniform(1, 5, (5, 3))
    order = rng.permutation(9)

    def best(words: Tensor, values: np.ndarray) -> BestWords:
        return best_words(crops_ne, pool_of(np.arange(40)), words, tops_of(crops_lk, values), np.random.default_rng(0))

    plain, changed = best(words_ve, values_lk), best(words_ve[order], values_lk * factor)
    assert torch.allclose(plain.z_lb, changed.z_lb, atol=1e-3)
    assert torch.allclose(plain.p_l, changed.p_l, atol=0.002)
    assert order[changed.words_lb[:, 0]].tolist() == plain.words_lb[:, 0].tolist()


def test_two_words_are_enough_and_fewer_than_five_are_all_given() -> None:
    crops_ne, words_ve = unit(40, 8), unit(2, 8, seed=1)
    tops = random_tops(5, 40, np.random.default_rng(0))
    assert best_words(crops_ne, pool_of(np.arange(40)), words_ve, tops, np.random.default_rng(0)).words_lb.shape == (
        5,
        2,
    )


def test_a_projected_direction_is_where_the_embedding_moves() -> None:
    torch.manual_seed(0)
    x_d, bias_d, ln_d = torch.randn(12).double(), torch.randn(12).double(), torch.rand(12).double() + 0.5
    projection_de = torch.randn(12, 7).double()

    def embedding(x: Tensor) -> Tensor:
        return layer_norm(x, (12,), ln_d, bias_d) @ projection_de

    x_hat_d = layer_norm(x_d, (12,))
    w_d = torch.randn(12).double()
    w_d = w_d - x_hat_d * (w_d @ x_hat_d) / (x_hat_d @ x_hat_d)  # else the norm's own change takes part
    moved_e = embedding(x_d + 1e-5 * w_d) - embedding(x_d - 1e-5 * w_d)
    found_e = projected(w_d[None], ln_d, projection_de)[0].double()
    assert torch.allclose(normalize(found_e, dim=0), normalize(moved_e, dim=0), atol=1e-4)


def test_words_are_found_by_decoder_directions_and_mixtures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    ln_d, projection_de = torch.rand(48, generator=generator) + 0.5, torch.randn(48, 32, generator=generator)
    words_ve = normalize(unit(100, 32) + 2 * unit(1, 32, seed=9), dim=-1)
    words = EmbeddedWords(tuple(map(str, range(100))), words_ve)
    centred_ve = words_ve - words_ve.mean(0)
    W_dec_sd = torch.randn(300, 48, generator=generator)
    W_dec_sd[:20] = (centred_ve[:20] @ torch.linalg.pinv(projection_de)) / ln_d * 30
    found = direction_words(W_dec_sd, ln_d, projection_de, words, range(300))
    named = found.p_l <= FALSE_NAMES
    assert named[:20].all()
    assert found.words_lb[:20, 0].tolist() == list(range(20))
    assert named[20:].float().mean() < 0.04
    monkeypatch.setattr("saev.metrics.neighbours.COSINE_BYTES", 4 * 100 * 7)
    assert torch.allclose(direction_words(W_dec_sd, ln_d, projection_de, words, [3, 250]).p_l, found.p_l[[3, 250]])


def test_the_draws_are_fixed_by_the_seed_and_their_number_is_stated() -> None:
    crops_ne, pool, words_ve, tops = planted(0.5, n_latents=4)
    p_l = [best_words(crops_ne, pool, words_ve, tops, np.random.default_rng(3)).p_l for _ in range(2)]
    assert torch.equal(*p_l)
    assert p_l[0].min() >= 1 / (calibration.N_SHUFFLED + 1) - 1e-7
