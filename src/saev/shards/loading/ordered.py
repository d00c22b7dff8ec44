"""Batches of tokens in the order of the shards, for evaluation."""

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.tokens import TokenSelection


@final
class OrderedTokens:
    """An iterable over all selected tokens in the order of the shards: float32 (tokens of whole examples, d_model).

    Args:
        selections: What to read, one after the other.
        max_tokens: Upper bound of the tokens of a batch, unless one example has more.
        rank: Which part of the examples to give; the parts differ by one example of each selection at most.
        world_size: Number of parts.
        forgiving: Note in `fault` what cannot be read, instead of raising it, and give zeros from there on: processes
            that meet for each batch must all get there.
    """

    fault: str | None = None
    """What could not be read since the last `iter`."""

    def __init__(
        self,
        selections: Sequence[TokenSelection],
        *,
        max_tokens: int,
        rank: int = 0,
        world_size: int = 1,
        forgiving: bool = False,
    ) -> None:
        self._forgiving = forgiving
        self._parts: list[tuple[TokenSelection, Ints]] = []
        for tokens in selections:
            numbers = np.array_split(np.arange(len(tokens.examples)), world_size)[rank]
            per_batch = max(1, max_tokens // len(tokens.positions))
            starts = range(per_batch, len(numbers), per_batch)
            # A part without examples gives one batch without tokens: its process has to meet the others at the end.
            self._parts += [(tokens, part) for part in np.split(numbers, starts)]

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Tensor]:
        self.fault = None
        for tokens, numbers in self._parts:
            yield _zeros(tokens, numbers) if self.fault is not None else self._read(tokens, numbers)

    def _read(self, tokens: TokenSelection, numbers: Ints) -> Tensor:
        try:
            x_npd = torch.cat(list(tokens.read(tokens.examples[numbers])))
        except InputError as error:
            if not self._forgiving:
                raise
            self.fault = str(error)
            return _zeros(tokens, numbers)
        return x_npd.flatten(0, 1) if tokens.kept is None else x_npd[torch.from_numpy(tokens.kept[numbers])]


def _zeros(tokens: TokenSelection, numbers: Ints) -> Tensor:
    return torch.zeros(int(tokens.counts_of(numbers).sum()), tokens.d_model)
