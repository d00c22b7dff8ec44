"""The learning rates that an architecture has of its own."""

from functools import partial
from typing import Any

import pytest

from saev.modules import SAELightningModule
from saev.nn import BatchTopK, Gated, Matryoshka, TopK
from saev.training.options import TrainingOptions
from saev.training.state import Member, adam, scheduled

OPTIONS: TrainingOptions = SAELightningModule(d_in=8).recipes[0].options


@pytest.mark.parametrize(
    ("architecture", "given", "sweep", "expected"),
    [
        (Matryoshka, None, {}, [4e-3]),
        (TopK, None, {}, [8e-3]),
        (TopK, 1e-3, {}, [1e-3]),
        (TopK, None, {"sae.k": [2, 4]}, [8e-3, 8e-3]),
        (TopK, None, {"lr": [1e-3, 2e-3]}, [1e-3, 2e-3]),
    ],
)
def test_the_architecture_has_its_own_unless_another_is_given(
    architecture: type[TopK | Matryoshka], given: float | None, sweep: dict[str, list[Any]], expected: list[float]
) -> None:
    module = SAELightningModule(partial(architecture, d_sae=16, k=2), 8, given, sweep=sweep)
    rates = [recipe.options.lr for recipe in module.recipes]
    assert rates == expected


def test_parameters_learn_at_their_own_paces() -> None:
    members = [
        Member("topk", TopK(64, 16, k=2), OPTIONS),
        Member("batch", BatchTopK(64, 16, k=2), OPTIONS),
        Member("gated", Gated(64, 16), OPTIONS.replaced({"lr": 1e-3})),
    ]
    optimizer = adam(members)
    schedule = scheduled(optimizer, members, 100)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == sum(len(one.trained) for one in members)
    names = {parameter: f"{one.name}.{name}" for one in members for name, parameter in one.sae.named_parameters()}
    for step in range(100):
        rates = {names[p]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
        for one, paces in zip(members, ({"W_enc": 0.4}, {"W_enc": 0.6}, {"b_enc": 4, "b_mag": 4}), strict=True):
            lr = one.options.lr * one.options.lr_factor(step, 100)
            for name, _ in one.sae.named_parameters():
                assert rates[f"{one.name}.{name}"] == pytest.approx(paces.get(name, 1) * lr)
        optimizer.step()
        schedule.step()
