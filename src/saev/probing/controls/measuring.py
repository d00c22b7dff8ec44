"""The controls of hypotheses: what else tells the same pictures apart, and how well."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from saev.device import chosen_device
from saev.errors import InputError
from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.probing.controls.control import Control, ControlOptions, ControlTask
from saev.probing.controls.judging import CENTRE, COMPONENT, DIRECTION, LATENT, NEURON, RANDOM_SAE, judged
from saev.probing.controls.pooled_activations import Columns, pooled_activations, read_sample
from saev.probing.controls.views import (
    Directions,
    Latents,
    View,
    centres,
    column_name,
    components,
    random_directions,
    random_sae,
)
from saev.probing.pictures.pooled import pooled
from saev.probing.statistics.arrays import Integers
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

SAMPLE_PICTURES: Final = 512
SAMPLE_TOKENS: Final = 20_000
"""Of the proposal half: components, centres and scales are made of these."""
AT_ONCE: Final = 16_384
"""Pictures whose values are held together."""


def measured_controls(
    reader: ShardReader,
    tasks: Sequence[ControlTask],
    *,
    tokens: TokenKind = "content",
    sae: SparseAutoencoder | None = None,
    codes: Codes | None = None,
    others: Mapping[str, SparseAutoencoder] | None = None,
    options: ControlOptions = ControlOptions(),  # noqa: B008 - it is frozen
    seed: int = 0,
    device: str | torch.device | None = None,
) -> list[list[Control]]:
    """Measure what stands beside the number of each hypothesis.

    Each kind of control has many candidates: neurons, random directions and principal components with both signs,
    centres of k-means, latents; each pooled over a picture's tokens by its largest value and by the mean. On (at most
    `n_pictures` of) the proposal half the candidate with the largest MCC and its threshold are chosen, or a probe is
    fitted, whose threshold and regularisation come from folds that were left out of it. Groups stay together. The test
    half only judges.

    Args:
        tasks: One for each hypothesis; they share one pass over the pictures.
        tokens: Which tokens; those of the hypotheses.
        sae: The SAE: for its own best latent, its sparse probes, and the SAE with random weights.
        codes: Those of `sae`, if they are saved: nothing is encoded again.
        others: Further SAEs of the same activations by name, such as another seed.
        options: Which controls, and how.
        seed: Of all that is random.
        device: Where to compute; by default a GPU if there is one.

    Returns:
        A list of controls for each task, kinds in one order; probes are missing where the proposal half has too few
        groups with one of the labels.

    Raises:
        InputError: If an SAE takes activations of another width, the tokens were not recorded, or a file is damaged.
    """
    selection = TokenSelection.of([reader], np.arange(reader.n_examples), tokens)
    work = _Work(selection, sae, codes, others or {}, options, seed, chosen_device(device))
    rng = np.random.default_rng(seed)
    chosen = [ControlTask(task.proposal.balanced(options.n_pictures, rng), task.test) for task in tasks]
    return [found for some in _together(chosen) for found in work.measured(some)]


def control_values(
    reader: ShardReader,
    images: Integers,
    *,
    tokens: TokenKind = "content",
    sae: SparseAutoencoder | None = None,
    others: Mapping[str, SparseAutoencoder] | None = None,
    options: ControlOptions = ControlOptions(),  # noqa: B008 - it is frozen
    seed: int = 0,
    device: str | torch.device | None = None,
) -> dict[str, Columns]:
    """The values of all candidates on pictures that one may look at, by the names of the controls.

    Further arguments, and errors, are those of `measured_controls`.

    Args:
        images: (i,) numbers of the pictures, ascending.
    """
    selection = TokenSelection.of([reader], np.arange(reader.n_examples), tokens)
    work = _Work(selection, sae, None, others or {}, options, seed, chosen_device(device))
    return work.values(images, images)


def _together(tasks: Sequence[ControlTask]) -> Iterator[list[ControlTask]]:
    """Tasks that are looked at in one pass: as many as have `AT_ONCE` pictures together."""
    some: list[ControlTask] = []
    for task in tasks:
        if some and len(_images([*some, task])) > AT_ONCE:
            yield some
            some = []
        some.append(task)
    if some:
        yield some


def _images(tasks: Sequence[ControlTask]) -> Integers:
    found: Integers = np.unique(np.concatenate([half.images for task in tasks for half in (task.proposal, task.test)]))
    return found


@final
@dataclass(frozen=True)
class _Work:
    """The arguments of `measured_controls`."""

    selection: TokenSelection
    sae: SparseAutoencoder | None
    codes: Codes | None
    others: Mapping[str, SparseAutoencoder]
    options: ControlOptions
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        for name, one in {"the SAE": self.sae, **self.others}.items():
            if one is not None and one.d_in != self.selection.d_model:
                raise InputError(
                    f"controls: {name} takes activations of width {one.d_in}, those of the recording have "
                    f"{self.selection.d_model}: give an SAE of this recording"
                )

    def measured(self, tasks: Sequence[ControlTask]) -> list[list[Control]]:
        choosing: Integers = np.unique(np.concatenate([task.proposal.images for task in tasks]))
        columns = self.values(_images(tasks), choosing)
        bar = progress_bar(tasks, desc="scoring controls", unit=" tasks", disable=len(tasks) < 2)
        return [list(judged(task, columns, self.options, self.seed)) for task in bar]

    def values(self, images: Integers, choosing: Integers) -> dict[str, Columns]:
        """The values of all candidates, by the names of the controls; pictures that choose say where these lie."""
        options = self.options
        rng, generator = np.random.default_rng(self.seed), torch.Generator().manual_seed(self.seed)
        some = np.sort(rng.choice(choosing, min(SAMPLE_PICTURES, len(choosing)), replace=False))
        x_nd = read_sample(self.selection, some, SAMPLE_TOKENS, rng)
        found: dict[str, View] = {}
        if options.neurons or options.linear or options.compared_ks:
            found[NEURON] = Directions("neuron", None, x_nd.shape[1])
        if options.n_directions:
            found[DIRECTION] = random_directions(x_nd, options.n_directions, generator)
        if options.n_components:
            found[COMPONENT] = components(x_nd, options.n_components)
        if options.n_centres:
            found[CENTRE] = centres(x_nd, options.n_centres, generator)
        with ExitStack() as stack:
            for name, sae in self._saes(x_nd).items():
                found[name] = Latents(stack.enter_context(evaluating(sae, self.device)))
            columns = pooled_activations(self.selection, images, found, self.device)
        return columns | self._of_codes(images)

    def _saes(self, x_nd: Tensor) -> dict[str, SparseAutoencoder]:
        """The SAEs that are to encode."""
        found = {}
        if self.sae is not None and self.codes is None and self.options.own_latents:
            found[LATENT] = self.sae
        found |= {f"best latent of {name}": other for name, other in self.others.items()}
        if self.sae is not None and self.options.random_sae:
            found[RANDOM_SAE] = random_sae(self.sae, x_nd, self.seed)
        return found

    def _of_codes(self, images: Integers) -> dict[str, Columns]:
        """The values of the SAE's own latents, from its codes."""
        if self.codes is None or not self.options.own_latents:
            return {}
        own = self.codes.origin.layout.positions(self.codes.origin.tokens)
        positions = range(self.selection.positions.start - own.start, self.selection.positions.stop - own.start)
        values = [pooled(self.codes, images, way, positions=positions, progress=False) for way in ("max", "mean")]
        named = partial(column_name, "latent", self.codes.d_sae, Latents.ways)
        return {LATENT: Columns(images, sparse.csc_array(sparse.hstack(values)), named)}
