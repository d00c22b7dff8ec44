"""Permutation: exact p values, and few false discoveries among many latents."""

from itertools import permutations

import numpy as np
import pytest
from scipy import sparse

from saev.errors import InputError
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.max_t import max_t
from saev.probing.statistics.permutation import mcc_of_labels, p_value, permutation_test
from saev.probing.statistics.scores import mcc

pytestmark = pytest.mark.slow


def test_p_counts_ties_and_is_never_zero() -> None:
    assert p_value(1.0, [0.5, 1.0, 2.0]) == 3 / 4
    assert p_value(3.0, [0.5, 1.0, 2.0]) == 1 / 4
    assert p_value(0.1 + 0.2, [0.3] * 9) == 1  # which differ by rounding


def test_mcc_of_many_labels_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    fires, y, w = rng.random(30) < 0.3, rng.random((20, 30)) < 0.4, rng.random(30)
    y[0], y[1] = True, False
    np.testing.assert_allclose(mcc_of_labels(fires, y), [mcc(fires, row) for row in y], atol=1e-7)
    np.testing.assert_allclose(mcc_of_labels(fires, y, w), [mcc(fires, row, w) for row in y], atol=1e-7)


def test_it_is_the_share_of_all_arrangements() -> None:
    fires, y = np.array([1, 1, 1, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 1, 0, 0])
    all_of_them = [mcc(fires, row) for row in set(permutations(y.tolist()))]
    exact = np.mean(np.array(all_of_them) >= mcc(fires, y) - 1e-9)
    found = permutation_test(fires, Exchange.of(y), 20_000, np.random.default_rng(0))
    assert found.observed == mcc(fires, y)
    assert found.p == pytest.approx(exact, abs=0.01)


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.random.default_rng(0).random(40) < 0.4
    one = permutation_test(y, Exchange.of(y), 300, np.random.default_rng(1))
    monkeypatch.setattr("saev.probing.statistics.permutation.CELLS", 200)
    assert permutation_test(y, Exchange.of(y), 300, np.random.default_rng(1)) == one


def grouped(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Firing, labels, groups and strata without a link within strata, where all three others make one."""
    stratum = np.repeat([0, 1], 30)
    size = rng.integers(1, 6, 60)
    level = rng.normal(size=60) + stratum
    group = np.repeat(np.arange(60), size)
    label = rng.random(60) < 0.3 + 0.4 * stratum
    fires = rng.normal(size=len(group)) * 0.3 + level[group] > 0.7
    return fires, label[group], group, stratum[group]


def test_p_is_uniform_with_groups_and_strata_and_is_not_without() -> None:
    rng = np.random.default_rng(0)
    honest, naive = [], []
    for _ in range(400):
        fires, y, group, stratum = grouped(rng)
        honest.append(permutation_test(fires, Exchange.of(y, group, stratum), 99, rng).p)
        naive.append(permutation_test(fires, Exchange.of(y), 99, rng).p)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(honest) <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 400))
    assert np.mean(np.array(naive) <= 0.05) > 0.4


def test_weights_of_a_sample_by_the_latents_values_leave_it_exact() -> None:
    rng = np.random.default_rng(1)
    fires, w = np.repeat([True, False], 30), np.repeat([1.0, 20.0], 30)
    p = np.array([permutation_test(fires, Exchange.of(rng.random(60) < 0.3), 99, rng, w).p for _ in range(400)])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p <= level) <= level + 3 * np.sqrt(level * (1 - level) / 400)


def test_max_t_equals_its_definition_where_pictures_stand_alone() -> None:
    rng = np.random.default_rng(2)
    a, y = rng.random((30, 6)) * (rng.random((30, 6)) < 0.5), rng.random(30) < 0.5
    a[:, 0] += y
    a[:, 1] = 0.1  # constant
    done: list[int] = []
    found = max_t(sparse.csc_array(a), [Exchange.of(y)] * 6, range(6), None, 400, np.random.default_rng(3), done.append)
    assert done == [1] * 400
    random = np.random.default_rng(3)
    drawn = [np.argsort(np.argsort(random.random(30))) < y.sum() for _ in range(400)]
    varying = [0, 2, 3, 4, 5]
    r = np.abs(np.corrcoef(a[:, varying].T, np.vstack([y, drawn]))[:5, 5:])
    expected = [(1 + (r[:, 1:].max(0) >= own - 1e-9).sum()) / 401 for own in r[:, 0]]
    np.testing.assert_allclose(found[varying], expected)
    assert found[0] < 0.01 and found[1] == 1
    claimed = max_t(sparse.csc_array(a), [Exchange.of(y)] * 2, [0, 0], [1, -1], 400, np.random.default_rng(3))
    assert claimed.tolist() == [found[0], 1]


@pytest.mark.parametrize("is_grouped", [False, True])
def test_max_t_controls_the_chance_of_a_single_false_discovery(is_grouped: bool) -> None:
    rng = np.random.default_rng(4)
    smallest = []
    for _ in range(300):
        fires, y, group, stratum = grouped(rng)
        group_values = rng.gamma(1, 1, (60, 40)) * (rng.random((60, 40)) < rng.uniform(0.05, 0.9, 40))
        a = group_values[group] * rng.uniform(0.5, 1.5, (len(group), 40)) if is_grouped else rng.random((len(y), 40))
        a[:, 0] = fires
        exchange = Exchange.of(y, group, stratum)
        smallest.append(max_t(sparse.csc_array(a), [exchange] * 40, range(40), None, 99, rng).min())
    assert np.mean(np.array(smallest) <= 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 300))


def test_max_t_finds_a_planted_latent_that_its_stratum_hides() -> None:
    """Half of the pictures of one stratum have the label, few of the other; a latent for the stratum is no finding."""
    rng = np.random.default_rng(5)
    stratum = np.repeat([0, 1], 200)
    y = rng.random(400) < np.where(stratum, 0.5, 0.1)
    a = rng.random((400, 50)) * (rng.random((400, 50)) < 0.2)
    a[:, 0] += 0.4 * y
    a[:, 1] += 3 * stratum
    p = max_t(sparse.csc_array(a), [Exchange.of(y, stratum_i=stratum)] * 50, range(50), None, 499, rng)
    assert p[0] == 0.002
    assert p[1:].min() > 0.05


def test_bad_input() -> None:
    exchange = Exchange.of([1, 0, 0])
    with pytest.raises(InputError, match="values are of 2 pictures, and labels of 3"):
        max_t(sparse.csc_array(np.eye(2)), [exchange], [0], None, 9, np.random.default_rng(0))
    with pytest.raises(InputError, match="firing are of shape"):
        permutation_test([1, 0], exchange, 9, np.random.default_rng(0))
