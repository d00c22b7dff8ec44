"""SAEs that `fit` trains together."""

from functools import partial

import pytest
import torch
from tests.cli.fitting import sparse_acts
from torch import Tensor

from saev.errors import InputError
from saev.nn import ARCHITECTURES, TopK
from saev.training.fit import fit
from saev.training.options import TrainingOptions
from saev.training.spec import SaeSpec, sae_specs

OPTIONS = TrainingOptions(dead_after=100)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return sparse_acts(100, 4).flatten(0, 1)


def trained_alike(specs: list[SaeSpec], x: Tensor, n_steps: int) -> None:
    """Each of the SAEs that are trained together becomes what it becomes alone."""
    batches = x.split(40) * (n_steps // 10)
    together, alone = ([spec.build() for spec in specs] for _ in range(2))
    fit(together, batches, n_steps, lambda n: x[:n], clip=0.5)
    for member, one in zip(together, alone, strict=True):
        fit([one], batches, n_steps, lambda n: x[:n], clip=0.5)
        for name, tensor in one.state_dict().items():
            assert torch.equal(member.state_dict()[name], tensor), name


@pytest.mark.parametrize("architecture", ["BatchTopK", "JumpReLU", "Matryoshka", "ReLU", "TopK"])
def test_a_sweep_of_training_options_equals_the_saes_alone(x: Tensor, architecture: str) -> None:
    sae = partial(ARCHITECTURES[architecture], d_sae=48)
    specs = sae_specs(sae, 16, OPTIONS, {"seed": [0, 1], "lr": [1e-3, 3e-3]})
    trained_alike([specs[0], specs[3]], x, 80)  # which differ in both


def test_a_sweep_of_sae_options_equals_the_saes_alone(x: Tensor) -> None:
    trained_alike(sae_specs(TopK, 16, OPTIONS, {"sae.d_sae": [48, 64], "sae.k": [2, 4]}), x, 10)


def test_batches_that_end_early(x: Tensor) -> None:
    (spec,) = sae_specs(partial(TopK, d_sae=48, k=2), 16, OPTIONS, {})
    with pytest.raises(InputError, match="the batches end after 3 of 10 steps: give more tokens, or a lower n_tokens"):
        fit([spec.build()], x.split(40)[:3], 10, lambda n: x[:n])
