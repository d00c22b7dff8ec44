from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from tests.training.small_options import OPTIONS

from saev.errors import InputError
from saev.nn import HierarchicalTopK, Matryoshka, ReLU, TopK
from saev.training.spec import BYTES_OF_PARAMETER, MODEL_SHARE, n_fitting, sae_specs


def names(sweep: dict[str, Any]) -> list[str]:
    return [spec.name for spec in sae_specs(TopK, 8, OPTIONS, sweep)]


def test_all_combinations_with_names_of_their_own() -> None:
    assert names({"sae.k": [1, 2], "seed": [0, 3]}) == [
        "topk-d_sae16384-k1-seed0",
        "topk-d_sae16384-k1-seed3",
        "topk-d_sae16384-k2-seed0",
        "topk-d_sae16384-k2-seed3",
    ]
    assert names({}) == ["topk-d_sae16384-k32"]


def test_options_reach_the_sae_and_its_training() -> None:
    (spec,) = sae_specs(partial(TopK, d_sae=20, k=2), 8, OPTIONS, {"sae.k": [3], "lr": [0.5], "seed": [7]})
    member = spec.build()
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
        ({"lr": ["a"]}, "lr must be a number, not 'a'"),
        ({"sae.k": ["2"]}, r"sae\.k must be a whole number, not '2'"),
        ({"k_aux": [256.0]}, r"k_aux must be a whole number, not 256\.0"),
        ({"seed": [0.5]}, r"seed must be a whole number, not 0\.5"),
        ({"init": ["datta"]}, "init='datta' must be one of data, random"),
        ({"normalize": ["std"]}, "normalize='std' must be one of scalar, dimension, none"),
        ({"k_start": [0.5]}, "k_start=0.5 is too small"),
        ({"sae.k": [0]}, "k=0 must lie between 1 and d_sae=16384"),
    ],
)
def test_sweeps_that_make_no_sense(sweep: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        names(sweep)


def test_k_cannot_be_annealed_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"k_start=2\.0: ReLU has no k"):
        sae_specs(ReLU, 8, replace(OPTIONS, k_start=2.0), {})


def test_as_many_at_once_as_memory_holds() -> None:
    found = sae_specs(TopK, 8, OPTIONS, {"sae.d_sae": [32, 64, 128]})
    largest = max(spec.n_parameters for spec in found)
    assert largest == 2 * 8 * 128 + 128 + 8
    need = int(largest * BYTES_OF_PARAMETER / MODEL_SHARE) + 1
    assert [n_fitting(found, n) for n in (0, need - 10, 2 * need, 100 * need)] == [0, 0, 2, 3]


def test_names_that_cannot_be_directories() -> None:
    with pytest.raises(InputError, match="per='a/b' must be token or batch"):
        sae_specs(Matryoshka, 8, OPTIONS, {"sae.per": ["a/b"]})
    with pytest.raises(InputError, match="l1='x' must be plain or weighted"):
        sae_specs(ReLU, 8, OPTIONS, {"sae.l1": ["x"]})
    (long,) = sae_specs(partial(HierarchicalTopK, budgets=list(range(1, 100))), 8, OPTIONS, {"sae.k": [100]})
    assert len(long.name) < 100


def test_dead_latents_are_not_looked_for_too_early() -> None:
    assert OPTIONS.dead_window(50, 100) == 1000
    assert OPTIONS.dead_window(1000, 100) == 5000
    restarting = replace(OPTIONS, restarts=10)
    assert [step for step in range(50) if restarting.restarts_at(step, 50)] == [20]
    assert [step for step in range(400) if restarting.restarts_at(step, 400)] == [40, 80, 120, 160, 200, 240]


def test_a_build_leaves_generators_of_the_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.random.get_rng_state()
    (spec,) = sae_specs(TopK, 8, OPTIONS, {"sae.d_sae": [20], "sae.k": [3]})
    spec.build()
    assert not seeded and torch.equal(torch.random.get_rng_state(), before)
