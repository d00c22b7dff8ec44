"""What is compared with the truth, against its definition."""

import numpy as np
import pytest
from scipy.sparse import csc_array
from sklearn.metrics import average_precision_score

from saev.demo.figures import Figure, table
from saev.demo.truth import above_chance, average_precisions, best_units, right_by_chance, right_names

rng = np.random.default_rng(0)


def values(n_scenes: int, n_units: int) -> np.ndarray:
    """Mostly 0, as codes are."""
    return rng.random((n_scenes, n_units)) * (rng.random((n_scenes, n_units)) < 0.3)


def test_average_precision_is_that_of_scikit_learn() -> None:
    x_iu, y_ij = values(80, 6), (rng.random((80, 4)) < [0.1, 0.3, 0.5, 0.9]).astype(np.int8)
    expected = [[average_precision_score(y_ij[:, j], x_iu[:, u]) for j in range(4)] for u in range(6)]
    np.testing.assert_allclose(average_precisions(csc_array(x_iu), y_ij), expected, rtol=1e-6)
    np.testing.assert_allclose(average_precisions(x_iu - 0.2, y_ij)[:, 2].argmax(), np.array(expected)[:, 2].argmax())


def test_a_unit_is_chosen_on_some_scenes_and_judged_on_others() -> None:
    y_ij, other_y_ij = ((rng.random((60, 3)) < 0.3).astype(np.int8) for _ in range(2))
    x_iu, other_iu = values(60, 8), values(60, 8)
    x_iu[:, 5] = y_ij[:, 1]  # it stands for value 1 here, and not there
    x_iu[:, 2], other_iu[:, 2] = y_ij[:, 0] * 2, other_y_ij[:, 0] * 2
    found = best_units(x_iu, y_ij, other_iu, other_y_ij)
    chosen = [max(range(8), key=lambda u: average_precision_score(y_ij[:, j], x_iu[:, u])) for j in range(3)]
    assert found.unit_j.tolist() == chosen
    assert chosen[:2] == [2, 5]
    expected = [average_precision_score(other_y_ij[:, j], other_iu[:, u]) for j, u in enumerate(chosen)]
    np.testing.assert_allclose(found.ap_j, expected, rtol=1e-6)
    assert found.n_good == 1


def test_a_name_is_right_if_nothing_else_fits_much_better() -> None:
    y_ij = np.zeros((10, 3), np.int8)
    y_ij[:5, 0] = y_ij[:2, 1] = y_ij[9, 2] = 1
    ap_uj = np.array([[0.95, 0.9, 0.1], [0.9, 0.3, 0.95], [0.5, 0.2, 0.1]])
    np.testing.assert_allclose(above_chance(ap_uj, y_ij)[0], [0.9, 0.875, 0.0])
    assert right_names({0: 0, 1: 0, 2: 1}, ap_uj, y_ij) == {0: True, 1: False, 2: False}
    assert right_names({0: 1, 1: 2}, ap_uj, y_ij) == {0: True, 1: True}
    assert right_names({0: 2}, ap_uj, y_ij) == {0: False}


def test_a_latent_that_stands_for_nothing_has_no_right_name() -> None:
    y_ij = np.tile(np.eye(4, dtype=np.int8), (5, 1))  # each value on a quarter of the scenes
    ap_uj = np.array([[0.25, 0.3, 0.2, 0.25], [0.25, 0.45, 0.4, 0.25]])
    assert right_names({0: 1, 1: 1}, ap_uj, y_ij) == {0: False, 1: True}
    assert right_names({0: 2, 1: 2}, ap_uj, y_ij) == {0: False, 1: True}


def test_names_that_are_dealt_out_at_random_are_right_as_often_as_chance_has_it() -> None:
    y_ij = np.tile(np.eye(4, dtype=np.int8), (5, 1))
    named = {latent: latent % 4 for latent in range(40)}
    ap_uj = np.where(np.arange(40)[:, None] % 4 == np.arange(4), 0.9, 0.25)
    assert all(right_names(named, ap_uj, y_ij).values())
    assert abs(right_by_chance(named, ap_uj, y_ij, 0) - 0.25) < 0.03
    assert right_by_chance(dict.fromkeys(range(4), 0), ap_uj, y_ij, 0) == 0.25  # one name for all is no merit
    assert right_by_chance({}, ap_uj, y_ij, 0) == 0.0


def test_a_value_that_no_scene_has_is_passed_over() -> None:
    y_ij = np.array([[1, 0], [0, 0], [1, 0]], np.int8)
    assert np.isnan(average_precisions(np.eye(3), y_ij)[:, 1]).all()
    assert right_names({0: 1}, average_precisions(np.eye(3), y_ij), y_ij) == {0: False}


@pytest.mark.parametrize(("is_met", "word"), [(True, ""), (False, "missed")])
def test_the_table_says_what_is_missed(is_met: bool, word: str) -> None:
    head, row = table([Figure("dead latents", "<= 10 %", "11 %", is_met, {"untrained ViT": "3 %"})])
    assert row[head.index("found") :].split() == ["11", "%", *([word] if word else []), "3", "%"]
    assert row.index("3 %") == head.index("untrained ViT")
