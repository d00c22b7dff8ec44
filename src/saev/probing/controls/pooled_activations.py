"""Pooled values of recorded activations by many views, in one pass over the pictures.

Shape suffixes: b = pictures of a batch, t = tokens, d = width, i = pictures, s = columns of a view.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from saev.nn.functional import images_at_once
from saev.probing.controls.views import View
from saev.probing.statistics.arrays import Floats, Integers
from saev.progress import progress_bar
from saev.shards.tokens import TokenSelection

AT_ONCE: Final = 2**22
"""Dense values that are looked at together."""


@final
@dataclass(frozen=True)
class Columns:
    """Pooled values of some pictures by one view."""

    images: Integers  # (i,) numbers of the pictures, ascending.
    values_is: Any  # (i, s), dense or a csc array.
    named: Callable[[int], str]  # Says what a column is.

    def of(self, images: Integers) -> Any:
        """The rows of some of the pictures, in their order."""
        return self.values_is[np.searchsorted(self.images, images)]


def pooled_activations(
    tokens: TokenSelection, images: Integers, views: Mapping[str, View], device: torch.device
) -> dict[str, Columns]:
    """Pool what each view makes of the tokens of pictures.

    Memory: for each picture 4 bytes for each column of a dense view, 8 for each value above 0 of an SAE; and a batch of
    256 MiB in the forms that a view needs.

    Args:
        tokens: Which tokens of which recording.
        images: (i,) numbers of the pictures, ascending, each once.
        views: By name.

    Raises:
        InputError: If a shard is damaged.
    """
    selection = replace(tokens, examples=images, kept=None)
    per_batch = images_at_once(max((view.size for view in views.values()), default=1), len(tokens.positions))
    found: dict[str, list[Any]] = {name: [] for name in views}
    with torch.no_grad(), progress_bar(total=len(images), desc="controls", unit=" images") as bar:
        for start in range(0, len(images), per_batch):
            ids_b = images[start : start + per_batch]
            x_btd = torch.cat(list(selection.read(ids_b))).to(device)
            for name, view in views.items():
                found[name].append(view.pooled(x_btd))
            bar.update(len(ids_b))
    return {name: Columns(images, _joined(found.pop(name)), view.named) for name, view in views.items()}


def read_sample(tokens: TokenSelection, images: Integers, most: int, rng: np.random.Generator) -> Tensor:
    """At most so many tokens (n, d) of some pictures (ascending), as many of each."""
    selection, per_image = replace(tokens, examples=images, kept=None), max(1, most // len(images))
    parts = []
    for x_btd in selection.read(images):
        n = x_btd.shape[1]
        chosen_bt = rng.random((len(x_btd), n)).argsort(1)[:, : min(n, per_image)]
        parts.append(x_btd[torch.arange(len(x_btd))[:, None], torch.from_numpy(chosen_bt)].flatten(0, 1))
    return torch.cat(parts)


def dense(values_is: Any) -> Floats:
    """Values as a dense array of float64."""
    return np.asarray(values_is.toarray() if sparse.issparse(values_is) else values_is, dtype=np.float64)


def _joined(parts: list[Any]) -> Any:
    if sparse.issparse(parts[0]):
        return sparse.csc_array(sparse.vstack(parts))
    return np.concatenate(parts)
