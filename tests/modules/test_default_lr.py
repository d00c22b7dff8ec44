"""The learning rate that an architecture has of its own."""

from functools import partial
from typing import Any

import pytest

from saev.modules import SAELightningModule
from saev.nn import Matryoshka, TopK


@pytest.mark.parametrize(
    ("architecture", "given", "sweep", "expected"),
    [
        (TopK, None, {}, [4e-3]),
        (Matryoshka, None, {}, [2.5e-3]),
        (Matryoshka, 1e-3, {}, [1e-3]),
        (Matryoshka, None, {"sae.k": [2, 4]}, [2.5e-3, 2.5e-3]),
        (Matryoshka, None, {"lr": [1e-3, 2e-3]}, [1e-3, 2e-3]),
    ],
)
def test_the_architecture_has_its_own_unless_another_is_given(
    architecture: type[TopK | Matryoshka], given: float | None, sweep: dict[str, list[Any]], expected: list[float]
) -> None:
    module = SAELightningModule(partial(architecture, d_sae=16, k=2), 8, given, sweep=sweep)
    rates = [recipe.options.lr for recipe in module.recipes]
    assert rates == expected
