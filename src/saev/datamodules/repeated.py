"""The same training batches again and again."""

from collections.abc import Iterator
from typing import final

from torch import Tensor

from saev.shards.loading.shuffled import ShuffledTokens


@final
class RepeatedBatches:
    """Begins with the same batch in each pass, for a trainer that is to overfit a few of them.

    Args:
        loader: Gives the batches; its next one is the first of each pass.
    """

    def __init__(self, loader: ShuffledTokens) -> None:
        self._loader = loader
        self._start = loader.state_dict()

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Tensor]:
        self._loader.load_state_dict(self._start)
        return iter(self._loader)
