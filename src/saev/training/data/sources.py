"""Where `saev.train` gets activations from: one interface over shards, a tensor in memory, and an iterable.

Shape suffixes: b = tokens of a batch, n = tokens, d = d_in.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from saev.artifacts import Provenance
from saev.errors import InputError, tell
from saev.ranges import Ints
from saev.training.activations import activations, check_finite
from saev.training.data.buffer import default_buffer, report
from saev.training.data.shard_tokens import ShardTokens
from saev.training.torch_modes import TorchModes

STRETCHES = 100
"""Into how many equal parts the rows of a tensor are divided, some of which are held out whole."""
_END = object()


class Source(Protocol):
    """Batches to train on, a sample of them to start from, and batches to evaluate on."""

    d_in: int
    provenance: Provenance | None

    def __iter__(self) -> Iterator[Tensor]:
        """Raw activations (batch_size, d_in), for each step of the run."""

    def sample(self, n_tokens: int) -> Tensor:
        """Raw activations (n, d_in) of so many tokens, or of fewer where there are fewer."""

    def held_out(self) -> Iterable[Tensor]:
        """Raw activations (b, d_in) that are not trained on; nothing where none are held out."""


@final
class ShardSource(Source):
    """Tokens of shard directories.

    Args:
        reports: Whether to print how they are shuffled.
    """

    def __init__(self, tokens: ShardTokens, *, reports: bool) -> None:
        self.d_in, self.provenance, self._tokens = tokens.d_model, tokens.provenance, tokens
        given = tokens.buffer_bytes
        n_bytes, origin = (given, "as buffer_gib says") if given is not None else default_buffer(1)
        self._batches = tokens.batches(n_bytes)
        for line in report(n_bytes, origin, self._batches.describe()) if reports else ():
            tell(line)

    @override
    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._batches)

    @override
    def sample(self, n_tokens: int) -> Tensor:
        return self._batches.sample(n_tokens)

    @override
    def held_out(self) -> Iterable[Tensor]:
        return self._tokens.in_order(self._tokens.val_tokens)


@final
class TensorSource(Source):
    """Rows of a tensor in memory: each epoch is another permutation of those that are trained on.

    What is held out are random stretches of a hundredth of the rows each, and not single rows: neighbours may be
    tokens of one image.

    Args:
        x_nd: Raw activations, as `activations` gives them.
        n_val_tokens: Upper bound of the rows that are evaluated.
        seed: Fixes the order and what is held out.

    Raises:
        InputError: If the tensor has values that are not finite, or too few rows for a batch.
    """

    def __init__(
        self, x_nd: Tensor, *, n_tokens: int, batch_size: int, val_share: float, n_val_tokens: int, seed: int
    ) -> None:
        check_finite(x_nd, "the activations")
        self.d_in, self.provenance = x_nd.shape[1], _trained_with(n_tokens, batch_size)
        self._x_nd, self._seed = x_nd, seed
        self._n_steps, self._batch_size = n_tokens // batch_size, batch_size
        stretches = np.array_split(np.arange(len(x_nd)), max(1, min(len(x_nd), STRETCHES)))
        order = np.random.default_rng([seed, 0]).permutation(len(stretches))
        n_held_out = min(max(round(len(stretches) * val_share), int(val_share > 0)), len(stretches) - 1)
        self._held_out = _rows(_shortened([stretches[number] for number in order[:n_held_out]], n_val_tokens))
        self._trained = _rows([stretches[number] for number in order[n_held_out:]])
        if len(self._trained) < batch_size:
            raise InputError(
                f"{len(x_nd)} activations, {len(self._trained)} of which are trained on, are fewer than a batch, "
                f"batch_size={batch_size}: give more, or a smaller batch_size"
            )

    @override
    def __iter__(self) -> Iterator[Tensor]:
        left, epoch = np.empty(0, np.int64), 0
        for _ in range(self._n_steps):
            if len(left) < self._batch_size:
                order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._trained))
                left, epoch = np.concatenate([left, self._trained[order]]), epoch + 1
            yield self._take(left[: self._batch_size])
            left = left[self._batch_size :]

    @override
    def sample(self, n_tokens: int) -> Tensor:
        n = min(n_tokens, len(self._trained))
        rng = np.random.default_rng([self._seed, 2])
        return self._take(self._trained[rng.choice(len(self._trained), n, replace=False)])

    @override
    def held_out(self) -> Iterable[Tensor]:
        for start in range(0, len(self._held_out), self._batch_size):
            yield self._take(self._held_out[start : start + self._batch_size])

    def _take(self, rows: Ints) -> Tensor:
        return self._x_nd[torch.from_numpy(rows).to(self._x_nd.device)]


def _rows(stretches: Sequence[Ints]) -> Ints:
    """All of their numbers, ascending."""
    return np.sort(np.concatenate([np.empty(0, np.int64), *stretches]))


def _shortened(stretches: Sequence[Ints], n: int) -> Sequence[Ints]:
    """The beginnings of the stretches, equally long, where they have more than n rows together."""
    if sum(map(len, stretches)) <= n:
        return stretches
    bounds = np.linspace(0, n, len(stretches) + 1).astype(np.int64)
    return [stretch[:size] for stretch, size in zip(stretches, np.diff(bounds), strict=True)]


def _trained_with(n_tokens: int, batch_size: int) -> Provenance:
    return Provenance(training={"n_tokens": n_tokens, "batch_size": batch_size})


@final
class IterableSource(Source):
    """Batches that are given one after the other, cut and joined to batches of one size, in the order that they have.

    What can be gone through again, such as a list or a DataLoader, is repeated where it has too few tokens.

    Args:
        batches: What `activations` makes (b, d_in) of, of any b. It is gone through in the modes of torch that are set
            now, and keeps those that it sets itself.

    Raises:
        InputError: If there is no batch, or the first one is no tensor (b, d_in).
    """

    def __init__(self, batches: Iterable[object], *, n_tokens: int, batch_size: int) -> None:
        self._batches, self._n_tokens, self._batch_size = batches, n_tokens, batch_size
        self._iterator, self._modes = iter(batches), TorchModes.now()
        self.provenance = _trained_with(n_tokens, batch_size)
        self._ahead: deque[Tensor] = deque()
        self.d_in = 0  # until the first batch is there
        if not self._read():
            raise InputError("the iterable gives no batches: give tensors (b, d_in)")

    @override
    def sample(self, n_tokens: int) -> Tensor:
        """The first tokens; they are trained on, too."""
        n = min(n_tokens, self._n_tokens)
        while sum(map(len, self._ahead)) < n and self._read():
            pass
        return torch.cat(list(self._ahead))[:n]

    @override
    def __iter__(self) -> Iterator[Tensor]:
        n_given, parts, n = 0, [], 0
        while n_given + self._batch_size <= self._n_tokens:
            while n < self._batch_size:
                if not self._ahead and not self._read() and not self._read_again():
                    raise InputError(
                        f"the iterable ended after {n_given + n} of n_tokens={self._n_tokens} tokens: give fewer "
                        "n_tokens, or what can be gone through again, such as a list or a DataLoader"
                    )
                parts.append(self._ahead.popleft())
                n += len(parts[-1])
            x_bd = torch.cat(parts) if len(parts) > 1 else parts[0]
            parts, n = [x_bd[self._batch_size :]], n - self._batch_size
            n_given += self._batch_size
            yield x_bd[: self._batch_size]

    @override
    def held_out(self) -> Iterable[Tensor]:
        return ()

    def _read(self) -> bool:
        """Take the next batch that has tokens; whether there was one."""
        while (batch := self._next()) is not _END:
            x_bd = activations(batch, self.d_in)
            self.d_in = x_bd.shape[1]
            if len(x_bd):
                self._ahead.append(x_bd)
                return True
        return False

    def _next(self) -> object:
        with self._modes.entered():
            batch = next(self._iterator, _END)
            self._modes = TorchModes.now()  # a generator may stand within a context of its own
        return batch

    def _read_again(self) -> bool:
        again = iter(self._batches)
        if again is self._iterator:
            return False
        self._iterator = again
        return self._read()
