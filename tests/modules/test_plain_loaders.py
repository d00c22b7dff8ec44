"""`SAELightningModule` with a DataLoader of (b, d) tensors and a Trainer of the user."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from tests.cli.fitting import sparse_acts
from tests.modules.trainers import small_topk, trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import saev
from saev.callbacks.sae_exporter import SAEExporter
from saev.errors import InputError
from saev.modules import EvaluationModule, SAELightningModule
from saev.training.evaluation import evaluated

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
