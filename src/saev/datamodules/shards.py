"""Tokens from shards, for training and evaluation."""

from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.interop import check_same_activations
from saev.shards.loading.loader import OrderedTokens, ShuffledTokens, TokenSelection
from saev.shards.loading.shuffle import Ints, random_subset
from saev.shards.reading.reader import ShardReader


class ShardDataModule(lightning.LightningDataModule):
    """Feeds the tokens of a shard directory to an SAE.

    Training batches are float32 (batch_size / processes, d_model), shuffled across images and positions;
    evaluation batches come in order. `saev test` uses all images of `shards`, or the held-out ones where these
    shards trained the SAE.

    Args:
        shards: A directory that `saev predict` wrote, or one of the original saev.
        val_shards: Another such directory to validate on; by default a share of the images of `shards`.
        val_share: Share of the images of `shards` that is kept out of training and validated on, where no
            val_shards are given. 0 trains on everything and validates on nothing.
        n_val_tokens: Upper bound of the tokens validated on, a random choice of images.
        tokens: Which tokens of each image: content (patches), cls, registers or all.
        n_tokens: How many tokens to train on; the data are repeated, in a new order, where they are fewer.
        batch_size: Tokens of a training step over all processes.
        buffer_gib: Upper bound of the memory for shuffling, in GiB for each process. Tokens that fit are
            permuted uniformly; otherwise blocks of neighbouring images are dealt at random into pools of this
            size, whose tokens are permuted.
        seed: Fixes the order of the tokens and the choice of held-out images.
        d_model: The width that the activations are expected to have; only checked.
        layer: The layer, counted from 0; needed where a directory of the original saev holds several layers,
            otherwise only checked.

    Raises:
        InputError: If a directory is missing, damaged or of another width or layer, or a number makes no sense.
    """

    def __init__(
        self,
        shards: Path,
        val_shards: Path | None = None,
        val_share: float = 0.05,
        n_val_tokens: int = 1_000_000,
        tokens: Literal["content", "cls", "registers", "all"] = "content",
        n_tokens: int = 100_000_000,
        batch_size: int = 16_384,
        buffer_gib: float = 4.0,
        seed: int = 0,
        d_model: int | None = None,
        layer: int | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= batch_size <= n_tokens:
            raise InputError(f"n_tokens={n_tokens} must be at least one batch, batch_size={batch_size}, of 1 or more")
        if n_val_tokens < 1 or not 0 < buffer_gib < float("inf"):
            raise InputError(f"n_val_tokens={n_val_tokens} and buffer_gib={buffer_gib} must be above 0")
        self.reader = ShardReader(Path(shards), layer)
        self.d_model = self.reader.layout.d_model
        self.batch_size = batch_size
        self.n_tokens = n_tokens
        self._tokens = tokens
        self._buffer_bytes = int(buffer_gib * 2**30)
        self._seed = seed
        self._train_loader: ShuffledTokens | None = None
        _check_width(self.reader, d_model)
        self.token_kind = tokens
        n_held_out = 0 if val_shards is not None else _held_out_size(self.reader.n_examples, val_share)
        self.held_out = {"n": n_held_out, "seed": seed}
        held_out = random_subset(self.reader.n_examples, n_held_out, seed)
        everything = np.arange(self.reader.n_examples)
        self.train_tokens = self._select(self.reader, np.setdiff1d(everything, held_out))
        self.all_tokens = self._select(self.reader, everything)
        self.test_tokens = self.all_tokens
        self.val_tokens: TokenSelection | None = None
        if val_shards is not None:
            val_reader = ShardReader(Path(val_shards), self.reader.manifest.recording.layer)
            _check_width(val_reader, self.d_model)
            _check_val_shards(self.reader, val_reader)
            self.val_tokens = self._capped(val_reader, val_reader.n_examples, n_val_tokens)
        elif n_held_out:
            self.val_tokens = self._capped(self.reader, n_held_out, n_val_tokens)

    def test_only(self, examples: Ints) -> None:
        """Test these examples of `shards` (ascending) instead of all."""
        self.test_tokens = self._select(self.reader, examples)

    def _select(self, reader: ShardReader, examples: Ints) -> TokenSelection:
        return TokenSelection(reader, examples, reader.layout.tokens.positions(self._tokens))

    def _capped(self, reader: ShardReader, n_examples: int, n_tokens: int) -> TokenSelection:
        """At most this many tokens of a random choice of so many examples."""
        positions = reader.layout.tokens.positions(self._tokens)
        size = min(n_examples, max(1, n_tokens // len(positions)))
        return self._select(reader, random_subset(reader.n_examples, size, self._seed))

    def sample(self, n_tokens: int) -> Tensor:
        """Tokens to start training from: the first ones of the training order, float32 (n, d_model).

        The same in every process; fewer than asked for where the data have fewer.
        """
        n_tokens = min(n_tokens, self.train_tokens.n_tokens)
        return next(iter(self._shuffled(n_batches=1, batch_size=n_tokens, rank=0, world_size=1)))

    def _shuffled(self, n_batches: int, batch_size: int, rank: int, world_size: int) -> ShuffledTokens:
        return ShuffledTokens(
            self.train_tokens,
            n_batches=n_batches,
            batch_size=batch_size,
            buffer_bytes=self._buffer_bytes,
            seed=self._seed,
            rank=rank,
            world_size=world_size,
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        """How far training has come in its data."""
        return self.train_dataloader().state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where training was.

        Not left to the trainer: it forgets the loader's state where the number of steps is asked for early, as
        a schedule does.

        Raises:
            InputError: If the run had other training data; names the differences.
        """
        self.train_dataloader().load_state_dict(state_dict)

    def _ranks(self) -> tuple[int, int]:
        assert self.trainer is not None
        return self.trainer.global_rank, self.trainer.world_size

    @override
    def train_dataloader(self) -> ShuffledTokens:
        """Shuffled batches, as many as the token budget has."""
        if self._train_loader is None:
            self._train_loader = self._shuffled(self.n_tokens // self.batch_size, self.batch_size, *self._ranks())
        return self._train_loader

    @override
    def val_dataloader(self) -> OrderedTokens | list[OrderedTokens]:
        """The held-out images or the validation shards, in order; nothing where neither was asked for."""
        return self._ordered(self.val_tokens) if self.val_tokens else []

    @override
    def test_dataloader(self) -> OrderedTokens:
        """All images of `shards`, in order."""
        return self._ordered(self.test_tokens)

    def _ordered(self, tokens: TokenSelection) -> OrderedTokens:
        rank, world_size = self._ranks()
        rows = self.batch_size // world_size
        return OrderedTokens(tokens, batch_size=rows, rank=rank, world_size=world_size)


def _check_width(reader: ShardReader, d_model: int | None) -> None:
    found = reader.layout.d_model
    if d_model is not None and d_model != found:
        raise InputError(f"{reader.path}: activations of width {found}, not {d_model}: give other shards")


def _check_val_shards(reader: ShardReader, val_reader: ShardReader) -> None:
    if val_reader.manifest.content_id == reader.manifest.content_id:
        raise InputError(f"val_shards {val_reader.path} are the training shards: give others, or val_share")
    check_same_activations(reader.manifest.config, val_reader.manifest.config, str(val_reader.path))


def _held_out_size(n_examples: int, share: float) -> int:
    """Held-out images: at least one where the share is positive, and at least one image is left to train on."""
    if not 0 <= share < 1:
        raise InputError(f"val_share={share} must be at least 0 and below 1")
    return min(max(round(n_examples * share), int(share > 0)), n_examples - 1)
