"""Many SAEs out of one description: all combinations of some options' values."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, final

import torch

from saev.errors import InputError, one_line
from saev.metrics import check_own_metrics
from saev.nn import SparseAutoencoder
from saev.nn.options import argument_types, check_rebuilds
from saev.shards.format.strict_json import located
from saev.training.evaluation import TAKEN
from saev.training.options import TrainingOptions, check_type
from saev.training.state import SaeInTraining

OF_SAE = "sae."
BYTES_OF_PARAMETER = 24  # Weight, gradient, two moments of Adam, and a third again for what a step needs meanwhile.
MAX_BYTES_OF_NAME = 200
MODEL_SHARE = 0.5  # Of free memory; the rest is for batches and evaluation.


@final
@dataclass(frozen=True)
class SaeSpec:
    """How to build one SAE of a run."""

    name: str  # Names its results.
    architecture: Callable[..., SparseAutoencoder]  # Builds the SAE, given d_in.
    d_in: int  # Width of the activations.
    sae: Mapping[str, Any]  # Options of the SAE that differ from those of the architecture.
    options: TrainingOptions  # How it is trained.
    n_parameters: int  # Its size.
    n_trained: int  # How many of these the optimizer changes.

    def build(self) -> SaeInTraining:
        """The SAE with its first weights."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.options.seed)  # and no GPU's, which the caller may use
            return SaeInTraining(self.name, self.architecture(self.d_in, **self.sae), self.options)


def sae_specs(
    architecture: Callable[..., SparseAutoencoder],
    d_in: int,
    options: TrainingOptions,
    sweep: Mapping[str, Any],
) -> list[SaeSpec]:
    """All SAEs of a run: one, or one for each combination of a sweep.

    Args:
        architecture: Builds an SAE, given d_in.
        sweep: Options and lists of values.

    Raises:
        InputError: If an option is unknown or a value makes no sense.
    """
    found: dict[str, SaeSpec] = {}
    for combination in combinations(sweep):
        changes, of_the_sae = of_training(combination), of_sae(combination, architecture)
        try:
            with located("sweep"):
                own = replace(options, **changes)
            with torch.device("meta"):
                sae = architecture(d_in, **of_the_sae)
        except RuntimeError as error:
            # torch counts bytes in 64 bits, also of tensors without memory.
            raise InputError(
                f"the SAE is too large for any memory, give fewer latents (d_sae): {one_line(error)}"
            ) from error
        except TypeError as error:
            what = f"sweep: {combination}" if combination else "--model.sae"
            raise InputError(f"{what} makes no SAE: {one_line(error)}") from error
        check_rebuilds(sae)
        check_own_metrics(d_in, sae.d_sae, TAKEN)
        own = own.with_lr(sae.peak_lr)
        if own.k_start != 1 and "k" not in sae.options():
            raise InputError(f"k_start={own.k_start}: {type(sae).__name__} has no k")
        name = "-".join([sae.name, *(f"{key}{value}" for key, value in changes.items())])
        if "/" in name or len(name.encode()) > MAX_BYTES_OF_NAME:
            raise InputError(f"{name!r} would name a directory: it has a slash or is too long")
        if name in found:
            raise InputError(f"sweep: two combinations would both be called {name}")
        sizes = {parameter: parameter.numel() for parameter in sae.parameters()}
        n_trained = sum(size for parameter, size in sizes.items() if parameter.requires_grad)
        found[name] = SaeSpec(name, architecture, d_in, of_the_sae, own, sum(sizes.values()), n_trained)
    return list(found.values())


def n_fitting(specs: Sequence[SaeSpec], n_bytes: int) -> int:
    """How many SAEs can surely be trained at the same time with this much free memory."""
    largest = max(spec.n_parameters for spec in specs) * BYTES_OF_PARAMETER
    return min(len(specs), int(MODEL_SHARE * n_bytes) // largest)


def part_of_sweep(sweep: Mapping[str, Sequence[Any]], n: int) -> dict[str, list[Any]]:
    """The first values of a sweep's options that make n combinations or fewer, n being 1 or more.

    >>> part_of_sweep({"sae.k": [16, 32, 64], "lr": [0.1, 0.2]}, 5)
    {'sae.k': [16, 32], 'lr': [0.1, 0.2]}
    """
    part: dict[str, list[Any]] = {}
    for name, values in reversed(list(sweep.items())):
        part[name] = list(values[: max(1, n)])
        n //= len(part[name])
    return dict(reversed(list(part.items())))


def combinations(sweep: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of values, the last option varying fastest.

    >>> combinations({"sae.k": [1, 2], "lr": [0.1]})
    [{'sae.k': 1, 'lr': 0.1}, {'sae.k': 2, 'lr': 0.1}]

    Raises:
        InputError: If an option has no values, or one twice.
    """
    for name, values in sweep.items():
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise InputError(f"sweep: {name} needs a list of values, not {values!r}")
        if len({repr(value) for value in values}) < len(values):
            raise InputError(f"sweep: {name} has a value twice in {list(values)}")
    return [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]


def of_sae(combination: Mapping[str, Any], architecture: Callable[..., SparseAutoencoder]) -> dict[str, Any]:
    """The options of the architecture in a combination.

    Args:
        combination: Options and values.
        architecture: What builds the SAE: a class, or a partial of one.

    Raises:
        InputError: If the architecture has no such option.
    """
    found = {name.removeprefix(OF_SAE): value for name, value in combination.items() if name.startswith(OF_SAE)}
    known = options_of(architecture)
    for name, value in found.items():
        if name not in known:
            raise InputError(f"sweep: the SAE has no option {name!r}; it has {', '.join(known)}")
        check_type(f"sweep: {OF_SAE}{name}", value, known[name])
    return found


def of_training(combination: Mapping[str, Any]) -> dict[str, Any]:
    """The options of training in a combination.

    Raises:
        InputError: If there is no such option.
    """
    found = {name: value for name, value in combination.items() if not name.startswith(OF_SAE)}
    for name in found:
        if name not in TrainingOptions.names():
            names = ", ".join(["sae.OPTION", *TrainingOptions.names()])
            raise InputError(f"sweep: there is no option {name!r} to sweep over; there are {names}")
    return found


def options_of(architecture: Callable[..., SparseAutoencoder]) -> dict[str, object]:
    """The options of an architecture and their types."""
    found: Any = architecture
    while isinstance(found, partial):
        # The command line gives a partial of a function whose first argument is the class.
        found = next((arg for arg in found.args if inspect.isclass(arg)), found.func)
    types = argument_types(found)
    return {name: types.get(name) for name in inspect.signature(found).parameters if name != "d_in"}
