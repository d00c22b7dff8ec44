"""Numbers of pictures against the rule of thumb and a simulation."""

import numpy as np
import pytest

from saev.errors import InputError
from saev.probing.statistics.verdict import n_needed


@pytest.mark.parametrize("r", [0.05, 0.14, 0.28])
def test_it_is_about_the_rule_of_thumb(r: float) -> None:
    assert n_needed(r) == pytest.approx((2.8 / r) ** 2, rel=0.03)
    assert n_needed(-r) == n_needed(r)


def test_that_many_pictures_find_it_in_80_percent() -> None:
    rng = np.random.default_rng(0)
    n = n_needed(0.4)
    x = rng.normal(size=(4000, n))
    y = 0.4 * x + np.sqrt(1 - 0.16) * rng.normal(size=x.shape)
    r = np.array([np.corrcoef(one, other)[0, 1] for one, other in zip(x, y, strict=True)])
    assert np.mean(np.abs(np.arctanh(r)) * np.sqrt(n - 3) > 1.96) == pytest.approx(0.8, abs=0.02)


def test_other_bounds() -> None:
    assert n_needed(0.15, against=0.2) == n_needed(0.2, against=0.15) > n_needed(0.1, against=0.2)
    assert n_needed(0.99) == 5
    assert n_needed(0.3, power=0.95) > n_needed(0.3) > n_needed(0.3, alpha=0.2)


@pytest.mark.parametrize("given", [(1.0,), (0.2, 1.0), (0.2, 0.8, 0.0), (0.2, 0.8, 0.05, -1.0)])
def test_bad_input(given: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        n_needed(*given)
    with pytest.raises(InputError, match="from itself"):
        n_needed(0.2, against=0.2)
