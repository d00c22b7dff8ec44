"""The training step of `SAELightningModule`, looked at from inside."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from tests.cli.fitting import sparse_acts
from tests.conftest import MakeShards
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import override

import saev
from saev.callbacks.sae_exporter import SAEExporter
from saev.callbacks.sweep_report import SweepReport
from saev.datamodules import ShardDataModule
from saev.errors import InputError
from saev.modules import EvaluationModule, SAELightningModule
from saev.nn import SparseAutoencoder, TopK
from saev.training.evaluation import evaluated
from saev.training.fit import fit
from saev.training.options import TrainingOptions
from saev.training.spec import sae_specs


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0]


def trainer(*callbacks: lightning.Callback, **options: Any) -> lightning.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return lightning.Trainer(**(defaults | options), callbacks=list(callbacks))


def data(shards: Path, n_steps: int = 10) -> ShardDataModule:
    return ShardDataModule(shards, batch_size=64, n_tokens=64 * n_steps)


def small_topk(d_in: int) -> SparseAutoencoder:
    return TopK(d_in, d_sae=48, k=4)


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


plain_loader = pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:.*num_workers")


@pytest.fixture(scope="module")
def x() -> Tensor:
    return sparse_acts(100, 4).flatten(0, 1)


@plain_loader
def test_a_plain_loader_trains_what_fit_trains(x: Tensor) -> None:
    """Its first batches are the sample; the step is the same without Lightning."""
    module = SAELightningModule(small_topk, d_in=16, dead_after=100)
    trainer(gradient_clip_val=0.5, max_epochs=3).fit(module, DataLoader(x, batch_size=32, drop_last=True))
    alone = saev.train(
        x[:384].split(32), small_topk, n_tokens=1152, batch_size=32, clip=0.5, dead_after=100, progress=False
    )
    (sae,) = module.saes.values()
    for name, tensor in alone.state_dict().items():
        assert torch.equal(sae.state_dict()[name], tensor), name
    module.keep_outcomes()
    assert module.results[module.names[0]]["train"] == alone.metrics["train"]


@plain_loader
def test_batches_of_a_data_set_of_tensors(x: Tensor) -> None:
    one, other = (SAELightningModule(small_topk, d_in=16) for _ in range(2))
    for module, rows in ((one, TensorDataset(x)), (other, x)):
        loaders = [DataLoader[Any](rows, batch_size=100) for _ in range(2)]  # type: ignore[arg-type]
        trainer().fit(module, *loaders)
    assert torch.equal(one.members[0].sae.W_dec, other.members[0].sae.W_dec)
    assert one.results == other.results and one.results[one.names[0]].keys() == {"val"}


def test_a_sweep_equals_the_saes_alone(x: Tensor) -> None:
    specs = sae_specs(TopK, 16, TrainingOptions(dead_after=100), {"sae.d_sae": [48, 64], "sae.k": [2, 4]})
    together, alone = ([spec.build() for spec in specs] for _ in range(2))
    fit(together, x.split(40), 10, lambda n: x[:n], clip=0.5)
    for member, one in zip(together, alone, strict=True):
        fit([one], x.split(40), 10, lambda n: x[:n], clip=0.5)
        for name, tensor in one.state_dict().items():
            assert torch.equal(member.state_dict()[name], tensor), name


def test_batches_that_end_early(x: Tensor) -> None:
    (spec,) = sae_specs(TopK, 16, TrainingOptions(), {"sae.d_sae": [48], "sae.k": [2]})
    with pytest.raises(InputError, match="the batches end after 3 of 10 steps: give more tokens, or a lower n_tokens"):
        fit([spec.build()], x.split(40)[:3], 10, lambda n: x[:n])


@plain_loader
def test_evaluation_on_a_plain_loader(x: Tensor) -> None:
    module = EvaluationModule()
    sae = small_topk(16).eval()
    module.adopt({"one": sae})
    trainer().test(module, DataLoader(x, batch_size=50), verbose=False)
    assert module.results["one"]["test"] == evaluated(sae, x.split(50))


@plain_loader
@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (torch.zeros(64, 8), r"activations of shape \(16, 8\): give \(b, 16\)"),
        (torch.zeros(64, 3, 16), r"activations of shape \(16, 3, 16\): give \(b, 16\)"),
        (torch.zeros(64, 16, dtype=torch.int32), "activations are int32: give floating-point numbers"),
        (torch.full((64, 16), torch.nan), "the activations that training starts from are not finite"),
        ([(row, 1) for row in torch.zeros(64, 16)], r"batches are list: give tensors \(b, 16\)"),
    ],
)
def test_batches_that_are_no_activations(batches: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trainer().fit(SAELightningModule(small_topk, d_in=16), DataLoader(batches, batch_size=16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate_grad_batches": 4}, "accumulate_grad_batches=4 would sum gradients: leave it out"),
        ({"callbacks": [GradientAccumulationScheduler({3: 2})]}, "accumulate_grad_batches=2 would sum gradients"),
        (
            {"plugins": [MixedPrecision("16-mixed", "cpu")]},
            "precision=16-mixed: weights stay float32, give one of 32-true, bf16-mixed",
        ),
        ({"precision": "bf16-true"}, "precision=bf16-true: weights stay float32"),
    ],
)
@plain_loader
def test_trainers_that_would_change_gradients(x: Tensor, options: dict[str, Any], message: str) -> None:
    one = trainer(*options.pop("callbacks", []), **options)
    with pytest.raises(InputError, match=message):
        one.fit(SAELightningModule(small_topk, d_in=16), DataLoader(x, batch_size=100))


@plain_loader
def test_steps_that_end_in_the_middle_of_an_epoch(x: Tensor) -> None:
    """A trainer without a number of epochs does not count the steps, and so reads no batch before."""
    module = SAELightningModule(small_topk, d_in=16)
    trainer(max_epochs=None, max_steps=15).fit(module, DataLoader(x, batch_size=60))
    module.keep_outcomes()
    (found,) = module.results.values()
    assert found["train"].keys() == {"fvu_start", "fvu", "diverged"}


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


@plain_loader
def test_weights_are_loaded_without_a_trainer(x: Tensor, tmp_path: Path) -> None:
    module = SAELightningModule(small_topk, d_in=16)
    one = trainer(gradient_clip_val=0.5)
    one.fit(module, DataLoader(x, batch_size=100))
    one.save_checkpoint(tmp_path / "some.ckpt")
    loaded = SAELightningModule.load_from_checkpoint(tmp_path / "some.ckpt", sae=small_topk, d_in=16)
    assert torch.equal(loaded.members[0].sae.W_dec, module.members[0].sae.W_dec)
    with pytest.raises(InputError, match=r"lr was 0\.008 and is 0\.1"):
        SAELightningModule.load_from_checkpoint(tmp_path / "some.ckpt", sae=small_topk, d_in=16, lr=0.1)


@plain_loader
def test_what_is_exported_is_of_the_last_step(x: Tensor, tmp_path: Path) -> None:
    module = SAELightningModule(small_topk, d_in=16)
    loaders = [DataLoader[Any](x, batch_size=100) for _ in range(2)]  # type: ignore[arg-type]
    trainer(SAEExporter(), max_epochs=3, check_val_every_n_epoch=2, default_root_dir=tmp_path).fit(module, *loaders)
    (name,) = module.names
    assert torch.equal(saev.load(tmp_path / "saes" / name).W_dec, module.saes[name].W_dec)
