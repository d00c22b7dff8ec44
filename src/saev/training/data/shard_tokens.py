"""The tokens of shard directories: those that an SAE is trained on, and those that are held out."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, final

import numpy as np

from saev.artifacts import Provenance
from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.loading.mixture import rows_by_weight
from saev.shards.loading.ordered import OrderedTokens
from saev.shards.loading.shuffled import DataSet, ShuffledTokens
from saev.shards.tokens import TokenSelection
from saev.training.data.data_sets import Layers, check_width, open_data_sets, open_val_shards
from saev.training.data.option_checks import check_numbers, check_weights, checked_labels
from saev.training.data.splits import Split, held_out_tokens, some_tokens


@final
class ShardTokens:
    """Opens shard directories, chooses images for training and validation, and gives their tokens.

    Args:
        shards: A directory that `saev predict` wrote, or one of the original saev; or a list of directories of one ViT
            and layer, each of which gives a part of every batch: '[A,B]'.
        weights: How much of each batch each of several directories gives, in any unit: '[2,1]'. By default in
            proportion to their tokens, so that all are used up at the same time.
        paired: Directories of other layers of the images of `shards`: a token is then what all layers hold of
            it, one after the other, and d_model the sum of their widths.
        val_shards: Another directory to validate on; by default a share of the images of `shards`.
        val_share: Share of the images of each of `shards` that is kept out of training and validated on, where no
            val_shards are given. 0 trains on everything and validates on nothing.
        n_val_tokens: Upper bound of the tokens validated on, a random choice of images.
        tokens: Which tokens of each image: content (patches), cls, registers or all.
        ignore_labels: Patches with one of these labels, 0 to 255, are neither trained nor evaluated on: '[0,255]'.
        share: Share of the images of each of `shards` that is used at all, a random choice.
        examples: A text file that lists the images that are used, one a line: each by its number, counted from 0, or by
            its relative path as in examples.jsonl.
        n_tokens: How many tokens to train on; the data are repeated, in a new order, where they are fewer.
        batch_size: Tokens of a training step over all processes.
        buffer_gib: Upper bound of the memory for shuffling, in GiB for each process; by default 40 % of the memory
            that is available, divided by the processes of this machine. Tokens that fit are read once and permuted
            uniformly. Otherwise they are read as they are needed, and a batch mixes pieces of as many images as
            there is room for.
        seed: Fixes the order of the tokens and the choice of images.
        threads: Threads of each process that read.
        timeout: Seconds without anything read after which a disk is taken for stuck and training ends.
        d_model: The width that the activations are expected to have; only checked.
        layer: The layer, counted from 0, or from the end (-2) where a directory of the original saev does so; needed
            where such a directory holds several layers, otherwise only checked.

    Raises:
        InputError: If a directory is missing, damaged, of another width or layer, or does not fit the others, or a
            number makes no sense.
    """

    def __init__(
        self,
        shards: Path | list[Path],
        weights: list[float] | None = None,
        paired: list[Path] | None = None,
        val_shards: Path | None = None,
        val_share: float = 0.05,
        n_val_tokens: int = 1_000_000,
        tokens: Literal["content", "cls", "registers", "all"] = "content",
        ignore_labels: list[int] | None = None,
        share: float = 1.0,
        examples: Path | None = None,
        n_tokens: int = 100_000_000,
        batch_size: int = 16_384,
        buffer_gib: float | None = None,
        seed: int = 0,
        threads: int = 4,
        timeout: float = 300.0,
        d_model: int | None = None,
        layer: int | None = None,
    ) -> None:
        paths = list(shards) if isinstance(shards, list) else [shards]
        check_numbers(
            n_tokens=n_tokens,
            batch_size=batch_size,
            n_val_tokens=n_val_tokens,
            buffer_gib=buffer_gib,
            val_share=val_share,
            share=share,
            threads=threads,
            timeout=timeout,
            seed=seed,
        )
        if examples is not None and (share != 1 or len(paths) > 1):
            other = "several shards" if len(paths) > 1 else "share"
            raise InputError(f"examples={examples} lists images of one directory: leave {other} out, or examples")
        check_weights(weights, len(paths), batch_size)
        self.batch_size, self.n_tokens, self.token_kind = batch_size, n_tokens, tokens
        self._seed, self._threads, self._timeout = seed, threads, timeout
        self.buffer_bytes = None if buffer_gib is None else max(1, int(buffer_gib * 2**30))
        self._ignore_labels = checked_labels(ignore_labels or [], tokens)

        data_sets = open_data_sets(paths, paired or [], layer)
        check_width(data_sets[0], d_model)
        self.reader = data_sets[0][0]
        self.d_model = sum(reader.layout.d_model for reader in data_sets[0])
        if val_shards is not None and paired:
            raise InputError("val_shards cannot be paired with other layers: leave it out and give val_share")
        val_share = 0.0 if val_shards is not None else val_share
        self._splits = [Split.of(self._all(readers), share, examples, val_share, seed) for readers in data_sets]
        self.train_tokens = [split.training() for split in self._splits]
        self.test_tokens = [split.used() for split in self._splits]
        if val_shards is not None:
            others = self._all((open_val_shards(Path(val_shards), data_sets),))
            self.val_tokens = [some_tokens(others, n_val_tokens, seed)]
        else:
            self.val_tokens = held_out_tokens(self._splits, n_val_tokens)
        self._rows = rows_by_weight(weights or [one.n_tokens for one in self.train_tokens], batch_size)

    def _all(self, readers: Layers) -> TokenSelection:
        everything = np.arange(readers[0].n_examples)
        return TokenSelection.of(readers, everything, self.token_kind, self._ignore_labels)

    def test_only(self, number: int, examples: Ints) -> None:
        """Test just these images (ascending) of one of `shards`."""
        self.test_tokens[number] = self.test_tokens[number].among(examples)

    @property
    def provenance(self) -> Provenance:
        """What is trained on, for the SAE's config.json."""
        sets = [split.provenance() for split in self._splits]
        found = Provenance.of(self.train_tokens[0].readers, self.token_kind, sets)
        return replace(found, training={"n_tokens": self.n_tokens, "batch_size": self.batch_size})

    def batches(self, buffer_bytes: int, *, rank: int = 0, world_size: int = 1, pin: bool = False) -> ShuffledTokens:
        """Shuffled training batches, as many as the token budget has.

        Args:
            buffer_bytes: Bound of the memory for shuffling.
            rank: The number of this process among those that divide the tokens.
            pin: Whether batches are in page-locked memory, for copies to a GPU.

        Raises:
            InputError: If the batch cannot be divided among the processes, or the buffer is too small for it.
        """
        return ShuffledTokens(
            [DataSet(tokens, n) for tokens, n in zip(self.train_tokens, self._rows, strict=True)],
            n_batches=self.n_tokens // self.batch_size,
            buffer_bytes=buffer_bytes,
            seed=self._seed,
            rank=rank,
            world_size=world_size,
            n_threads=self._threads,
            timeout=self._timeout,
            pin=pin,
        )

    def in_order(
        self, selections: list[TokenSelection], *, rank: int = 0, world_size: int = 1, forgiving: bool = False
    ) -> OrderedTokens:
        """Batches for evaluation, in the order of the shards: see `OrderedTokens`."""
        rows = self.batch_size // world_size
        return OrderedTokens(selections, max_tokens=rows, rank=rank, world_size=world_size, forgiving=forgiving)
