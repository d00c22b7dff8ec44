"""The training step of `SAELightningModule`, looked at from inside."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from tests.cli.fitting import sparse_acts
from tests.conftest import MakeShards
from tests.modules.trainers import small_topk, trainer
from torch import Tensor
from typing_extensions import override

from saev.callbacks.sweep_report import SweepReport
from saev.datamodules import ShardDataModule
from saev.errors import InputError
from saev.modules import SAELightningModule


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0]


def data(shards: Path, n_steps: int = 10) -> ShardDataModule:
    return ShardDataModule(shards, batch_size=64, n_tokens=64 * n_steps)


class Gradients(lightning.Callback):
    """Keeps what the optimizer sees."""

    def __init__(self) -> None:
        self.dots: list[Tensor] = []
        self.norms: list[Tensor] = []

    @override
    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        parameters = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        self.norms.append(torch.cat([grad.flatten() for grad in parameters]).norm())


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_the_parallel_gradient_is_removed_before_clipping(
    shards: Path, clip: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Gradients()
    module = SAELightningModule(small_topk, d_in=16)
    step = torch.optim.Adam.step

    def look(optimizer: torch.optim.Adam, closure: Any = None) -> Any:
        def looking() -> Any:
            loss = closure()
            grad = module.members[0].sae.W_dec.grad
            assert grad is not None
            seen.dots.append(
                ((grad * module.members[0].sae.W_dec).sum(-1).abs() / grad.norm(dim=-1).clamp_min(1e-12)).max()
            )
            return loss

        return step(optimizer, looking)

    monkeypatch.setattr(torch.optim.Adam, "step", look)
    trainer(seen, gradient_clip_val=clip).fit(module, data(shards))
    assert len(seen.dots) == 10
    assert torch.stack(seen.dots).max() < 1e-5
    if clip is not None:
        # Were the parallel part removed after clipping, the norm would lie below the bound.
        torch.testing.assert_close(torch.stack(seen.norms), torch.full((10,), clip), rtol=1e-3, atol=0)


def test_rows_have_norm_one_after_every_step(shards: Path) -> None:
    norms: list[Tensor] = []

    class Look(lightning.Callback):
        @override
        def on_train_batch_end(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *args: Any, **kwargs: Any
        ) -> None:
            assert isinstance(pl_module, SAELightningModule)
            norms.append(pl_module.members[0].sae.W_dec.detach().norm(dim=-1))

    trainer(Look()).fit(SAELightningModule(small_topk, d_in=16), data(shards))
    assert len(norms) == 10
    assert (torch.stack(norms) - 1).abs().max() < 1e-6


def test_normalisation_comes_from_the_data(shards: Path) -> None:
    module, module_data = SAELightningModule(small_topk, d_in=16, lr=1e-12), data(shards, 1)
    trainer().fit(module, module_data)
    x = module_data.sample(10**9)
    torch.testing.assert_close(module.members[0].sae.mean_d, x.mean(0))
    torch.testing.assert_close(module.members[0].sae.scale_d, (x - x.mean(0)).square().mean().sqrt().expand(16))


def test_silence_counts_tokens_since_a_latent_fired(shards: Path) -> None:
    module = SAELightningModule(small_topk, d_in=16, lr=1e-12, decay=0, warmup=0)
    module_data = ShardDataModule(shards, batch_size=4, n_tokens=24)
    trainer().fit(module, module_data)
    expected = torch.zeros(48, dtype=torch.int64)
    for x_bd in ShardDataModule(shards, batch_size=4, n_tokens=24).train_dataloader():
        fired = (module.members[0].sae.encode(x_bd) > 0).any(0)
        expected = torch.where(fired, 0, expected + 4)
    assert torch.equal(module.members[0].silent_tokens_s, expected)
    assert expected.unique().numel() > 3


def test_the_learning_rate_rises_and_falls(shards: Path) -> None:
    rates: list[float] = []

    class Look(lightning.Callback):
        @override
        def on_before_optimizer_step(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
        ) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

    trainer(Look()).fit(SAELightningModule(small_topk, d_in=16, lr=1.0, warmup=0.2, decay=0.4), data(shards))
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (
        SAELightningModule(small_topk, d_in=16, seed=seed).members[0].sae.W_dec for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"warmup": -0.1}, {"auxk_coeff": -1.0}, {"k_aux": 0}])
def test_numbers_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}=.* is too small"):
        SAELightningModule(small_topk, d_in=16, **wrong)  # type: ignore[arg-type]


def test_an_sae_that_is_given_up_after_a_validation(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = SAELightningModule(small_topk, d_in=16, sweep={"seed": [0, 1, 2]})

    class Fail(lightning.Callback):
        @override
        def on_train_batch_start(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Tensor, batch_idx: int
        ) -> None:
            # One before the second validation, one after it.
            for at, number in ((6, 1), (9, 2)):
                if batch_idx == at:
                    module.training_run.members[number].failed.fill_(True)
                    module.training_run.members[number].forget()

    report = SweepReport(write=False)
    trainer(Fail(), report, val_check_interval=4).fit(module, data(shards))
    assert not report.faults and module.results.keys() == {module.names[0], module.names[2]}
    printed = capsys.readouterr().err
    assert module.names[0] in printed and module.names[1] not in printed and module.names[2] not in printed
