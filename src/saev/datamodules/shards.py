"""Tokens from shards, for training and evaluation by Lightning."""

from pathlib import Path
from typing import Any

import lightning
from torch import Tensor
from typing_extensions import override

from saev.artifacts import Provenance
from saev.errors import tell
from saev.ranges import Ints
from saev.shards.loading.ordered import OrderedTokens
from saev.shards.loading.saved_state import SavedState
from saev.shards.loading.shuffled import ShuffledTokens
from saev.shards.tokens import TokenSelection
from saev.training.data.buffer import default_buffer, report
from saev.training.data.shard_tokens import ShardTokens


class ShardDataModule(lightning.LightningDataModule):
    """Feeds the tokens of shard directories to an SAE.

    Training batches are (batch_size / processes, d_model) in the stored dtype, shuffled across images and positions;
    evaluation batches come in order, float32. `saev test` uses all images of `shards`, or the held-out ones where these
    shards trained the SAE.

    Args:
        shards: A directory that `saev predict` wrote, or one of the original saev; or a list of directories of one ViT
            and layer, each of which gives a part of every batch: '[A,B]'.
        options: What is read of them, and how: the options of `saev.training.data.shard_tokens.ShardTokens`.

    Raises:
        InputError: If a directory is missing, damaged, of another width or layer, or does not fit the others, or a
            number makes no sense.
    """

    def __init__(self, shards: Path | list[Path], **options: Any) -> None:
        super().__init__()
        data = self.data = ShardTokens(shards, **options)
        self.n_tokens, self.batch_size, self.token_kind = data.n_tokens, data.batch_size, data.token_kind
        self.reader, self.d_model = data.reader, data.d_model
        self.train_tokens, self.val_tokens, self.test_tokens = data.train_tokens, data.val_tokens, data.test_tokens
        self.forgives_validation = False
        """Whether held-out tokens that cannot be read are noted in `val_fault`, instead of ending training."""
        self._train_loader: ShuffledTokens | None = None
        self._val_loader: OrderedTokens | None = None

    def test_only(self, number: int, examples: Ints) -> None:
        """Test just these images (ascending) of one of `shards`."""
        self.data.test_only(number, examples)

    @property
    def provenance(self) -> Provenance:
        """What is trained on, for the SAE's config.json."""
        return self.data.provenance

    def sample(self, n_tokens: int) -> Tensor:
        """Tokens to start training from, of everywhere in the training images: float32 (n, d_model).

        The same in every process; fewer than asked for where the data have fewer.
        """
        return self._loader().sample(n_tokens)

    def _loader(self) -> ShuffledTokens:
        """The training batches."""
        if self._train_loader is not None:
            return self._train_loader
        if self.data.buffer_bytes is not None:
            return self._make_loader(self.data.buffer_bytes, "as --data.buffer_gib says")
        buffer = default_buffer(1 if self.trainer is None else self.trainer.num_devices)
        if self.trainer is not None:
            # The order depends on it, and each process finds another number.
            buffer = self.trainer.strategy.broadcast(buffer)
        return self._make_loader(*buffer)

    @override
    def setup(self, stage: str) -> None:
        """Forget the batches: each fit of a trainer begins with the first ones, with its own processes."""
        if stage == "fit":
            self._train_loader = None

    def _make_loader(self, buffer_bytes: int, source: str) -> ShuffledTokens:
        rank, world_size = self._ranks()
        pin = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        loader = self.data.batches(buffer_bytes, rank=rank, world_size=world_size, pin=pin)
        self._train_loader = loader
        if self.trainer is not None and self.trainer.is_global_zero:
            for line in report(buffer_bytes, source, loader.describe()):
                tell(line)
        return loader

    def _ranks(self) -> tuple[int, int]:
        """The number of this process among those that divide the tokens, and how many these are."""
        known = None if self.trainer is None else self.trainer.distributed_sampler_kwargs
        return (known["rank"], known["num_replicas"]) if known else (0, 1)

    @override
    def state_dict(self) -> dict[str, Any]:
        """How far training has come in its data."""
        return self._loader().state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where training was, with the buffer that it had unless the user gave another.

        Not left to the trainer: it forgets the loader's state where the number of steps is asked for early, as
        a schedule does.

        Raises:
            InputError: If the run had other training data; names the differences.
        """
        if self.data.buffer_bytes is None:
            n_bytes = SavedState.from_dict(state_dict).buffer_bytes
            if self._train_loader is None or self._train_loader.buffer_bytes != n_bytes:
                self._make_loader(n_bytes, "as the checkpoint had it")
        self._loader().load_state_dict(state_dict)

    @override
    def train_dataloader(self) -> ShuffledTokens:
        """Shuffled batches, as many as the token budget has."""
        return self._loader()

    @override
    def val_dataloader(self) -> OrderedTokens | list[OrderedTokens]:
        """The held-out images or the validation shards, in order; nothing where neither was asked for."""
        if not self.val_tokens:
            return []
        self._val_loader = self._ordered(self.val_tokens, forgiving=self.forgives_validation)
        return self._val_loader

    @property
    def val_fault(self) -> str | None:
        """What this process could not read in the last validation, which then means nothing."""
        return None if self._val_loader is None else self._val_loader.fault

    @override
    def test_dataloader(self) -> OrderedTokens:
        """All images of `shards`, in order."""
        return self._ordered(self.test_tokens)

    def _ordered(self, selections: list[TokenSelection], *, forgiving: bool = False) -> OrderedTokens:
        rank, world_size = self._ranks()
        return self.data.in_order(selections, rank=rank, world_size=world_size, forgiving=forgiving)
