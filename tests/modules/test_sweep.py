from functools import partial
from typing import Any

import pytest
from tests.modules.small_options import OPTIONS

from saev.errors import InputError
from saev.modules import SAELightningModule
from saev.modules.sweep import BYTES_OF_PARAMETER, MODEL_SHARE, fitting, recipes
from saev.nn import ReLU, TopK


def names(sweep: dict[str, Any]) -> list[str]:
    return [recipe.name for recipe in recipes(TopK, 8, OPTIONS, sweep)]


def test_all_combinations_with_names_of_their_own() -> None:
    assert names({"sae.k": [1, 2], "seed": [0, 3]}) == [
        "topk-d_sae16384-k1-seed0",
        "topk-d_sae16384-k1-seed3",
        "topk-d_sae16384-k2-seed0",
        "topk-d_sae16384-k2-seed3",
    ]
    assert names({}) == ["topk-d_sae16384-k32"]


def test_options_reach_the_sae_and_its_training() -> None:
    module = SAELightningModule(
        partial(TopK, d_sae=20, k=2),
        d_in=8,
        sweep={"sae.k": [3], "lr": [0.5], "seed": [7]},
    )
    (member,) = module._members
    assert (member.sae.options(), member.options.lr, member.options.seed) == ({"d_sae": 20, "k": 3}, 0.5, 7)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"sae.q": [1]}, "the SAE has no option 'q'; it has d_sae, k"),
        ({"q": [1]}, "there is no option 'q' to sweep over; there are sae.OPTION, lr, "),
        ({"lr": []}, r"lr needs a list of values, not \[\]"),
        ({"lr": 0.1}, "lr needs a list of values, not 0.1"),
        ({"lr": [0.1, 0.1]}, r"lr has a value twice in \[0.1, 0.1\]"),
        ({"lr": [-1.0]}, "lr=-1.0 is too small"),
        ({"sae.k": [0]}, "k=0 must lie between 1 and d_sae=16384"),
    ],
)
def test_sweeps_that_make_no_sense(sweep: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        names(sweep)


def test_k_cannot_be_annealed_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"k_start=2\.0: ReLU has no k"):
        recipes(ReLU, 8, OPTIONS.replaced({"k_start": 2.0}), {})


def test_as_many_at_once_as_memory_holds() -> None:
    found = recipes(TopK, 8, OPTIONS, {"sae.d_sae": [32, 64, 128]})
    largest = max(recipe.n_parameters for recipe in found)
    assert largest == 2 * 8 * 128 + 128 + 8
    need = int(largest * BYTES_OF_PARAMETER / MODEL_SHARE) + 1
    assert [fitting(found, n) for n in (0, need - 10, 2 * need, 100 * need)] == [1, 1, 2, 3]


def test_parts_hold_each_sae_once() -> None:
    module = SAELightningModule(partial(TopK, d_sae=20), d_in=8, sweep={"sae.k": [1, 2, 3, 4, 5]}, at_once=2)
    assert module.n_parts == 3
    seen = []
    for part in range(3):
        module.begin(part)
        seen.append([sae.options()["k"] for sae in module.saes.values()])
    assert seen == [[1, 2], [3, 4], [5]]
