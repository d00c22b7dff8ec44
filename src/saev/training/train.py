"""Train an SAE from Python: on a tensor, on shards, or on an iterable of batches."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from saev.artifacts import trained_on
from saev.device import chosen_device
from saev.errors import InputError, one_line, tell
from saev.nn import ARCHITECTURES, SparseAutoencoder
from saev.progress import progress_bar
from saev.shards.reading.reader import ShardReader
from saev.training.activations import activations, check_finite
from saev.training.data.option_checks import check_numbers
from saev.training.data.shard_tokens import ShardTokens
from saev.training.data.sources import IterableSource, ShardSource, Source, TensorSource
from saev.training.evaluation import evaluated
from saev.training.fit import JointTraining, fit
from saev.training.memory_need import check_training_fits, training_need
from saev.training.options import TrainingOptions, check_type
from saev.training.spec import SaeSpec, options_of, sae_specs
from saev.training.torch_modes import TorchModes

Path_ = str | Path
Activations = Tensor | NDArray[Any] | Path_ | list[Path_] | ShardReader | Iterable[Tensor | Sequence[Tensor]]
_OWN = ("shards", "n_tokens", "batch_size", "val_share", "n_val_tokens", "seed", "d_model")


def train(
    x: Activations,
    sae: str | Callable[..., SparseAutoencoder] = "TopK",
    *,
    n_tokens: int,
    batch_size: int = 16_384,
    val_share: float = 0.05,
    n_val_tokens: int = 1_000_000,
    held_out: Tensor | NDArray[Any] | None = None,
    clip: float | None = None,
    bf16: bool = False,
    device: str | torch.device | None = None,
    progress: bool = True,
    **options: Any,
) -> SparseAutoencoder:
    """Train a sparse autoencoder in this process.

    With shards it trains what `saev fit` trains with the same options (there `--model.seed` and `--data.seed` are
    `seed`), on one CPU to the last bit. It writes no files: `saev.save` does. Sweeps, checkpoints and several processes
    are for `saev fit` and for `SAELightningModule`.

    Args:
        x: Raw activations: a tensor or an array (n, d_in); a directory of shards, several of them, or what
            `saev.open_shards` gives; or an iterable of tensors (b, d_in) of any b, also in lists of one as a DataLoader
            of a TensorDataset has them, which are trained on in the order that they have, so that it should mix the
            images. One that can be gone through again (a list, a DataLoader)
            is repeated where it has fewer than n_tokens; a generator that ends before is an error.
        sae: Architecture, by name or as a class; or a function that makes an SAE, given d_in.
        n_tokens: How many tokens to train on; tensors and shards are repeated, in a new order, where they have fewer.
        batch_size: Tokens of a step.
        val_share: Share that is held out and evaluated on: of the images of shards, of the rows of a tensor (in random
            stretches of a hundredth of the rows, because neighbours may be of one image). Nothing of an iterable is.
        n_val_tokens: Upper bound of the tokens that are evaluated.
        held_out: A tensor or an array (n, d_in) to evaluate on instead; then all of a tensor is trained on.
        clip: Upper bound of the norm of the gradient, above 0; by default none.
        bf16: Find the largest pre-activations in bfloat16 where an architecture knows how to, which is faster on GPUs.
        device: Where to train, such as "cuda:1"; by default where a tensor on a GPU is, or else on the GPU, if there is
            one.
        progress: Whether to show a progress bar with the loss, and how shards are shuffled.
        options: Options of the architecture (d_sae, k, ...); of training (lr, seed, ..., see
            `saev.training.options.TrainingOptions`); with shards also what is read of them (tokens, layer, ..., see
            `saev.training.data.shard_tokens.ShardTokens`).

    Returns:
        The SAE in evaluation mode, on the device. Its `metrics` are those of metrics.json (docs/metrics.md): "val" on
        what was held out, if anything was; "train" on the first and the last batch. Its `provenance` says which shards
        trained it.

    Raises:
        InputError: If an option is unknown or makes no sense; if activations have another width or dtype, are not
            finite, too few, or on another device than the one asked for; if training does not fit the memory, or
            diverges.

    >>> x = torch.randn(2000, 16)
    >>> sae = train(x, "TopK", d_sae=64, k=4, n_tokens=20_000, batch_size=500, progress=False)
    >>> sae.encode(x[:3]).shape, sae.metrics["val"]["l0"] <= 4
    (torch.Size([3, 64]), True)
    """
    architecture = sae if callable(sae) else ARCHITECTURES.named(sae, "saev.train")
    options = {name: _plain(value) for name, value in options.items()}
    of_training, of_sae, of_shards = _divided(options, architecture, with_shards=_is_shards(x))
    n_tokens, batch_size, n_val_tokens = _plain(n_tokens), _plain(batch_size), _plain(n_val_tokens)
    val_share, clip = _plain(val_share), _plain(clip)
    numbers = {"n_tokens": n_tokens, "batch_size": batch_size, "n_val_tokens": n_val_tokens}
    for name, number in numbers.items():
        check_type(name, number, int)
    check_type("clip", clip, float | None)
    if clip is not None and not 0 < clip < math.inf:
        raise InputError(f"clip={clip} must be finite and above 0; leave it out to clip nothing")
    training, where = TrainingOptions(**of_training), _device(device, x)
    share = val_share if held_out is None else 0.0
    source = _source(x, training.seed, share, {**numbers, **of_shards}, reports=progress)
    if held_out is not None:
        held_out = activations(held_out, source.d_in)
        check_finite(held_out, "held_out")
        if not len(held_out):
            raise InputError("held_out has no tokens: give some, or leave it out")
    spec = _spec(partial(architecture, **of_sae), source.d_in, training)
    n_steps = n_tokens // batch_size
    check_training_fits([spec], {}, training_need([spec], n_parts=1, batch_size=batch_size, n_sample=0), where, 0)
    with TorchModes.of_training().entered():
        member = spec.build().to(where)
        with progress_bar(total=n_steps, desc=spec.name, unit="step", disable=not progress) as bar:
            fit([member], source, n_steps, source.sample, clip=clip, bf16=bf16, on_step=partial(_show, bar))
        return _finished(member.sae, member.outcome(), source, held_out)


def _plain(value: Any) -> Any:
    """A number of Python for one of numpy, which no file could keep."""
    return value.item() if isinstance(value, np.generic) else value


def _show(bar: "tqdm[Any]", training: JointTraining) -> None:
    bar.set_postfix(loss=f"{training.loss:.4g}", refresh=False)
    bar.update()


def _finished(
    sae: SparseAutoencoder, outcome: dict[str, float], source: Source, held_out: Tensor | None
) -> SparseAutoencoder:
    """The SAE as it is used, with what is known of it."""
    sae.eval().requires_grad_(False)
    metrics: dict[str, Mapping[str, float | list[int]]] = {"train": dict(outcome)}
    batches = source.held_out() if held_out is None else torch.split(held_out, 8192)
    if found := evaluated(sae, batches):
        metrics["val"] = found
    if outcome["diverged"]:
        tell(f"the SAE has diverged, lower the lr: FVU {outcome['fvu']:.3g} on the last batch")
    sae.metrics, sae.provenance = metrics, trained_on(sae, source.provenance)
    return sae


def _divided(
    options: Mapping[str, Any], architecture: Callable[..., SparseAutoencoder], *, with_shards: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Options of training, of the SAE, and of shards."""
    known = options_of(architecture)
    of_shards = [name for name in inspect.signature(ShardTokens).parameters if name not in _OWN] if with_shards else []
    kinds = get_type_hints(ShardTokens.__init__)
    found: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
    for name, value in options.items():
        places = [name in TrainingOptions.names(), name in known, name in of_shards]
        if not any(places):
            named = f"the SAE takes {', '.join(known)}; training takes {', '.join(TrainingOptions.names())}"
            more = f"; shards take {', '.join(of_shards)}" if of_shards else ""
            raise InputError(f"there is no option {name!r}: {named}{more}")
        if not places[0]:
            check_type(name, value, known[name] if places[1] else kinds[name])
        found[places.index(True)][name] = value
    return found


def _is_shards(x: object) -> bool:
    several = isinstance(x, list) and bool(x) and all(isinstance(one, str | Path) for one in x)
    return several or isinstance(x, str | Path | ShardReader)


def _device(device: str | torch.device | None, x: object) -> torch.device:
    """Where to train: not on another GPU than a tensor is on."""
    of_x = x.device if isinstance(x, Tensor) and x.device.type != "cpu" else None
    found = chosen_device(of_x if device is None else device)
    if of_x is not None and of_x != found:
        raise InputError(f"the activations are on {of_x}, device is {found}: move them, or leave it")
    return found


def _source(x: Activations, seed: int, val_share: float, options: Mapping[str, Any], *, reports: bool) -> Source:
    if isinstance(x, ShardReader):
        options, x = {"layer": x.recording.layer, **options}, x.path
    if _is_shards(x):
        paths = [Path(one) for one in x] if isinstance(x, list) else Path(cast(Path_, x))
        return ShardSource(ShardTokens(paths, val_share=val_share, seed=seed, **options), reports=reports)
    check_numbers(**options, val_share=val_share, seed=seed, buffer_gib=None, share=1.0, threads=1, timeout=1.0)
    if isinstance(x, Tensor | np.ndarray):
        return TensorSource(activations(x), val_share=val_share, seed=seed, **options)
    if not isinstance(x, Iterable):
        raise InputError(f"x is {type(x).__name__}: give a tensor (n, d_in), a directory of shards, or an iterable")
    return IterableSource(x, n_tokens=options["n_tokens"], batch_size=options["batch_size"])


def _spec(architecture: Callable[[int], SparseAutoencoder], d_in: int, training: TrainingOptions) -> SaeSpec:
    try:
        (spec,) = sae_specs(architecture, d_in, training, {})
    except (TypeError, AttributeError) as error:
        raise InputError(f"the SAE cannot be built: {one_line(error)}") from error
    return spec
