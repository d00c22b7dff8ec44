"""The learning rates that an architecture has of its own."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from saev.nn import BatchTopK, Gated, Matryoshka, TopK
from saev.training.fit import JointTraining
from saev.training.options import TrainingOptions
from saev.training.spec import sae_specs
from saev.training.state import SaeInTraining

OPTIONS = TrainingOptions()


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
    specs = sae_specs(partial(architecture, d_sae=16, k=2), 8, TrainingOptions(lr=given), sweep)
    assert [spec.options.lr for spec in specs] == expected


def test_parameters_learn_at_multiples_of_the_learning_rate() -> None:
    members = [
        SaeInTraining("topk", TopK(64, 16, k=2), OPTIONS),
        SaeInTraining("batch", BatchTopK(64, 16, k=2), OPTIONS),
        SaeInTraining("gated", Gated(64, 16), replace(OPTIONS, lr=1e-3)),
    ]
    training = JointTraining(members)
    optimizer = training.optimizer()
    schedule = training.scheduler(optimizer, 100)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == sum(len(one.trained) for one in members)
    names = {parameter: f"{one.name}.{name}" for one in members for name, parameter in one.sae.named_parameters()}
    for step in range(100):
        rates = {names[p]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
        for one, multipliers in zip(members, ({"W_enc": 0.4}, {"W_enc": 0.6}, {"b_enc": 4, "b_mag": 4}), strict=True):
            lr = one.options.peak_lr * one.options.lr_factor(step, 100)
            for name, _ in one.sae.named_parameters():
                assert rates[f"{one.name}.{name}"] == pytest.approx(multipliers.get(name, 1) * lr)
        optimizer.step()
        schedule.step()
